"""Stepwell, as its documentation shows it: one worker in a process, everything else by default."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import uvloop

from bench.adapters.base import Engine, Order, Settings, main, new_order
from stepwell import App, Step
from stepwell.cli.worker import collect_seldom

CONCURRENCY = 1_000


class Stepwell(Engine):
    unfinished = "select count(*) from stepwell.executions where status in ('pending', 'running', 'waiting')"
    last_finished = "select extract(epoch from max(finished_at)) from stepwell.executions"
    ends = "select id::text, extract(epoch from finished_at) from stepwell.executions where finished_at is not null"
    running = "select count(*) from stepwell.executions where status = 'running'"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.app = App(database=settings.database)
        self.workflow = self._register()

    @staticmethod
    def run(work: Coroutine[Any, Any, None]) -> None:
        uvloop.run(work)  # as `stepwell worker` does

    async def prepare(self) -> None:
        await self.app.open()  # brings the database to its version

    async def work(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        collect_seldom()  # as `stepwell worker` does
        async with self.app.worker(concurrency=CONCURRENCY):
            ready()
            await stop.wait()
        await self.app.close()

    def _register(self) -> Any:
        ledger = self.ledger

        async def body(execution: int, number: int) -> dict[str, Any]:
            return ledger.step(execution, number)

        @self.app.workflow(id="bench")
        async def workflow(order: Order, step: Step) -> int:
            execution = order["execution"]
            ledger.note("enter", execution)
            for number in range(order["steps"]):
                await step.run(f"step-{number}", body, execution, number)
            if order["children"]:
                called = [new_order(number) for number in range(order["children"])]
                await step.map("child", workflow, called, concurrency=len(called))
            if order["nap_seconds"] or order["until"]:
                ledger.note("asleep", execution)
                await nap(order, step)
                ledger.note("awake", execution)
            if order["is_told"]:
                ledger.note("waits", execution)
                await step.wait_for_event("told")
            return order["steps"]

        return workflow

    async def open(self) -> None:
        await self.app.open()

    async def start(self, order: Order) -> Any:
        return await self.app.start(self.workflow, order)

    async def start_many(self, orders: list[Order]) -> list[Any]:
        return list(await self.app.start_many(self.workflow, orders))

    async def result(self, handle: Any) -> int:
        return int(await handle.result(timeout="60s"))

    async def tell(self, handle: Any, order: Order) -> None:
        await handle.send_event("told", order["execution"])

    def identity(self, handle: Any) -> str:
        return str(handle.id)


async def nap(order: Order, step: Step) -> None:
    if order["nap_seconds"]:
        await step.sleep("nap", timedelta(seconds=order["nap_seconds"]))
    else:
        await step.sleep_until("nap", datetime.fromtimestamp(order["until"], UTC))


if __name__ == "__main__":
    main(Stepwell, sys.argv[1:])
