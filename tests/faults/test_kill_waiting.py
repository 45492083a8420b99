"""Workers killed with -9 in what waits for events, has children, or is being cancelled, at every point of it."""

from __future__ import annotations

import signal

import pytest

from tests.faults.harness import Site

LEASE = 0.6  # seconds: nobody else could take what the one worker that lives has
VOYAGES = 4

# point: which passings of it. All voyages together pass it that often before the last one has ended.
PASSINGS = {
    "before_child_start": (1, 13, 30),
    "before_wait_check": (9, 22),
    "between_wait_check_and_park": (1, 18),
    "after_claim": (5,),
    "after_step_body": (6,),
    "before_complete": (2, 16),
    "after_complete_before_notify": (25,),
}


@pytest.mark.parametrize(("point", "nth"), [(point, nth) for point, all in PASSINGS.items() for nth in all])
async def test_kill_where_executions_wait_and_have_children(site: Site, point: str, nth: int) -> None:
    """F40, F46, F50: each child is started once, each event taken once, and the outcome is the same."""
    numbers = await site.start_voyages(VOYAGES)
    await site.let_go(numbers)
    victim = site.worker(points=f"{point}=kill@{nth}", lease=LEASE, short_wait=0.0)
    successor = site.worker(lease=LEASE, is_held=True)

    assert await victim.ended() == -signal.SIGKILL
    assert await site.unfinished()
    successor.go()
    await site.finished()

    await site.check()


@pytest.mark.parametrize("point", ["before_step", "after_step_body", "after_step_commit", "before_complete"])
async def test_kill_during_the_clean_up_of_what_is_cancelled(site: Site, point: str) -> None:
    """F51, F57: what the next worker finds is still to be cancelled, and tidied up once."""
    (siege,) = await site.start_sieges(1)
    first = site.worker(lease=LEASE, short_wait=0.0)
    victim = site.worker(points=f"{point}=kill@2", lease=LEASE, is_held=True)
    successor = site.worker(lease=LEASE, is_held=True)
    await site.waiting(5)
    first.terminate()
    assert await first.ended() == 0

    await site.app.cancel(siege)
    victim.go()
    assert await victim.ended() == -signal.SIGKILL
    assert await site.unfinished()
    successor.go()
    await site.finished()

    await site.check()


@pytest.mark.parametrize("point", ["before_wait_check", "between_wait_check_and_park"])
async def test_event_between_looking_and_parking_is_not_lost(site: Site, point: str) -> None:
    """F40, F49: its worker stands still there while the event comes, whether it then goes on or dies."""
    numbers = await site.start_voyages(2)
    frozen = [site.worker(points=f"{point}=pause", lease=lease, concurrency=1) for lease in (3.0, LEASE)]
    for worker in frozen:
        await worker.paused()

    await site.let_go(numbers)
    frozen[0].resume()
    frozen[1].kill()
    await site.finished()

    await site.check()
