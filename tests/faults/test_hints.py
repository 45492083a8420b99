"""Hints make the engine quick, never right: they may be lost, and they carry nothing of anybody's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from stepwell import InvalidOption
from tests.faults.harness import Site
from tests.faults.processes import SECONDS
from tests.faults.proxy import Proxy
from tests.faults.voyages import STAYED

LONG_LEASE = 60.0  # no heartbeat may tell what a hint does not
LATEST = timedelta(seconds=10)  # ten polls: the machine may be busy with something else
SENDERS = 64

LISTENING = "from pg_stat_activity where application_name = %s and query like '%%e.due_at <= now()%%'"  # it also claims
DELAYS = """
    select max(s.at - v.sent_at) from stepwell.event v
    join stepwell.execution x on v.address = 'k:' || (convert_from(x.input, 'UTF8')::json ->> 'key')
    join audit.stored s on s.execution_id = x.id and s.key = 'in time'
"""


async def test_without_hints_everything_comes_with_the_next_poll(site: Site, tmp_path: Path) -> None:
    """F41, F42, F52: nobody is told of starts, events, ends of children and cancels; no connection is lost."""
    async with Proxy.before(site.url, tmp_path) as proxy:
        await site.ready(site.worker(url=proxy.url, lease=LONG_LEASE))
        proxy.swallow_hints()
        keys = await site.start_replies(5)
        stay = await site.app.start("stay", {"number": 1, "host": None})
        site.promises[stay.id] = STAYED
        await site.waiting(6)

        for key in keys:
            await site.app.send_event("word", key, key=key)
        await site.start_parents(5)
        await stay.cancel()
        await site.finished()

        await site.check()
        assert proxy.swallowed
    ((latest,),) = await site.query(DELAYS)
    assert latest < LATEST


async def test_listener_that_was_terminated_listens_again(site: Site, tmp_path: Path) -> None:
    """F41, F42: what came meanwhile is found, and hints arrive again."""
    async with Proxy.before(site.url, tmp_path) as proxy:
        worker = site.worker(url=proxy.url, lease=LONG_LEASE)
        await site.ready(worker)
        for _ in range(3):
            keys = await site.start_replies(5)
            await site.waiting(5)
            assert await site.query(f"select pg_terminate_backend(pid) {LISTENING}", "worker-1") == [(True,)]
            for key in keys:
                await site.app.send_event("word", key, key=key)
            await site.finished()

        before = proxy.passed_on
        async with asyncio.timeout(SECONDS):
            while proxy.passed_on == before:
                await site.start_errands(1)
                await site.finished()

        await site.check()
    assert "trying again" not in worker.said()


async def test_one_event_for_many_needs_one_hint_that_says_nothing_of_it(site: Site) -> None:
    """F43, F44: and many senders at once do not wait for each other's hints."""
    worker = site.worker(lease=LONG_LEASE, concurrency=SENDERS)
    keys = await site.start_replies(SENDERS)
    crowd = await site.start_replies(SENDERS, key="all of them")
    await site.waiting(2 * SENDERS)
    await site.shows("select bool_and(is_idle) from stepwell.worker", (True,))  # before that no hint is sent
    async with await site.connect() as listener:
        await listener.execute("listen stepwell")

        sent = await site.app.send_event("word", crowd[0], key=crowd[0])
        one = [hint.payload async for hint in listener.notifies(timeout=SECONDS, stop_after=1)]
        await asyncio.gather(*(site.app.send_event("word", key, key=key) for key in keys))
        await site.finished()
        hints = [hint.payload async for hint in listener.notifies(timeout=0)]

    assert (sent.waiting, one) == (SENDERS, ["work"])
    assert set(hints) <= {"work", "done"}
    assert len(hints) <= 2 * SENDERS + len(site.promises)
    assert worker.code is None
    await site.check()


async def test_longest_names_and_payloads_are_no_matter_for_hints(site: Site) -> None:
    """F44: a notification holds 8,000 bytes; one that fails would take the commit with it."""
    site.worker(lease=LONG_LEASE)
    longest = "k" * 1_200
    await site.start_replies(1, key=longest, payload="p" * 100_000)
    await site.waiting(1)

    await site.app.send_event("word", "p" * 100_000, key=longest, id="i" * 800)
    await site.finished()

    await site.check()


@pytest.mark.parametrize("too_long", [{"name": "n" * 8_001}, {"key": "k" * 8_001}, {"id": "i" * 8_001}])
async def test_text_longer_than_a_notification_is_refused(site: Site, too_long: dict[str, str]) -> None:
    """F44."""
    with pytest.raises(InvalidOption, match="use 1 to"):
        await site.app.send_event(**{"name": "word", **too_long})

    assert await site.query("select count(*) from stepwell.event") == [(0,)]
