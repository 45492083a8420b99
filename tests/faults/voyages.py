"""Workflows that wait for events, for children and for each other, and what a run without faults gives."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from stepwell import Step
from tests.faults.evidence import Promise
from tests.faults.flows import ITEMS, QUICK, app, enrich, fetch

PACE = 0.001


@app.workflow
async def visit(number: int, step: Step) -> int:
    """One short step."""
    return (await step.run("fetch", fetch, number, PACE)).value


@app.workflow
async def stay(number: int, host: UUID | None, step: Step) -> None:
    """Tells its host, then waits for what never comes; tidies up when it is cancelled."""
    fetched = await step.run("fetch", fetch, number, PACE)
    try:
        if host is not None:
            await step.send_event("staying", number, to=host)
        await step.wait_for_event("never")
    finally:
        await step.run("tidy", enrich, fetched, PACE)


@app.workflow
async def echo(number: int, host: UUID, step: Step) -> int:
    """Goes on by itself; answers two questions at once."""
    asked = [await step.wait_for_event("question") for _ in range(2)]
    done = await step.run("fetch", fetch, sum(asked), PACE)
    await step.send_event("answer", [*asked, done.value], to=host)
    return done.value


@app.workflow(retry=QUICK)
async def voyage(number: int, rest: float, step: Step) -> list[Any]:
    """Every way to wait and every way to have a child; `rest` is how many seconds it waits for what never comes."""
    port = f"port {number}"
    went = [await step.wait_for_event("go", key=port, timeout=timeout) for timeout in (None, "1h")]
    silence = await step.wait_for_event("silence", timeout=timedelta(seconds=rest))
    choice = await step.first(
        "choice", child=step.child(visit, number), never=step.event("never"), late=step.timer("1h")
    )
    host = step.execution_id
    race = await step.first("race", slow=step.child(stay, {"number": number, "host": host}), told=step.event("staying"))
    echoing = await step.start("echo", echo, {"number": number, "host": host})
    for question in (number, number + 1):
        await step.send_event("question", question, to=echoing)
    answer, called = await asyncio.gather(step.wait_for_event("answer"), step.call("visit", visit, number))
    visits = await step.map("visits", visit, range(number, number + ITEMS), concurrency=2)
    fetched = await step.run("fetch", fetch, number, PACE)
    return [*went, silence, choice.name, choice.value, race.name, race.value, answer, called, *visits, fetched.value]


def went(number: int) -> tuple[int, int]:
    """The payloads of the two events that let a voyage go, in their order."""
    return number, -1 - number


def voyage_promise(number: int) -> Promise:
    """What comes of a voyage and of its children."""
    answer = [number, number + 1, 2 * number + 2]
    visits = [number + 1 + index for index in range(ITEMS)]
    result = [*went(number), None, "child", number + 1, "told", number, answer, number + 1, *visits, number + 1]
    visited = {"choice/#child": number + 1, "visit": number + 1}
    visited |= {f"visits/#{index}": value for index, value in enumerate(visits)}
    children = {key: Promise(value, {"fetch"}) for key, value in visited.items()}
    children["race/#slow"] = STAYED
    children["echo"] = Promise(2 * number + 2, {"fetch"})
    return Promise(result, {"fetch"}, children=children)


@app.workflow
async def siege(number: int, step: Step) -> None:
    """Never ends by itself; tidies up, as its children do, when it is cancelled."""
    try:
        await step.map("stays", stay, [{"number": number, "host": None}] * ITEMS, concurrency=ITEMS)
    finally:
        await step.run("tidy", fetch, number, PACE)


STAYED = Promise(None, {"fetch", "tidy"}, "cancelled")
BESIEGED = Promise(None, {"tidy"}, "cancelled", children={f"stays/#{index}": STAYED for index in range(ITEMS)})


@app.workflow
async def reply(key: str, timeout: float | None, step: Step) -> list[Any]:
    """Takes one event: in time, or else by a second wait; and says in a step what it has got."""
    limit = None if timeout is None else timedelta(seconds=timeout)
    got = await step.wait_for_event("in time", event="word", key=key, timeout=limit)
    late = await step.wait_for_event("late", event="word", key=key) if got is None else None
    await step.run("fetch", fetch, 0, PACE)
    return [got, late]


@app.workflow
async def nothing() -> None:
    """Ends at once."""


CALLED = Promise(None, set(), children={"nothing": Promise(None, set())})


@app.workflow
async def parent(step: Step) -> None:
    """Calls a child that ends at once."""
    await step.call("nothing", nothing)
