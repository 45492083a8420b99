"""The workflows that the fault tests run, and what a run without faults gives.

Every step returns a value that follows from the input, and a token that no other run of its body has: the token in a
stored result says which run it was that counted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from stepwell import REPEAT, App, Repeat, Retry, Step, SyncStep, current_step
from tests.faults.ledger import PATH, Ledger, noted

app = App()

slowness = 1.0  # how many times longer steps take in this process

QUICK = Retry(50, first_delay="10ms", max_delay="50ms")
ITEMS = 4

BOOK = "insert into booking (execution_id, token, value) values (%s, %s, %s)"


@dataclass(frozen=True)
class Done:
    """What a step returned, and which run of its body it was."""

    value: int
    token: str


async def fetch(number: int, pace: float) -> Done:
    with noted() as token:
        await asyncio.sleep(pace * slowness)
        return Done(number + 1, token)


def fetch_in_thread(number: int, pace: float) -> Done:
    with noted() as token:
        time.sleep(pace)
        return Done(number + 1, token)


def enrich(before: Done, pace: float) -> Done:
    with noted(before.token) as token:
        time.sleep(pace)
        return Done(before.value * 2, token)


def submit(before: Done) -> Done:
    """The system it submits to answers the first attempt with an error."""
    with noted(before.token) as token:
        if current_step().attempt == 1:
            raise ConnectionError("try again")
        return Done(before.value + 3, token)


async def book(connection: psycopg.AsyncConnection[Any], before: Done) -> Done:
    with noted(before.token) as token:
        done = Done(before.value * 5, token)
        await connection.execute(BOOK, [current_step().execution_id, done.token, done.value])
        return done


def book_in_thread(connection: psycopg.Connection[Any], before: Done) -> Done:
    with noted(before.token) as token:
        done = Done(before.value * 5, token)
        connection.execute(BOOK, [current_step().execution_id, done.token, done.value])
        return done


def send(item: int) -> Done:
    with noted() as token:
        return Done(item * 7, token)


@app.workflow(retry=QUICK)
async def journey(number: int, pace: float, rest: float, step: Step) -> list[int]:
    """A bit of everything; `pace` is how many seconds its slow steps take, `rest` how many it sleeps."""
    fetched = await step.run("fetch", fetch, number, pace)
    enriched = await step.run("enrich", enrich, fetched, pace)
    submitted = await step.run("submit", submit, enriched)
    booked = await step.transaction("book", book, submitted)
    await step.sleep("rest", timedelta(seconds=rest))
    sent = await step.map("send", send, range(number, number + ITEMS), concurrency=2)
    return [booked.value, *(one.value for one in sent)]


@app.workflow(retry=QUICK)
def plain_journey(number: int, pace: float, rest: float, step: SyncStep) -> list[int]:
    """The same as a plain function."""
    fetched = step.run("fetch", fetch_in_thread, number, pace)
    enriched = step.run("enrich", enrich, fetched, pace)
    submitted = step.run("submit", submit, enriched)
    booked = step.transaction("book", book_in_thread, submitted)
    step.sleep("rest", timedelta(seconds=rest))
    sent = step.map("send", send, range(number, number + ITEMS), concurrency=2)
    return [booked.value, *(one.value for one in sent)]


def journey_result(number: int) -> list[int]:
    """What a journey returns."""
    return [((number + 1) * 2 + 3) * 5, *(item * 7 for item in range(number, number + ITEMS))]


JOURNEY_STEPS = frozenset({"fetch", "enrich", "submit", "book", *(f"send/#{index}" for index in range(ITEMS))})


@app.workflow
async def errand(number: int, step: Step) -> int:
    """One short step."""
    return (await step.run("fetch", fetch, number, 0.001)).value


@app.workflow(retry=QUICK)
async def purchase(number: int, step: Step) -> int:
    """One transaction."""
    booked = await step.transaction("book", book_in_thread, Done(number, ""))
    return booked.value


def charge(cents: int) -> Done:
    with noted() as token:
        return Done(cents, token)


def find_charge(key: str) -> Done | Repeat:
    """What the other system knows of it: the ledger has a line for each charge that was made."""
    made = [line for line in Ledger(Path(os.environ[PATH])).lines() if line.what == "end" and line.key == key]
    return Done(7, made[0].token) if made else REPEAT


@app.workflow(retry=QUICK)
async def payment(cents: int, step: Step) -> int:
    """One effect, which can be looked for."""
    return (await step.effect("charge", charge, cents, verify=find_charge)).value


async def spin(seconds: float) -> Done:
    with noted() as token:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        return Done(0, token)


async def block(seconds: float) -> Done:
    with noted() as token:
        time.sleep(seconds)  # noqa: ASYNC251 - the mistake that this step is about
        return Done(0, token)


def block_thread(seconds: float) -> Done:
    with noted() as token:
        time.sleep(seconds)
        return Done(0, token)


@app.workflow
async def hog(way: str, seconds: float, step: Step) -> int:
    """A step that lets nothing else of its process go on, as far as it can."""
    ways: dict[str, Callable[[float], Any]] = {"spin": spin, "block": block, "block_thread": block_thread}
    done: Done = await step.run("hog", ways[way], seconds)
    return done.value


async def die() -> Done:
    with noted():
        os._exit(66)


@app.workflow
async def poison(step: Step) -> int:
    """Ends every process that runs it."""
    await step.run("fetch", fetch, 0, 0.0)
    return (await step.run("die", die)).value
