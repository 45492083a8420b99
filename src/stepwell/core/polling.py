"""When a worker looks for work again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from stepwell.core.model import Claim, Claimed

SUSPECT_CRASHES = 2  # an execution that has crashed so many workers in a row runs alone among its like

CLAIM_SIZE = 200  # executions per claim: most of the gain of batching, and a fair share for other workers
FIRST_CLAIM_SIZE = 25  # of a session, which does not know yet how heavy executions are
CLAIM_BYTES = 32_000_000  # of inputs and stored outcomes in one claim, about: it is one answer, all of it in memory
FULL_LOOK_EVERY = timedelta(seconds=30)
HEAD_MARGIN = timedelta(minutes=1)  # starts inside a caller's transaction become visible with an earlier due time

LOCKED_POLL = timedelta(milliseconds=3)  # something is due, but somebody held its row locked for one commit
PROMPT_POLL = timedelta(seconds=1)  # hints arrive: polling is the backstop
SHORTEST_POLL = timedelta(milliseconds=20)  # no hints: begin often, back off while nothing comes
LONGEST_POLL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Head:
    """Where the live part of the queue's index begins.

    Behind it lie entries of executions that have been claimed. While somebody holds an old snapshot they cannot be
    removed, and reading past them made claims six times slower.
    """

    reached: datetime | None = None
    full_look_at: datetime | None = None

    def not_before(self, now: datetime) -> datetime | None:
        """From which due time on to look; None: look at everything."""
        if self.reached is None or self.full_look_at is None or now >= self.full_look_at:
            return None
        return self.reached - HEAD_MARGIN

    def after(self, claim: Claim, *, was_full_look: bool) -> Head:
        """What is known after a claim."""
        reached = max(filter(None, (self.reached, claim.reached)), default=None)
        look_at = claim.now + FULL_LOOK_EVERY if was_full_look else self.full_look_at
        return Head(reached, look_at)


def next_claim_size(claim: Claim, size: int) -> int:
    """How many executions to ask for next, when this claim was of at most `size`.

    Executions as heavy as these fill CLAIM_BYTES at most. It grows step by step: one claim says little about the next.
    """
    if not claim.executions:
        return size
    fitting = CLAIM_BYTES * len(claim.executions) // max(sum(map(_stored_bytes, claim.executions)), 1)
    return max(1, min(fitting, 4 * size, CLAIM_SIZE))


def _stored_bytes(claimed: Claimed) -> int:
    return len(claimed.input) + sum(len(outcome.value) for outcome in claimed.checkpoints.values())


def next_poll(claim: Claim, *, asked_for: int, idle_for: timedelta | None) -> timedelta:
    """How long to wait after a claim. `idle_for`: the wait before, if it too found nothing; None where hints arrive."""
    if len(claim.executions) >= asked_for:
        return timedelta(0)
    wait = PROMPT_POLL
    if idle_for is not None:
        wait = SHORTEST_POLL if claim.executions else min(max(idle_for * 2, SHORTEST_POLL), LONGEST_POLL)
    if claim.next_due_at is not None:
        wait = min(wait, max(claim.next_due_at - claim.now, LOCKED_POLL))
    return wait
