"""Workflows that use every durable call, for histories that later versions must be able to replay.

Change nothing here that would park an execution of a user's: these are the users.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from stepwell import App, ChildFailed, Permanent, Retry, Step, StepFailed, SyncStep, current_step
from stepwell.store.memory import MemoryStore

app = App(MemoryStore())


class Colour(Enum):
    RED = "red"


@dataclass
class Order:
    """Values of every type that has a JSON form."""

    id: UUID
    placed_at: datetime
    day: date
    lasts: timedelta
    price: Decimal
    colour: Colour
    raw: bytes
    sizes: tuple[int, ...]
    notes: dict[str, list[float | None]]


ORDER = Order(
    UUID("0192f0c1-0000-7000-8000-000000000000"),
    datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    date(2026, 1, 2),
    timedelta(days=1, microseconds=1),
    Decimal("12345678901234567890.10"),
    Colour.RED,
    b"\x00\xff",
    (1, 2, 3),
    {"fooBar": [0.1, None], "foo_bar": []},
)


def same(value: Any) -> Any:
    return value


def order() -> Order:
    return ORDER


async def double(number: int) -> int:
    return 2 * number


def double_at_second_try(number: int) -> int:
    if current_step().attempt == 1:
        raise ConnectionError("the service is down")
    return 2 * number


def refuse(reason: str) -> None:
    raise Permanent(reason)


def fail() -> None:
    raise ConnectionError("the service is down")


async def with_connection(connection: Any, number: int) -> int:
    return number + 1


@app.workflow
async def values(first: Order, step: Step) -> list[Any]:
    """Values of every type, and those that only a pass knows."""
    again = await step.run("order", order)
    known = [str(await step.now()), str(step.uuid()), step.random(), str(step.uuid())]
    return [first == again == ORDER, await step.run("nothing", same, None), known]


@app.workflow
async def failures(step: Step) -> list[Any]:
    """A second attempt, a step that gives up, an item of a map that does."""
    quick = step(retry=Retry(3, first_delay="1s"))
    told: list[Any] = [await quick.run("flaky", double_at_second_try, 21)]
    for name in ("refused", "refused"):
        try:
            await step.run(name, refuse, "no such customer")
        except StepFailed as failed:
            told.append([failed.step, failed.attempts, failed.error_type, failed.message])
    try:
        await step.map("each", refuse, ["a", "b"], concurrency=1)
    except StepFailed as failed:
        told.append(list(failed.steps))
    return told


@app.workflow
async def branches(step: Step) -> list[Any]:
    """Names in loops, branches, helpers and after a rename."""

    async def helper(number: int) -> int:
        await asyncio.sleep(0)
        return await step.run("double", double, number) + await step.run("double", double, number)

    told: list[Any] = [await step.run("double", double, number) for number in range(3)]
    told += await asyncio.gather(helper(1), step.run("double", double, 5), helper(2))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(helper(number)) for number in range(2)]
    told += [task.result() for task in tasks]
    told.append(await step.run("new-name", double, 7, was="old-name"))
    return told


@app.workflow
async def maps(step: Step) -> int:
    """Maps of no items, of some, and of more than a page; a transaction."""
    empty = await step.map("none", double, [])
    many = await step.map("many", double, range(25), concurrency=7)
    stored: int = await step.transaction("commit", with_connection, 1)
    return len(empty) + sum(many) + stored


@app.workflow
async def sleeps(step: Step) -> str:
    """Sleeps of both kinds, one after the other and in branches."""
    await step.sleep("short", "1s")
    await step.sleep_until("until", datetime(2030, 1, 1, tzinfo=UTC))
    await asyncio.gather(step.sleep("long", "400d"), step.sleep("longer", timedelta(days=500)))
    return "awake"


@app.workflow
def plain(number: int, step: SyncStep) -> int:
    """A workflow without an event loop."""
    total = step.run("double", double, number) + sum(step.map("each", double, [1, 2]))
    step.sleep("rest", "2h")
    return total + step.run("double", double, total)


@dataclass
class Note:
    """What an event carries."""

    text: str
    stars: int = 0


@app.workflow
async def events(step: Step) -> list[Any]:
    """Events to itself and by key, taken in their order; time-outs; a payload that does not fit."""
    me = step.execution_id
    for stars in range(2):
        await step.send_event("note", Note("good", stars), to=me)
    notes = [await step.wait_for_event("note", type=Note) for _ in range(2)]
    told: list[Any] = [note == Note("good", stars) for stars, note in enumerate(notes)]
    told.append(await step.wait_for_event("never", timeout="3d"))
    await step.send_event("tell", {"fooBar": 1}, event="decision", key="k", id="once")
    told.append(await step.wait_for_event("by-key", event="decision", key="k", timeout="1h"))
    await step.send_event("misfit", [1], event="note", to=me)
    try:
        await step.wait_for_event("note", type=Note)
    except StepFailed as failed:
        told.append([failed.step, failed.error_type])
    return told


@app.workflow
async def races(step: Step) -> list[Any]:
    """Firsts that an event, a timer and a child have won."""
    me = step.execution_id
    await step.send_event("yes", Note("yes"), to=me)
    by_event = await step.first("one", yes=step.event("yes"), late=step.timer("2d"))
    by_timer = await step.first("two", yes=step.event("yes"), late=step.timer("2d"))
    by_child = await step.first("three", done=step.child(plain, 1), late=step.timer("9d"))
    return [[first.name, first.value] for first in (by_event, by_timer, by_child)]


@app.workflow
async def children(step: Step) -> list[Any]:
    """Children that are called, by function and by name, fail, go on by themselves, and are items of a map."""
    told: list[Any] = [await step.call("one", plain, 4), await step.call("two", "plain", 5)]
    try:
        await step.call("failing", failing, "no such customer")
    except ChildFailed as failed:
        told.append([failed.step, failed.status, failed.error_type, failed.message])
    told.append(str(await step.start("alone", plain, 6)))
    told.append(await step.map("each", plain, [1, 2, 3]))
    return told


@app.workflow
async def failing(reason: str) -> None:
    """One that fails; its history ends there."""
    raise Permanent(reason)


@app.workflow
async def waiting(step: Step) -> None:
    """One that is left waiting, with a time-out and without."""
    await asyncio.gather(
        step.wait_for_event("approval", type=Note, timeout="30d"), step.wait_for_event("other", key="k")
    )


@app.workflow
async def callbacks(step: Step) -> None:
    """One whose URLs were given to steps, and which waits for the answer."""
    url = await step.callback_url("approval", type=Note, expires="30d", prompt="Fine?")
    await step.run("mail", same, url.rpartition("/")[0])
    await step.run("log", double, len(url))
    again = await step.callback_url("approval", type=bool, expires=datetime(2100, 1, 1, tzinfo=UTC))
    await step.run("mail", same, len(again))
    await step.wait_for_event("approval", type=Note, timeout="30d")


@app.workflow
async def stopped(step: Step) -> None:
    """One that is left asleep, while an item of a map waits for its retry."""
    slow = step(retry=Retry(first_delay="30d"))
    await asyncio.gather(step.sleep("rest", "5s"), slow.map("each", maybe, [1, 2, 3]))


def maybe(number: int) -> int:
    if number == 2:
        raise ConnectionError("the service is down")
    return number


RESTING = {
    "callbacks": "event 'approval'",
    "stopped": "timer 'rest'",
    "waiting": "event 'approval'",
}  # workflows that are recorded under way, and what they wait for

INPUTS: dict[str, Any] = {"values": ORDER, "plain": 4, "failing": "no such customer"}
