"""Connections cut around a commit: nobody who was cut off can know whether it happened (F23).

A worker drops its session and reads back what has become of it; a caller asks again by the id it made itself.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepwell import App, Handle
from tests.faults.harness import Site
from tests.faults.processes import SECONDS
from tests.faults.proxy import Proxy, When

WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
LONG_LEASE = 60.0  # nobody may have to wait for it


@pytest.mark.parametrize("when", ["answered", "sent"])
@pytest.mark.parametrize(("statement", "nth"), [("checkpoint", 1), ("checkpoint", 5), ("flush", 2), ("commit", 3)])
async def test_worker_reads_back_what_has_become_of_a_commit(
    site: Site, tmp_path: Path, statement: str, nth: int, when: When
) -> None:
    """F22, F23, F6: nothing is lost, and nothing that was stored is done again."""
    async with Proxy.before(site.url, tmp_path) as proxy:
        worker = site.worker(url=proxy.url, lease=LONG_LEASE)
        await site.ready(worker)
        proxy.cut(statement, when=when, nth=nth)
        await site.start_journeys(8)
        await site.finished()
        await proxy.has_cut()

        evidence = await site.check()
    dropped = [session for session in evidence.sessions.values() if session.ended_at]
    assert [session.was_reaped for session in dropped] == [False]


async def test_worker_frozen_before_a_commit_holds_nothing_up(site: Site, tmp_path: Path) -> None:
    """F34, F36: its open transaction keeps its session from being ended; so the transaction must end by itself."""
    async with Proxy.before(site.url, tmp_path) as proxy:
        frozen = site.worker(url=proxy.url, lease=1.0)
        await site.ready(frozen)
        proxy.cut("commit", when="never")
        await site.start_purchase()
        await site.start_hog("block_thread", seconds=0.5)
        await proxy.has_cut()
        frozen.pause()
        site.worker(lease=1.0)
        await site.finished()

        await site.check()


async def test_map_reads_its_items_again_after_its_connection_was_cut(site: Site, tmp_path: Path) -> None:
    """F24: it is no failure of the workflow, and no reason to give up the session."""
    async with Proxy.before(site.url, tmp_path) as proxy:
        worker = site.worker(url=proxy.url, lease=LONG_LEASE, short_wait=0.0)
        await site.ready(worker)
        proxy.cut("items", when="sent")
        await site.start_journeys(8)
        await site.finished()
        await proxy.has_cut()

        evidence = await site.check()
    assert not [session for session in evidence.sessions.values() if session.ended_at]


@pytest.mark.parametrize("when", ["answered", "sent"])
async def test_start_whose_answer_was_lost_starts_once(site: Site, tmp_path: Path, when: When) -> None:
    """F23, F25"""
    async with Proxy.before(site.url, tmp_path) as proxy, App(proxy.url) as app:
        proxy.cut("create", when=when)
        started: list[Handle[Any]] = await app.start_many("errand", [{"number": number} for number in range(50)])
        await proxy.has_cut()

    accepted = {id for (id,) in await site.query("select id from stepwell.execution")}
    assert accepted == {handle.id for handle in started}


async def test_start_is_repeated_while_the_first_one_still_goes_on(site: Site, tmp_path: Path) -> None:
    """F23: the server is slow with the first one, which has written its row; the second one has the same id."""
    async with Proxy.before(site.url, tmp_path) as proxy, App(proxy.url) as app, await site.connect() as blocker:
        proxy.cut("create", when="sent")
        async with blocker.transaction():
            await blocker.execute("lock table audit.move in share mode")
            starting: asyncio.Task[Handle[Any]] = asyncio.create_task(app.start("errand", {"number": 1}))
            await site.shows(WAITING, (2,))
        handle = await asyncio.wait_for(starting, SECONDS)

    assert await site.query("select id from stepwell.execution") == [(handle.id,)]
