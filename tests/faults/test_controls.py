"""The checker is evidence: it finds what engines do that lack one rule."""

from __future__ import annotations

import pytest

from tests.faults.harness import Site
from tests.faults.invariants import violations
from tests.faults.test_pause import LONG_LEASE, paused_at


async def broken_rules(site: Site) -> set[str]:
    """The names of the rules that were broken."""
    return {sentence.partition(":")[0] for sentence in violations(await site.evidence())}


@pytest.mark.parametrize("point", ["before_step_commit", "before_complete"])
async def test_checker_finds_the_writes_of_a_stale_worker(site: Site, point: str) -> None:
    """F1: without the fence, what a paused worker holds lands in what another one runs."""
    sleeper = await paused_at(site, point, mutant="a flush without the fence")
    heir = site.worker(points=f"{point}=pause", lease=LONG_LEASE)
    await heir.paused()

    sleeper.resume()
    await site.sessions(sleeper, at_least=2)

    assert await broken_rules(site) & {"only_the_owner_stores", "each_execution_lives_by_the_rules"}
