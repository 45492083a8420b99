"""When a worker looks for work again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.model import Checkpoint, Claim, Claimed, ExecutionId, Kind
from stepwell.core.polling import (
    CLAIM_BYTES,
    CLAIM_SIZE,
    FIRST_CLAIM_SIZE,
    FULL_LOOK_EVERY,
    HEAD_MARGIN,
    LOCKED_POLL,
    LONGEST_POLL,
    PROMPT_POLL,
    SHORTEST_POLL,
    Head,
    next_claim_size,
    next_poll,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ONE = Claimed(ExecutionId(UUID(int=1)), "order", b"{}", 1, 0, NOW, NOW)
SECOND = timedelta(seconds=1)
AT_ONCE = timedelta(0)
WAITS = st.timedeltas(min_value=AT_ONCE, max_value=timedelta(days=1))


def claim(
    taken: int = 0, *, next_in: timedelta | None = None, now: datetime = NOW, reached: datetime | None = None
) -> Claim:
    return Claim(now, [ONE] * taken, None if next_in is None else now + next_in, reached)


def test_full_claim_is_followed_by_another_at_once() -> None:
    assert next_poll(claim(20), asked_for=20, idle_for=None) == AT_ONCE


def test_where_hints_arrive_polling_is_the_backstop() -> None:
    assert next_poll(claim(), asked_for=20, idle_for=None) == PROMPT_POLL
    assert next_poll(claim(3), asked_for=20, idle_for=None) == PROMPT_POLL


def test_without_hints_a_worker_looks_often_and_backs_off_while_nothing_comes() -> None:
    waits, wait = [], AT_ONCE
    for _ in range(8):
        wait = next_poll(claim(), asked_for=20, idle_for=wait)
        waits.append(wait)

    assert waits == [min(SHORTEST_POLL * 2**n, LONGEST_POLL) for n in range(8)]
    assert next_poll(claim(1), asked_for=20, idle_for=LONGEST_POLL) == SHORTEST_POLL


@given(st.integers(0, 20), st.none() | WAITS, st.none() | st.timedeltas(timedelta(days=-1), timedelta(days=1)))
def test_worker_never_waits_beyond_the_next_due_time_nor_beyond_a_second(
    taken: int, idle_for: timedelta | None, next_in: timedelta | None
) -> None:
    """F54."""
    wait = next_poll(claim(taken, next_in=next_in), asked_for=20, idle_for=idle_for)

    assert AT_ONCE <= wait <= SECOND
    assert next_in is None or wait <= max(next_in, LOCKED_POLL)


def test_fresh_worker_looks_at_the_whole_queue() -> None:
    assert Head().not_before(NOW) is None


def test_between_full_looks_the_dead_head_of_the_queue_is_skipped() -> None:
    """F36."""
    head = Head().after(claim(1, reached=NOW - SECOND), was_full_look=True)

    assert head.not_before(NOW + SECOND) == NOW - SECOND - HEAD_MARGIN
    assert head.not_before(NOW + FULL_LOOK_EVERY) is None


@given(st.lists(st.tuples(st.none() | WAITS, WAITS), min_size=1, max_size=30))
def test_whatever_a_partial_look_skips_is_seen_within_the_period_of_full_looks(
    claims: list[tuple[timedelta | None, timedelta]],
) -> None:
    """F11: a page of others never hides a row for good."""
    head, now, last_full_look = Head(), NOW, NOW
    for reached, pause in claims:
        is_full_look = head.not_before(now) is None
        last_full_look = now if is_full_look else last_full_look
        assert now - last_full_look < FULL_LOOK_EVERY
        head = head.after(
            claim(now=now, reached=None if reached is None else now - reached), was_full_look=is_full_look
        )
        now += pause


def test_what_was_reached_never_goes_back() -> None:
    head = (
        Head()
        .after(claim(1, reached=NOW), was_full_look=True)
        .after(claim(1, reached=NOW - SECOND), was_full_look=False)
    )

    assert head.reached == NOW


def heavy(taken: int, size_bytes: int) -> Claim:
    """A claim of executions each of which has stored so much."""
    history = {"fetch": Checkpoint(Kind.STEP, 7, False, b"x" * size_bytes)}
    return Claim(NOW, [ONE._replace(checkpoints=history)] * taken, None, None)


def test_claims_grow_to_their_full_size_while_executions_are_light() -> None:
    sizes = [FIRST_CLAIM_SIZE]
    while sizes[-1] < CLAIM_SIZE:
        sizes.append(next_claim_size(claim(sizes[-1]), sizes[-1]))

    assert len(sizes) == 3
    assert next_claim_size(claim(CLAIM_SIZE), CLAIM_SIZE) == CLAIM_SIZE


@given(st.integers(1, CLAIM_SIZE), st.integers(CLAIM_BYTES // 150, CLAIM_BYTES // 3))
def test_as_many_heavy_executions_are_claimed_as_fill_the_bytes_of_one_claim(taken: int, size_bytes: int) -> None:
    """F74: histories of a megabyte each do not come two hundred at a time."""
    size = next_claim_size(heavy(taken, size_bytes), CLAIM_SIZE)

    assert size * size_bytes <= CLAIM_BYTES < (size + 2) * size_bytes


def test_large_inputs_count_too() -> None:
    claimed = Claim(NOW, [ONE._replace(input=b"x" * (CLAIM_BYTES // 10))], None, None)

    assert next_claim_size(claimed, CLAIM_SIZE) == 10


def test_what_was_learned_stays_while_nothing_is_claimed() -> None:
    assert next_claim_size(claim(), 3) == 3


def test_even_the_heaviest_execution_is_claimed() -> None:
    assert next_claim_size(heavy(1, 2 * CLAIM_BYTES), 200) == 1
