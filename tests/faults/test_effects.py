"""Effects whose worker is killed with -9 around them: with `verify` each happens exactly once."""

from __future__ import annotations

import signal

import pytest

from tests.faults.harness import Site

LEASE = 0.6  # seconds


@pytest.mark.parametrize("point", ["before_step", "after_step_body", "before_step_commit", "after_step_commit"])
async def test_effect_with_verify_happens_once_when_its_worker_is_killed(site: Site, point: str) -> None:
    """F22, F26."""
    await site.start("payment", [{"cents": 7}], [7], steps={"charge"})
    victim = site.worker(points=f"{point}=kill@1", lease=LEASE, short_wait=0.0)
    successor = site.worker(lease=LEASE, is_held=True)

    assert await victim.ended() == -signal.SIGKILL
    assert await site.unfinished()
    successor.go()
    await site.finished()

    assert len(site.lines("end")) == 1
    assert await site.query("select count(*) from stepwell.checkpoint where kind = 'effect'") == [(1,)]
