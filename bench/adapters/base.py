"""The part that all adapters share: one process that works, or one that submits, told what to do line by line.

Only the standard library and psycopg are imported, which every engine's environment has.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, TextIO, TypedDict

import psycopg

from bench.ledger import Ledger

POLL_SECONDS = 0.05  # how often the end of a run is looked for; its time comes from the engine's own rows


class Order(TypedDict):
    """The input of the one workflow that every adapter has: so many steps, then a sleep unless it is 0 seconds long."""

    execution: int
    steps: int
    nap_seconds: float


@dataclass(frozen=True)
class Settings:
    database: str
    ledger: str
    lasting: bool
    worker: str  # a name that a restarted worker keeps, for engines that recover by it


class Engine(ABC):
    """One durable execution engine, used as its documentation advises for speed."""

    unfinished: ClassVar[str]
    """SQL: how many executions have not ended."""
    last_finished: ClassVar[str]
    """SQL: when the last execution ended, in seconds of the epoch."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ledger = Ledger(settings.ledger, lasting=settings.lasting)

    @staticmethod
    def run(work: Coroutine[Any, Any, None]) -> None:
        """Run on the kind of event loop that the engine is documented to run on."""
        asyncio.run(work)

    @abstractmethod
    async def prepare(self) -> None:
        """Make the engine's tables in an empty database."""

    @abstractmethod
    async def work(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run the workflow's executions until told to stop; call `ready` when the first could be taken."""

    @abstractmethod
    async def open(self) -> None:
        """Connect, to start executions from a process that runs none."""

    @abstractmethod
    async def start(self, order: Order) -> Any:
        """Start one execution durably; the answer is what `result` takes."""

    async def start_many(self, orders: list[Order]) -> list[Any]:
        """Start many in the fewest calls that the engine offers."""
        return [await self.start(order) for order in orders]

    @abstractmethod
    async def result(self, handle: Any) -> int:
        """Wait for the execution's result: its number of steps."""


class Submitter:
    """The commands of a process that starts executions. Arguments and answers are JSON."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._handles: list[tuple[Any, Order]] = []

    async def submit(self, orders: list[Order], at_once: bool) -> dict[str, float]:
        """Start executions, by one call or one after the other."""
        began = time.time()
        if at_once:
            handles = await self._engine.start_many(orders)
        else:
            handles = [await self._engine.start(order) for order in orders]
        ended = time.time()
        self._handles = list(zip(handles, orders, strict=True))
        return {"began": began, "ended": ended}

    async def finish(self) -> dict[str, float]:
        """Wait until every execution has ended, with a sample of the results compared."""
        async with await psycopg.AsyncConnection.connect(self._engine.settings.database, autocommit=True) as connection:
            while await _number(connection, self._engine.unfinished):  # noqa: ASYNC110 - other processes end it
                await asyncio.sleep(POLL_SECONDS)
            finished = await _number(connection, self._engine.last_finished)
        for handle, order in self._handles[:: max(1, len(self._handles) // 20)]:
            result = await self._engine.result(handle)
            if result != order["steps"]:
                raise RuntimeError(f"execution {order['execution']} returned {result!r}, not {order['steps']}")
        return {"finished": finished}

    async def latency(self, count: int, pause_seconds: float, budget_seconds: float) -> dict[str, list[float]]:
        """Seconds from before a start to its result, one at a time, as many as the budget allows."""
        seconds: list[float] = []
        until = time.monotonic() + budget_seconds
        while len(seconds) < count and time.monotonic() < until:
            await asyncio.sleep(pause_seconds)
            began = time.perf_counter()
            await self._engine.result(await self._engine.start(Order(execution=len(seconds), steps=1, nap_seconds=0)))
            seconds.append(time.perf_counter() - began)
        return {"seconds": seconds}


async def _number(connection: psycopg.AsyncConnection, statement: str) -> float:
    row = await (await connection.execute(statement)).fetchone()
    return float(row[0] or 0) if row else 0.0


def main(engine_type: type[Engine], arguments: list[str]) -> None:
    """Entry of an adapter's process: `work` or `submit`, and the settings as JSON."""
    role, settings = arguments
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an engine prints is not an answer
    engine = engine_type(Settings(**json.loads(settings)))
    engine.run(_work(engine, answers) if role == "work" else _submit(engine, answers))
    os._exit(0)  # an engine's threads may still wait for something


async def _work(engine: Engine, answers: TextIO) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await engine.work(lambda: _say(answers, {}), stop)
    engine.ledger.close()


async def _submit(engine: Engine, answers: TextIO) -> None:
    await engine.prepare()
    await engine.open()
    submitter = Submitter(engine)
    _say(answers, {})
    for line in sys.stdin:
        command = json.loads(line)
        _say(answers, await getattr(submitter, command.pop("do"))(**command))


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
