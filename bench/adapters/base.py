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
    """The input of the one workflow that every adapter has. It does these one after the other, and returns `steps`."""

    execution: int
    steps: int
    children: int  # executions of the same workflow with nothing to do, called together
    nap_seconds: float  # no sleep: 0
    until: float  # sleeps until this second of the epoch; no sleep: 0
    is_told: bool  # waits for an event


def new_order(
    execution: int,
    *,
    steps: int = 0,
    children: int = 0,
    nap_seconds: float = 0,
    until: float = 0,
    is_told: bool = False,
) -> Order:
    return Order(
        execution=execution, steps=steps, children=children, nap_seconds=nap_seconds, until=until, is_told=is_told
    )


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
    ends: ClassVar[str]
    """SQL: the id of each execution that has ended, as text, and when."""
    running: ClassVar[str] = ""
    """SQL: how many executions a worker holds just now; empty where it is not asked."""

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

    @abstractmethod
    async def tell(self, handle: Any, order: Order) -> None:
        """Send the event that this execution waits for, durably."""

    @abstractmethod
    def identity(self, handle: Any) -> str:
        """The execution's id, as `ends` has it."""


class Submitter:
    """The commands of a process that starts executions. Arguments and answers are JSON."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._handles: list[tuple[Any, Order]] = []
        self._told: dict[str, float] = {}

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

    async def finish(self, poll_seconds: float = POLL_SECONDS) -> dict[str, float]:
        """Wait until every execution has ended, with a sample of the results compared."""
        engine, most_running = self._engine, 0.0
        async with await psycopg.AsyncConnection.connect(engine.settings.database, autocommit=True) as connection:
            while await _number(connection, engine.unfinished):
                if engine.running:
                    most_running = max(most_running, await _number(connection, engine.running))
                await asyncio.sleep(poll_seconds)
            finished = await _number(connection, engine.last_finished)
        for handle, order in self._handles[:: max(1, len(self._handles) // 20)]:
            result = await self._engine.result(handle)
            if result != order["steps"]:
                raise RuntimeError(f"execution {order['execution']} returned {result!r}, not {order['steps']}")
        return {"finished": finished, "most_running": most_running}

    async def tell(self) -> dict[str, float]:
        """Send every execution its event, each send awaited before the next; `told` has what came of it."""
        began = time.time()
        for handle, order in self._handles:
            self._told[self._engine.identity(handle)] = time.time()
            await self._engine.tell(handle, order)
        return {"began": began, "ended": time.time()}

    async def told(self) -> dict[str, list[float]]:
        """Seconds from before each send to the end of its execution, as the engine has stored it."""
        async with await psycopg.AsyncConnection.connect(self._engine.settings.database, autocommit=True) as connection:
            ended: dict[str, float] = dict(await (await connection.execute(self._engine.ends.encode())).fetchall())
        return {"seconds": [float(ended[identity]) - sent for identity, sent in self._told.items()]}

    async def latency(self, count: int, pause_seconds: float, budget_seconds: float) -> dict[str, list[float]]:
        """Seconds from before a start to its result, one at a time, as many as the budget allows."""
        seconds: list[float] = []
        until = time.monotonic() + budget_seconds
        while len(seconds) < count and time.monotonic() < until:
            await asyncio.sleep(pause_seconds)
            began = time.perf_counter()
            await self._engine.result(await self._engine.start(new_order(len(seconds), steps=1)))
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
