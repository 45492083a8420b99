"""DBOS Transact: a library that keeps its state in PostgreSQL.

Without its paid service a killed process's executions are recovered by the process that has its executor id next.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSClient  # type: ignore[import-not-found,unused-ignore]

from bench.adapters.base import Engine, Order, main, new_order

QUEUE = "bench"
POLL_SECONDS = 0.05  # the default is 1
WAIT_SECONDS = 300  # the default is 60


class Dbos(Engine):
    unfinished = "select count(*) from dbos.workflow_status where status in ('ENQUEUED', 'PENDING', 'DELAYED')"
    last_finished = "select max(completed_at) / 1000.0 from dbos.workflow_status"
    ends = "select workflow_uuid, completed_at / 1000.0 from dbos.workflow_status where completed_at is not null"

    async def prepare(self) -> None:
        await asyncio.to_thread(DBOS.migrate, self.settings.database)

    async def work(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        DBOS(
            config={
                "name": "bench",
                "system_database_url": self.settings.database,
                "executor_id": self.settings.worker,
                "application_version": "1",
                "log_level": "ERROR",
            }
        )
        self._register()
        await asyncio.to_thread(DBOS.launch)
        await asyncio.to_thread(DBOS.register_queue, QUEUE, polling_interval_sec=POLL_SECONDS)
        ready()
        await stop.wait()
        await asyncio.to_thread(DBOS.destroy)

    def _register(self) -> None:
        ledger = self.ledger

        @DBOS.step()  # type: ignore[untyped-decorator,unused-ignore]
        def body(execution: int, number: int) -> dict[str, Any]:
            return ledger.step(execution, number)

        @DBOS.workflow(name="bench")  # type: ignore[untyped-decorator,unused-ignore]
        def workflow(order: Order) -> int:
            execution = order["execution"]
            ledger.note("enter", execution)
            for number in range(order["steps"]):
                body(execution, number)
            called = [DBOS.start_workflow(workflow, new_order(number)) for number in range(order["children"])]
            for child in called:
                child.get_result(polling_interval_sec=POLL_SECONDS)
            if order["nap_seconds"]:
                ledger.note("asleep", execution)
                DBOS.sleep(order["nap_seconds"])
                ledger.note("awake", execution)
            if order["is_told"]:
                ledger.note("waits", execution)
                DBOS.recv("told", timeout_seconds=WAIT_SECONDS)
            return order["steps"]

    async def open(self) -> None:
        self.client = DBOSClient(system_database_url=self.settings.database)

    async def start(self, order: Order) -> Any:
        return self.client.enqueue({"workflow_name": "bench", "queue_name": QUEUE}, order)

    async def result(self, handle: Any) -> int:
        return int(handle.get_result(polling_interval_sec=POLL_SECONDS))

    async def tell(self, handle: Any, order: Order) -> None:
        self.client.send(handle.workflow_id, order["execution"], "told")

    def identity(self, handle: Any) -> str:
        return str(handle.workflow_id)


if __name__ == "__main__":
    main(Dbos, sys.argv[1:])
