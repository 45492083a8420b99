"""`assert_durable`: one life of a workflow for every point at which a worker can die."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from stepwell.app.application import App
from stepwell.app.handle import Handle
from stepwell.core.model import ExecutionId
from stepwell.core.payload import unpack
from stepwell.errors import ExecutionCancelled, ExecutionFailed, InvalidOption
from stepwell.inputs import NOTHING
from stepwell.runtime.registry import Workflow
from stepwell.testing.crashes import CrashPoint
from stepwell.testing.effects import Effects
from stepwell.testing.lab import Lab
from stepwell.testing.timekeeper import Standstill
from stepwell.testing.world import World

MOST_POINTS = 200  # lives are about ten milliseconds long
SHOWN = 5

_ID = ExecutionId(UUID("01980000-0000-7000-8000-000000000000"))  # in each life: `step.uuid()` is the same in all
_NOW = datetime(2030, 1, 1, tzinfo=UTC)

Meanwhile = Callable[[Lab, Handle[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Durability:
    """What `assert_durable` found out.

    `writes` of an undisturbed life, how many `crashes` were survived, the `result`, and what was `repeated` in some
    life: effects, starts and events, each with how often it happened there at most.
    """

    writes: int
    crashes: int
    result: Any
    repeated: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Life:
    """How an execution ended, what it did, and where its worker died."""

    end: str  # completed, failed, cancelled, stuck
    result: Any
    outcome: str
    steps: Counter[str]
    effects: Counter[str]
    sent: Counter[str]  # executions that were started, and events
    writes: int
    crashed_at: str | None

    def repeated(self, whole: Life) -> Counter[str]:
        """What it did more often than the undisturbed one."""
        pairs = (self.effects, whole.effects), (self.sent, whole.sent)
        return Counter({what: n for own, others in pairs for what, n in own.items() if n > others[what]})


async def assert_durable(
    workflow: Workflow[..., Any],
    input: Any = NOTHING,
    *,
    effects: Effects | None = None,
    fakes: Mapping[Any, Any] | None = None,
    meanwhile: Meanwhile | None = None,
    by: Callable[[Any], Any] = lambda result: result,
    only: str | None = None,
    max_crashes: int = MOST_POINTS,
    now: datetime = _NOW,
) -> Durability:
    """Run the workflow once undisturbed and then with a crash before and after every write of its journal.

    Demands the same result each time (what `by` makes of it), the same steps run, the same executions started and
    events sent, and the same `effects`; that a step cut by a crash does its effect twice is allowed, and reported.
    Raises AssertionError with the first point at which something differs; `only` repeats that one. `fakes` are those of
    `Lab.fake`; `meanwhile(lab, handle)` is what happens to the execution in each life. Above `max_crashes` points a
    sample is tried, evenly spread.
    """
    if not isinstance(workflow, Workflow) or not isinstance(workflow.app, App):
        raise InvalidOption("assert_durable takes a workflow: a function decorated with @app.workflow")
    trial = _Trial(workflow, input, effects, dict(fakes or {}), meanwhile, by, now)
    with _silence():
        whole = await trial.live(None)
        trial.compare(whole, await trial.live(None), None)
        points = _sample(whole.writes, max_crashes) if only is None else [CrashPoint.parse(only)]
        lives = [life async for life in trial.lives(whole, points) if life.crashed_at is not None]
    if only is not None and not lives:
        raise InvalidOption(f"there is no crash {only}: '{workflow.id}' has {whole.writes} writes with this input")
    repeated = reduce(or_, (life.repeated(whole) for life in lives), Counter[str]())
    return Durability(whole.writes, len(lives), whole.result, repeated)


def _sample(writes: int, limit: int) -> Sequence[CrashPoint]:
    """Before and after each write; if those are too many, so many of them from the first to the last."""
    points = [CrashPoint(write, is_before) for write in range(1, writes + 1) for is_before in (True, False)]
    if len(points) <= limit:
        return points
    return [points[index * (len(points) - 1) // max(limit - 1, 1)] for index in range(limit)]


@contextmanager
def _silence() -> Iterator[None]:
    """Workers die by the dozen here; each of them would say so."""
    log = logging.getLogger("stepwell")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


@dataclass(frozen=True, slots=True)
class _Trial:
    """One workflow with one input, to be lived through again and again."""

    workflow: Workflow[..., Any]
    input: Any
    effects: Effects | None
    fakes: Mapping[str | Workflow[..., Any], Any]
    meanwhile: Meanwhile | None
    by: Callable[[Any], Any]
    now: datetime

    async def lives(self, whole: Life, points: Sequence[CrashPoint]) -> AsyncIterator[Life]:
        """One life for each of the points, each compared with the undisturbed one."""
        for point in points:
            life = await self.live(point)
            self.compare(whole, life, point)
            yield life

    async def live(self, crash_at: CrashPoint | None) -> Life:
        """One life, from the start to the end of everything that it set going."""
        if self.effects is not None:
            self.effects.clear()
        world = World(self.workflow.app, now=self.now, first_id=_ID, crash_at=crash_at)
        for name, outcome in self.fakes.items():
            world.bodies.fake(name, (outcome,))
        await world.begin()
        try:
            handle = await self.workflow.app.start(self.workflow, self.input)
            end, result, outcome = await self._end(Lab(world), handle)
            await world.finish()
            return self._life(world, end, result, outcome)
        finally:
            await world.end()

    async def _end(self, lab: Lab, handle: Handle[Any]) -> tuple[str, Any, str]:
        try:
            if self.meanwhile is not None:
                await self.meanwhile(lab, handle)
            result = await handle.result()
            return "completed", result, repr(self.by(result))
        except ExecutionFailed as error:
            return "failed", None, f"{error.error_type}: {error.message}"
        except ExecutionCancelled as error:
            return "cancelled", None, str(error.reason)
        except Standstill as error:
            return "stuck", None, str(error)

    def _life(self, world: World, end: str, result: Any, outcome: str) -> Life:
        effects = Counter[str]() if self.effects is None else self.effects.counts
        journal, ran = world.journal, Counter(world.bodies.ran)
        begun = Counter(f"execution of '{one.workflow}' with {_shown(one.input)}" for one in world.store.shown())
        return Life(end, result, outcome, ran, effects, begun + world.store.sent, journal.writes, journal.crashed_at)

    def compare(self, whole: Life, life: Life, crash_at: CrashPoint | None) -> None:
        """Raise AssertionError unless the two lives came to the same."""
        differences = list(_differences(whole, life))
        if not differences:
            return
        if crash_at is None:
            what = f"'{self.workflow.id}' does not do the same twice, without any crash"
            hint = "Something outside of its steps differs, or a step does: give it `fakes`, and compare `by` less."
        else:
            what = f"'{self.workflow.id}' is not durable: a crash {crash_at} ({life.crashed_at}) changes what it does"
            hint = f'Reproduce it: assert_durable(..., only="{crash_at}")'
        raise AssertionError("\n".join([what, *(f"  {line}" for line in differences), hint]))


def _differences(whole: Life, life: Life) -> Iterator[str]:
    if (whole.end, whole.outcome) != (life.end, life.outcome):
        yield f"without it {whole.end}: {whole.outcome}"
        yield f"with it    {life.end}: {life.outcome}"
    for what, before, after in (
        ("step", whole.steps, life.steps),
        ("effect", whole.effects, life.effects),
        ("start or event", whole.sent, life.sent),
    ):
        yield from _named(f"missing {what}", before.keys() - after.keys())
        yield from _named(f"additional {what}", after.keys() - before.keys())


def _shown(payload: bytes) -> str:
    return f"{unpack(payload).decode():.200}"


def _named(label: str, names: set[str]) -> Iterator[str]:
    for name in sorted(names)[:SHOWN]:
        yield f"{label}: {name}"
    if len(names) > SHOWN:
        yield f"{label}: {len(names) - SHOWN} more"
