"""Absurd: stored procedures in PostgreSQL and a thin SDK.

A client has one connection, and its worker waits for a whole batch before the next claim: so several run side by side.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import psycopg
from absurd_sdk import AsyncAbsurd  # type: ignore[import-not-found,unused-ignore]
from absurdctl import BUNDLED_SCHEMA_SQL  # type: ignore[import-not-found,unused-ignore]

from bench.adapters.base import Engine, Order, main

QUEUE = "bench"
CLIENTS = 8
CONCURRENCY = 10  # of each client
POLL_SECONDS = 0.05  # the default is 0.25
CLAIM_SECONDS = 15  # the default is 120: nothing of a killed worker is taken over before


class Absurd(Engine):
    unfinished = f"select count(*) from absurd.t_{QUEUE} where state not in ('completed', 'failed', 'cancelled')"
    last_finished = f"select extract(epoch from max(completed_at)) from absurd.r_{QUEUE}"

    async def prepare(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.settings.database, autocommit=True) as connection:
            await connection.execute(BUNDLED_SCHEMA_SQL)
            await connection.execute("select absurd.create_queue(%s)", (QUEUE,))

    async def work(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        clients = [self._client() for _ in range(CLIENTS)]
        for client in clients:
            client.register_task(name="bench", queue=QUEUE)(self._workflow)
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
        if order["nap_seconds"]:
            ledger.note("asleep", execution)
            await context.sleep_for("nap", order["nap_seconds"])
            ledger.note("awake", execution)
        return order["steps"]

    async def open(self) -> None:
        self.client = self._client()

    async def start(self, order: Order) -> Any:
        return (await self.client.spawn("bench", order, queue=QUEUE))["task_id"]

    async def result(self, handle: Any) -> int:
        snapshot = await self.client.await_task_result(handle, timeout=60)
        return int(snapshot.result)

    def _client(self) -> Any:
        return AsyncAbsurd(self.settings.database, queue_name=QUEUE)


if __name__ == "__main__":
    main(Absurd, sys.argv[1:])
