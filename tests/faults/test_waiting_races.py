"""Events, time-outs, children and cancels that come just when something ends, hundreds of times, on two workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from uuid import UUID

from tests.faults.harness import Site
from tests.faults.processes import SECONDS

LEASE = 1.5  # the living must keep it on a machine that is busy with something else
TIMEOUT = 1.5  # seconds: by then all executions wait
JITTER = timedelta(milliseconds=5)
MANY = 1_000

UNTILS = r"""
    select x.id, convert_from(x.input, 'UTF8')::json ->> 'key', convert_from(c.value, 'UTF8')::json #>> '{}'
    from stepwell.execution x join stepwell.checkpoint c on c.execution_id = x.id and c.key = 'in time/#until'
"""
WAITED_FOR = "select substr(address, 3) from stepwell.wait"
FIRST_SENT = """
    select distinct on (address) substr(address, 3), sent_at, convert_from(payload, 'UTF8')
    from stepwell.event order by address, number
"""


async def test_event_about_the_time_out_is_taken_in_time_or_after_it_never_both(site: Site) -> None:
    """F45, F40: within 5 ms of it, by what the database says was first, though a worker dies in the middle."""
    count, random = 200, Random(45)
    keys = await site.start_replies(count, timeout=TIMEOUT)
    victim, _ = site.worker(lease=LEASE, short_wait=0.0), site.worker(lease=LEASE, short_wait=0.0)

    async def have_all_begun() -> list[tuple[UUID, str, str]]:
        rows = [(id, key, until) for id, key, until in await site.query(UNTILS)]
        return rows if len(rows) == count else []

    untils = {key: (id, datetime.fromisoformat(until)) for id, key, until in await site.until(have_all_begun)}
    async with asyncio.TaskGroup() as sending:
        for key in keys:
            at = untils[key][1] + JITTER * random.uniform(-1, 1)
            sending.create_task(_later(at, partial(site.app.send_event, "word", key, key=key)))
        sending.create_task(_later(min(at for _, at in untils.values()), victim.close))
    site.worker(lease=LEASE)
    for key, sent_at, _ in await site.query(FIRST_SENT):
        id, until = untils[key]
        site.promise(id, [key, None] if sent_at <= until else [None, key], steps={"fetch"})
    await site.finished()

    await site.check()


async def _later(at: datetime, work: Callable[[], Awaitable[object]]) -> None:
    """Do it about then; which side of the time-out it falls on is for the database to say."""
    await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
    await work()


async def test_of_two_senders_one_ends_the_wait_whenever_it_begins(site: Site) -> None:
    """F40, F46: hundreds of waits to which two events each are sent, before they begin or just when they have begun."""
    keys = await site.start_replies(MANY // 2)
    for _ in range(2):
        site.worker(lease=LEASE)

    async def send(key: str) -> None:
        await asyncio.gather(*(site.app.send_event("word", word, key=key) for word in ("this", "that")))

    left = set(keys)
    while left:
        begun = {key for (key,) in await site.query(WAITED_FOR)} & left
        chosen = begun or set(list(left)[:1])
        await asyncio.gather(*map(send, chosen))
        left -= chosen
    first = {key: json.loads(payload) for key, _, payload in await site.query(FIRST_SENT)}
    for identity, key in zip(site.promises, keys, strict=True):
        site.promise(identity, [first[key], None], steps={"fetch"})
    await site.finished()

    await site.check()


async def test_child_that_ends_at_once_wakes_its_parent_a_thousand_times(site: Site) -> None:
    """F50"""
    await site.start_parents(MANY)
    for _ in range(2):
        site.worker(lease=LEASE)
    await site.finished()

    await site.check()


async def test_cancel_about_the_end_is_told_the_truth(site: Site) -> None:
    """F51: each is cancelled when its step begins, or when it has ended and the result is about to be stored."""
    random = Random(51)
    await site.start_errands(300)
    moments = {str(identity): random.choice(["begin", "end"]) for identity in site.promises}
    for _ in range(2):
        site.worker(lease=LEASE, concurrency=20)

    async with asyncio.TaskGroup() as cancelling:

        async def have_all_been_cancelled() -> bool:
            for line in site.ledger.lines():
                if moments.get(line.execution) == line.what:
                    del moments[line.execution]
                    cancelling.create_task(site.cancel(UUID(line.execution)))
            return not moments

        await site.until(have_all_been_cancelled, seconds=SECONDS)
    await site.finished()

    evidence = await site.check()
    assert {execution.status for execution in evidence.executions.values()} <= {"completed", "cancelled"}
