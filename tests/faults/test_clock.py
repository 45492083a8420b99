"""Workers whose wall clocks are hours off: leases and timers go by the database's clock alone (F17)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.faults.harness import Site

LEASE = 1.5  # the living must keep it on a machine that is busy with something else
HOURS = 2 * 3600.0
REST = 0.5


@pytest.mark.parametrize("shift", [-HOURS, HOURS], ids=["two hours slow", "two hours fast"])
async def test_sleep_ends_in_time_whatever_the_worker_takes_the_time_for(site: Site, shift: float) -> None:
    """F17, F54: neither at once nor hours later, in memory or given back."""
    await site.start_journeys(8, rest=REST)
    for short_wait in (0.0, 2.0):
        site.worker(lease=LEASE, concurrency=4, clock_shift=shift, short_wait=short_wait)
    await site.finished()

    evidence = await site.check()
    began = {(run.execution_id, run.key): run.began_at for run in evidence.runs if run.attempt == 1}
    for identity in evidence.promises:
        booked = next(row.at for row in evidence.stored if (row.execution_id, row.key) == (identity, "book"))
        assert began[identity, "send/#0"] - booked >= timedelta(seconds=REST)


async def test_leases_hold_between_workers_four_hours_apart(site: Site) -> None:
    """F17: nobody takes over from the living, everybody from the dead."""
    await site.start_journeys(40, pace=0.05)
    slow = site.worker(lease=LEASE, clock_shift=-HOURS)
    fast = site.worker(lease=LEASE, clock_shift=HOURS)
    await site.ready(slow, fast)

    await site.begun(100)
    slow.kill()
    await slow.ended()
    heir = site.worker(lease=LEASE, clock_shift=-HOURS)
    await site.ready(heir)
    await site.finished()

    async def is_reaped() -> bool:
        return bool(await site.query("select id from audit.session where was_reaped"))

    await site.until(is_reaped)
    evidence = await site.check()
    reaped = [session.pid for session in evidence.sessions.values() if session.was_reaped]
    assert reaped == [slow.pid]
