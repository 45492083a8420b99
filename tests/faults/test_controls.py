"""The checker is evidence: it finds what an engine does that lacks one rule."""

from __future__ import annotations

import pytest

from tests.faults.harness import Site
from tests.faults.invariants import violations
from tests.faults.test_pause import LEASE, LONG_LEASE, paused_at


async def breaks(site: Site, rule: str) -> None:
    """Return once the rule is broken."""

    async def is_broken() -> bool:
        found = violations(await site.evidence())
        return any(sentence.startswith(f"{rule}:") for sentence in found)

    await site.until(is_broken)


@pytest.mark.parametrize(
    ("point", "rule"),
    [("before_step_commit", "only_the_owner_stores"), ("before_complete", "each_execution_lives_by_the_rules")],
)
async def test_checker_finds_the_writes_of_a_stale_worker(site: Site, point: str, rule: str) -> None:
    """F1: what a paused worker holds lands in what another one runs."""
    await site.start_journeys(4)
    sleeper = await paused_at(site, point, mutant="writes are not fenced")
    heir = site.worker(points=f"{point}=pause", lease=LONG_LEASE)
    await heir.paused()

    sleeper.resume()

    await breaks(site, rule)


async def test_checker_finds_the_transaction_of_a_stale_worker(site: Site) -> None:
    """F1, I5"""
    await site.start_purchase()
    sleeper = await paused_at(site, "before_step_commit", mutant="transactions are not fenced")
    heir = site.worker(points="before_step_commit=pause", lease=LONG_LEASE)
    await heir.paused()

    sleeper.resume()

    await breaks(site, "only_the_owner_stores")


async def test_checker_finds_a_lease_that_is_ended_before_its_time(site: Site) -> None:
    """F17"""
    await site.start_hog("block_thread", seconds=3 * LEASE)
    site.worker(lease=LEASE)
    await site.begun(1)

    site.worker(lease=LEASE, mutant="leases are judged by a clock that is two hours fast")

    await breaks(site, "a_lease_ends_by_the_databases_clock")


async def test_checker_finds_executions_with_two_owners(site: Site) -> None:
    """F16: each of them is claimed again while it runs."""
    await site.start_journeys(4)
    owner = site.worker(points="before_complete=pause", lease=LONG_LEASE)
    await owner.paused()

    site.worker(lease=LONG_LEASE, mutant="claims take what others run")

    await breaks(site, "each_execution_lives_by_the_rules")
