"""Absurd: stored procedures in PostgreSQL and a thin SDK.

A client has one connection, and its worker waits for a whole batch before the next claim: so several run side by side.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from absurd_sdk import AsyncAbsurd  # type: ignore[import-not-found,unused-ignore]
from absurdctl import BUNDLED_SCHEMA_SQL  # type: ignore[import-not-found,unused-ignore]

from bench.adapters.base import Engine, Order, main, new_order

QUEUE, CHILDREN = "bench", "children"  # a task may not wait for one of its own queue
CLIENTS = 8
CONCURRENCY = 10  # of each client
POLL_SECONDS = 0.05  # the default is 0.25
CLAIM_SECONDS = 15  # the default is 120: nothing of a killed worker is taken over before


class Absurd(Engine):
    unfinished = f"select count(*) from absurd.t_{QUEUE} where state not in ('completed', 'failed', 'cancelled')"
    last_finished = f"select extract(epoch from max(completed_at)) from absurd.r_{QUEUE}"
    ends = (
        f"select task_id::text, extract(epoch from completed_at) from absurd.r_{QUEUE} where completed_at is not null"
    )

    async def prepare(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.settings.database, autocommit=True) as connection:
            await connection.execute(BUNDLED_SCHEMA_SQL)
            for queue in (QUEUE, CHILDREN):
                await connection.execute("select absurd.create_queue(%s)", (queue,))

    async def work(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        clients = []
        for queue in (QUEUE, CHILDREN) * CLIENTS:
            clients.append(client := self._client(queue))
            client.register_task(name="bench", queue=queue)(self._workflow)
        self.client = self._client(QUEUE)
        loops = [
            asyncio.create_task(
                client.start_worker(
                    worker_id=f"{self.settings.worker}-{number}",
                    claim_timeout=CLAIM_SECONDS,
                    concurrency=CONCURRENCY,
                    poll_interval=POLL_SECONDS,
                )
            )
            for number, client in enumerate(clients)
        ]
        ready()
        await stop.wait()
        for client in clients:
            client.stop_worker()
        await asyncio.gather(*loops)

    async def _workflow(self, order: Order, context: Any) -> int:
        execution, ledger = order["execution"], self.ledger
        ledger.note("enter", execution)
        for number in range(order["steps"]):

            async def body(number: int = number) -> dict[str, Any]:
                return ledger.step(execution, number)

            await context.step(f"step-{number}", body)
        if order["children"]:
            await self._call_children(order["children"], context)
        if order["nap_seconds"]:
            ledger.note("asleep", execution)
            await context.sleep_for("nap", order["nap_seconds"])
            ledger.note("awake", execution)
        if order["is_told"]:
            ledger.note("waits", execution)
            await context.await_event(f"told-{execution}")
        return order["steps"]

    async def _call_children(self, count: int, context: Any) -> None:
        async def spawn(number: int) -> str:
            spawned = await self.client.spawn("bench", new_order(number), queue=CHILDREN)
            return str(spawned["task_id"])

        called = [await context.step(f"child-{number}", partial(spawn, number)) for number in range(count)]
        for task in called:
            await context.await_task_result(task, queue_name=CHILDREN)

    async def open(self) -> None:
        self.client = self._client(QUEUE)

    async def start(self, order: Order) -> Any:
        return (await self.client.spawn("bench", order, queue=QUEUE))["task_id"]

    async def result(self, handle: Any) -> int:
        snapshot = await self.client.await_task_result(handle, timeout=60)
        return int(snapshot.result)

    async def tell(self, handle: Any, order: Order) -> None:
        await self.client.emit_event(f"told-{order['execution']}", order["execution"], queue_name=QUEUE)

    def identity(self, handle: Any) -> str:
        return str(handle)

    def _client(self, queue: str) -> Any:
        return AsyncAbsurd(self.settings.database, queue_name=queue)


if __name__ == "__main__":
    main(Absurd, sys.argv[1:])
