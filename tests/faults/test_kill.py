"""Workers killed with -9 at every point at which a process can die in between."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

import stepwell
from stepwell.failpoints import POINTS
from tests.faults import test_kill_waiting
from tests.faults.harness import Site

# Points of features to come: no code passes them yet.
LEASE = 0.6  # seconds: nobody else could take what the one worker that lives has
REST, LONG_REST = 0.02, 0.8  # the longer one is longer than two heartbeats

# point: (which passing besides the first, how long the journeys rest)
PASSINGS = {
    "after_claim": (2, LONG_REST),  # a short one may be over before it is suspended, and no second claim be needed
    "before_step": (7, REST),
    "after_step_body": (9, REST),
    "before_step_commit": (14, REST),
    "after_step_commit": (11, REST),
    "before_wait_check": (3, REST),
    "between_wait_check_and_park": (4, LONG_REST),
    "before_complete": (3, REST),
    "after_complete_before_notify": (4, LONG_REST),  # all four have to suspend first, so something is left to do
    "in_heartbeat": (2, LONG_REST),
    "in_sweep": (2, LONG_REST),
}
ELSEWHERE = {  # not passed by what is run here
    "in_migration",  # test_migration
    "in_schedule_tick",  # test_schedules
    "before_callback_commit",  # test_kill_callbacks
    "after_callback_commit",
    "before_webhook_commit",  # intake/test_intake, intake/test_kill
    "before_webhook_answer",
    "after_token_answer",  # vault/test_kill
    "in_key_rotation",  # vault/test_rotation
}

CASES = [(point, nth) for point, (other, _) in PASSINGS.items() for nth in (1, other)]


def test_every_point_that_code_passes_is_tried() -> None:
    source = Path(stepwell.__file__).parent
    calls = [call for file in source.rglob("*.py") for call in re.findall(r"failpoint\((.*)\)", file.read_text())]
    passed = {point for call in calls for point in re.findall(r'"(\w+)"', call)}

    assert passed == {*PASSINGS, *test_kill_waiting.PASSINGS, *ELSEWHERE}
    assert passed == set(POINTS)


@pytest.mark.parametrize(("point", "nth"), CASES, ids=[f"{point}-{nth}" for point, nth in CASES])
async def test_kill_at_each_failpoint(site: Site, point: str, nth: int) -> None:
    """F21, F22, F26, F57; for in_sweep F10. What was cut is done again, and nothing else."""
    await site.start_journeys(4, rest=PASSINGS[point][1])
    victim = site.worker(points=f"{point}=kill@{nth}", lease=LEASE, short_wait=0.0)
    successor = site.worker(lease=LEASE, is_held=True)

    assert await victim.ended() == -signal.SIGKILL
    assert await site.unfinished()
    successor.go()
    await site.finished()

    await site.check()
