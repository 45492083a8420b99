"""Workers that stand still for longer than their lease, then go on as if nothing had happened."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.faults.harness import REST, Site
from tests.faults.processes import WorkerProcess

LEASE = 0.8
LONG_LEASE = 9.0  # its owner looks for dead workers every three seconds, and may stand still for six

POINTS = ("after_claim", "before_step", "after_step_body", "before_step_commit", "before_complete", "in_heartbeat")


async def paused_at(site: Site, point: str, **options: Any) -> WorkerProcess:
    """A worker that stands still at this point, its lease running out."""
    worker = site.worker(points=f"{point}=pause", lease=LEASE, **options)
    await worker.paused()
    return worker


@pytest.mark.parametrize("point", POINTS)
async def test_paused_worker_writes_nothing_more(site: Site, point: str) -> None:
    """F1, F9, F16, F22: another worker takes over and finishes; what the first one still holds is refused."""
    await site.start_journeys(4, rest=0.5 if point == "in_heartbeat" else REST)
    sleeper = await paused_at(site, point)
    site.worker(lease=LEASE)
    await site.finished()
    before = await site.contents()

    sleeper.resume()
    await site.sessions(sleeper, at_least=2)

    assert await site.contents() == before
    assert "session has ended" in sleeper.said()
    await site.check()


@pytest.mark.parametrize("point", ["before_step_commit", "before_complete"])
async def test_paused_worker_writes_nothing_into_what_another_one_runs(site: Site, point: str) -> None:
    """F1, F16: the second worker is in the middle of the same thing when the first one wakes up."""
    await site.start_journeys(4)
    sleeper = await paused_at(site, point)
    heir = site.worker(points=f"{point}=pause", lease=LONG_LEASE)
    await heir.paused()
    before = await site.contents()

    sleeper.resume()
    await site.sessions(sleeper, at_least=2)
    after = await site.contents()
    heir.resume()
    await site.finished()

    assert after == before
    await site.check()


async def test_paused_worker_commits_no_transaction(site: Site) -> None:
    """F1, I5: the second worker is in the middle of the same transaction when the first one wakes up."""
    await site.start_purchase()
    sleeper = await paused_at(site, "before_step_commit")
    heir = site.worker(points="before_step_commit=pause", lease=LONG_LEASE)
    await heir.paused()

    sleeper.resume()
    await site.sessions(sleeper, at_least=2)
    booked = await site.query("select token from booking")
    heir.resume()
    await site.finished()

    assert booked == []
    await site.check()


async def test_worker_killed_in_its_sweep_leaves_the_dead_to_the_next_one(site: Site) -> None:
    """F10: the one who would have freed a dead worker's executions dies itself."""
    await site.start_journeys(4)
    first = site.worker(points="before_step=kill@5", lease=LEASE)
    await first.ended()
    second = site.worker(points="in_sweep=kill@2", lease=LEASE)

    assert await second.ended() == -signal.SIGKILL
    site.worker(lease=LEASE)
    await site.finished()

    await site.check()


async def test_runs_begun_by_a_worker_that_cannot_know_yet_are_told_apart(site: Site) -> None:
    """I3: a pause between "it is mine" and the effect cannot be fenced; such runs are refused."""
    await site.start_journeys(4)
    sleeper = await paused_at(site, "before_step")
    site.worker(lease=LEASE)
    await site.finished()

    sleeper.resume()
    await site.sessions(sleeper, at_least=2)

    evidence = await site.check()
    stored = {row.token for row in evidence.stored}
    assert not [run for run in evidence.stale_runs() if run.token in stored]
