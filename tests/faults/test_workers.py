"""Processes that die, are replaced, starve or are overrun while there is much to do."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import Handle
from tests.faults.harness import Site

LEASE = 1.5  # the living must keep it on a machine that is busy with something else
LONG_LEASE = 60.0  # nobody may have to wait for it


async def test_kill_in_the_middle_of_many_executions(site: Site) -> None:
    """F9, F22, F25: two workers share the work, and one of them dies five times in the middle of it."""
    site.worker(lease=LEASE, concurrency=20)
    for _ in range(5):
        victim = site.worker(lease=LEASE, concurrency=20)
        await site.ready(victim)
        await site.start_journeys(60, pace=0.02)
        await site.begun(40, by=victim)
        victim.kill()
        await victim.ended()
    await site.finished()

    evidence = await site.check()
    assert sum(bool(session.was_reaped) for session in evidence.sessions.values()) == 5


async def test_new_work_is_not_starved_by_a_restart_storm(site: Site) -> None:
    """F99, F19: 10,000 executions of a dead worker fall due at once; who comes next is served in turn."""
    await site.start_errands(10_000)
    dead = site.worker(points="after_claim=kill@52", lease=LEASE, concurrency=10_000, slowness=60_000)
    await dead.ended()
    for _ in range(2):
        site.worker(lease=LEASE)

    async def is_released() -> bool:
        return bool(await site.query("select id from audit.session where was_reaped"))

    await site.until(is_released)
    done = site.ledger.count("begin")
    for count in range(done + 500, done + 5_000, 500):
        await site.start_errands(20)
        await site.begun(count)
    await site.finished(seconds=60)

    await site.check()
    assert await site.query(OVERTAKINGS) == []


OVERTAKINGS = """
with turn as (
    select number, execution_id, at, status, lag(due_at) over (partition by execution_id order by number) as due_at
    from audit.move
), claim as (
    select *, min(due_at) over (order by at range between '2 s' following and unbounded following) as left_waiting
    from turn where status = 'running'
)
select execution_id, due_at, left_waiting from claim where due_at > left_waiting + interval '1 s'
"""  # claimed two seconds or more before others that had been due for a second longer; two claims may cross


async def test_rolling_restart_hands_everything_over_at_once(site: Site) -> None:
    """F5, F100: each worker is replaced under load. Nothing fails, is lost or repeated, or waits for a lease to end."""
    await site.start_journeys(120, pace=0.05, rest=0.1)
    crew = [site.worker(lease=LONG_LEASE, concurrency=20) for _ in range(2)]
    await site.ready(*crew)

    for restart in range(1, 5):
        await site.begun(100 * restart)
        crew.append(site.worker(lease=LONG_LEASE, concurrency=20))
        leaving = crew.pop(0)
        await site.ready(leaving)
        leaving.terminate()
        assert await leaving.ended() == 0
    await site.finished()

    evidence = await site.check()
    gone = [session for session in evidence.sessions.values() if session.ended_at]
    assert len(gone) == 4
    assert not [session for session in gone if session.was_reaped]
    assert not [run for run in evidence.runs if run.ending is None]
    assert not any(move.crashes for move in evidence.moves)
    assert {len(site.lines("stopping", pid=session.pid)) for session in gone} == {1}


async def test_step_that_outlasts_the_grace_is_handed_back_and_repeated(site: Site) -> None:
    """F100: a deploy waits for no step for ever; the next worker need not wait for the lease."""
    await site.start_hog("block_thread", seconds=1.5)
    leaving = site.worker(lease=LONG_LEASE, grace=0.1)
    await site.begun(1)

    leaving.terminate()
    site.worker(lease=LONG_LEASE)
    await site.begun(2)
    await site.finished()

    evidence = await site.check()
    assert [run.attempt for run in evidence.runs] == [1, 1]


async def test_poison_fails_alone(site: Site) -> None:
    """F63, F64: an execution that ends its worker every time is stopped; the 200 others beside it complete."""
    await site.start_journeys(100)
    poison: Handle[Any] = await site.app.start("poison")
    site.promise(poison.id, None, steps={"fetch"}, status="failed")
    await site.start_journeys(100)

    async def is_failed() -> bool:
        return (await site.app.get(poison.id)).status.is_final

    async def has_changed() -> bool:
        return worker.code is not None or await is_failed()

    while not await is_failed():
        worker = site.worker(lease=0.4)
        worker.expected_codes.add(66)
        await site.until(has_changed)
    await site.finished()

    evidence = await site.check()
    assert evidence.executions[poison.id].reason == "crashed 5 workers"
    assert max(move.crashes for move in evidence.moves if move.execution_id != poison.id) <= 2


@pytest.mark.parametrize("way", ["spin", "block", "block_thread"])
async def test_lease_is_kept_while_a_step_starves_its_process(site: Site, way: str) -> None:
    """F12, F13: three leases long; another worker is eager to take over, and must not."""
    await site.start_hog(way, seconds=3 * LEASE)
    busy = site.worker(lease=LEASE)
    await site.begun(1)

    rival = site.worker(lease=LEASE)
    await site.ready(rival)
    await site.finished()

    evidence = await site.check()
    assert len(evidence.runs) == 1
    assert [session.pid for session in evidence.sessions.values() if session.ended_at is None] == [busy.pid, rival.pid]
