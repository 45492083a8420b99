"""What is decided about ticks: each exactly once, late ones by `catch_up`, early ones by `overlap`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.model import ExecutionId
from stepwell.core.schedule import (
    LATE,
    CatchUp,
    Decision,
    Overlap,
    Policy,
    Schedule,
    Tick,
    decide,
    delay_of,
    start_now,
)
from stepwell.core.timing import Cron, Every
from stepwell.errors import InvalidOption

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUNNING = (ExecutionId(UUID(int=7)),)


def schedule(
    catch_up: CatchUp = CatchUp.LAST, overlap: Overlap = Overlap.SKIP, *, most: int = 100, running: bool = False
) -> Schedule:
    """An hourly schedule about which everything up to noon has been decided."""
    return Schedule(
        id="hourly",
        workflow="order",
        queue="default",
        timing=Every(HOUR),
        policy=Policy(catch_up, most, overlap),
        parameter=None,
        is_declared=True,
        revision=3,
        decided_at=NOON,
        next_at=NOON + HOUR,
        last_at=NOON,
        paused_at=None,
        note=None,
        unfinished=RUNNING if running else (),
    )


def decided(one: Schedule, now: datetime) -> Decision:
    found = decide(one, now)
    assert found is not None
    return found


def started(one: Schedule, now: datetime) -> list[int]:
    """The hours of the ticks that start an execution."""
    return [tick.at.hour for tick in decided(one, now).start]


# --- on time ------------------------------------------------------------------------------------------------------


def test_nothing_starts_before_the_tick() -> None:
    found = decided(schedule(), NOON + HOUR - SECOND)

    assert (found.start, found.next_at) == ([], NOON + HOUR)


@pytest.mark.parametrize("catch_up", CatchUp)
@pytest.mark.parametrize("overlap", Overlap)
def test_tick_on_time_starts_whatever_the_policy(catch_up: CatchUp, overlap: Overlap) -> None:
    if catch_up is CatchUp.ALL and overlap in (Overlap.SKIP, Overlap.REPLACE):
        return

    found = decided(schedule(catch_up, overlap), NOON + HOUR + SECOND)

    assert [tick.at for tick in found.start] == [NOON + HOUR]
    assert (found.next_at, found.note, found.cancel) == (NOON + 2 * HOUR, None, ())


def test_tick_knows_the_one_that_started_before_it() -> None:
    (tick,) = decided(schedule(), NOON + HOUR).start

    assert tick == Tick("hourly", NOON + HOUR, NOON)


def test_key_of_a_tick_is_the_same_in_every_zone() -> None:
    assert (
        Tick("hourly", NOON.astimezone(None)).key == Tick("hourly", NOON).key == "schedule:hourly@2026-05-01T12:00:00Z"
    )


# --- late ---------------------------------------------------------------------------------------------------------

FIVE_LATE = NOON + 5 * HOUR + 2 * MINUTE


@pytest.mark.parametrize(
    ("catch_up", "most", "hours"),
    [
        (CatchUp.NONE, 100, []),
        (CatchUp.LAST, 100, [17]),
        (CatchUp.ALL, 100, [13, 14, 15, 16, 17]),
        (CatchUp.ALL, 2, [16, 17]),
    ],
)
def test_of_missed_ticks_those_start_that_catch_up_says(catch_up: CatchUp, most: int, hours: list[int]) -> None:
    """F93."""
    assert started(schedule(catch_up, Overlap.ALLOW, most=most), FIVE_LATE) == hours


@pytest.mark.parametrize(("catch_up", "hours"), [(CatchUp.NONE, [17]), (CatchUp.LAST, [17]), (CatchUp.ALL, [16, 17])])
def test_tick_on_time_is_the_last_of_those_missed(catch_up: CatchUp, hours: list[int]) -> None:
    assert started(schedule(catch_up, Overlap.ALLOW, most=2), NOON + 5 * HOUR + SECOND) == hours


def test_missed_ticks_are_told() -> None:
    assert (
        decided(schedule(CatchUp.NONE), FIVE_LATE).note == "missed 2026-05-01 13:00:00 UTC to 2026-05-01 17:00:00 UTC"
    )
    assert (
        decided(schedule(CatchUp.LAST), FIVE_LATE).note == "missed 2026-05-01 13:00:00 UTC to 2026-05-01 16:00:00 UTC"
    )


def test_word_about_missed_ticks_stays_until_one_starts() -> None:
    told = replace(schedule(), note="missed 2026-05-01 10:00:00 UTC")

    assert decided(told, NOON + MINUTE).note == told.note
    assert decided(told, NOON + HOUR).note is None


def test_years_of_missed_seconds_start_no_more_than_is_said() -> None:
    """F94: without reading them one by one."""
    one = replace(schedule(CatchUp.ALL, Overlap.ALLOW, most=3), timing=Every(SECOND))

    found = decided(one, NOON + timedelta(days=3_650))

    on_time = LATE // SECOND + 1
    assert len(found.start) == on_time


# --- early --------------------------------------------------------------------------------------------------------


def test_skip_starts_nothing_while_one_runs_and_says_so() -> None:
    found = decided(schedule(overlap=Overlap.SKIP, running=True), NOON + HOUR)

    assert (found.start, found.next_at) == ([], NOON + 2 * HOUR)
    assert found.note == "skipped 2026-05-01 13:00:00 UTC: the execution before it still ran"


def test_allow_starts_beside_what_runs() -> None:
    assert started(schedule(overlap=Overlap.ALLOW, running=True), NOON + HOUR) == [13]


def test_replace_cancels_what_runs() -> None:
    found = decided(schedule(overlap=Overlap.REPLACE, running=True), NOON + HOUR)

    assert ([tick.at.hour for tick in found.start], found.cancel) == ([13], RUNNING)


def test_queue_decides_nothing_while_one_runs() -> None:
    assert decide(schedule(overlap=Overlap.QUEUE, running=True), NOON + HOUR) is None


def test_queue_starts_one_after_the_other() -> None:
    """F94: nothing of what waits is lost, and two never run at once."""
    one, hours = schedule(CatchUp.ALL, Overlap.QUEUE), []

    for _ in range(5):
        found = decided(one, FIVE_LATE)
        hours += [tick.at.hour for tick in found.start]
        assert found.decided_at == FIVE_LATE or found.next_at == FIVE_LATE
        one = replace(one, decided_at=found.decided_at)

    assert hours == [13, 14, 15, 16, 17]
    assert started(one, FIVE_LATE) == []


def test_queue_with_catch_up_last_starts_only_the_newest_that_waits() -> None:
    found = decided(schedule(CatchUp.LAST, Overlap.QUEUE), FIVE_LATE)

    assert ([tick.at.hour for tick in found.start], found.decided_at) == ([17], FIVE_LATE)


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.REPLACE])
def test_making_up_for_all_while_only_one_may_run_is_refused(overlap: Overlap) -> None:
    with pytest.raises(InvalidOption, match="overlap='queue'"):
        Policy(CatchUp.ALL, overlap=overlap)


@pytest.mark.parametrize("most", [0, -1, 1_001])
def test_number_of_ticks_to_make_up_for_has_a_limit(most: int) -> None:
    with pytest.raises(InvalidOption, match="max_catch_up"):
        Policy(max_catch_up=most)


# --- whenever it is looked at -------------------------------------------------------------------------------------

policies = st.builds(Policy, st.sampled_from([CatchUp.NONE, CatchUp.LAST]), st.just(100), st.sampled_from(Overlap)) | (
    st.builds(Policy, st.just(CatchUp.ALL), st.integers(1, 5), st.sampled_from([Overlap.QUEUE, Overlap.ALLOW]))
)
timings = st.sampled_from([Every(HOUR), Every(7 * SECOND), Cron("*/20 * * * *", "Europe/Brussels"), Cron("30 2 * * *")])
pauses = st.lists(st.sampled_from([SECOND, 20 * SECOND, 30 * MINUTE, HOUR, 26 * HOUR]), min_size=1, max_size=20)


@given(policies, timings, pauses, st.data())
def test_no_tick_starts_twice_and_all_are_in_their_order(
    policy: Policy, timing: Every | Cron, pauses: list[timedelta], data: st.DataObject
) -> None:
    """I10, F94, F96: whenever schedulers look, and whatever runs then."""
    one, now, ticks = replace(schedule(), timing=timing, policy=policy), NOON, []

    for pause in pauses:
        now += pause
        one = replace(one, unfinished=RUNNING if data.draw(st.booleans()) else ())
        if (found := decide(one, now)) is None:
            continue
        ticks += [tick.at for tick in found.start]
        assert found.next_at is not None
        assert found.next_at > now or (found.next_at == now and policy.overlap is Overlap.QUEUE)
        one = replace(one, decided_at=found.decided_at, last_at=ticks[-1] if ticks else None)

    assert all(before < after for before, after in pairwise(ticks))
    assert set(ticks) <= set(timing.latest(after=NOON, until=now, limit=1_000_000))


# --- jitter, and by hand ------------------------------------------------------------------------------------------


@given(st.timedeltas(SECOND, HOUR), st.floats(0, 1))
def test_jitter_is_the_same_whoever_starts_the_tick_and_when(jitter: timedelta, part: float) -> None:
    tick = Tick("hourly", NOON)
    due_at = NOON + delay_of(tick, jitter, NOON)
    later = NOON + (due_at - NOON) * part

    assert NOON <= due_at <= NOON + jitter
    assert later + delay_of(tick, jitter, later) == due_at


def test_jitter_spreads_schedules_of_the_same_time() -> None:
    delays = {delay_of(Tick(f"s{number}", NOON), HOUR, NOON) for number in range(100)}

    assert len(delays) == 100
    assert max(delays) - min(delays) > 0.8 * HOUR


def test_late_tick_waits_no_more() -> None:
    assert delay_of(Tick("hourly", NOON), MINUTE, NOON + HOUR) == timedelta(0)


def test_start_by_hand_leaves_the_planned_ticks_alone() -> None:
    now = NOON + 30 * MINUTE
    found = start_now(schedule(running=True), now)

    assert found.start == [Tick("hourly", now, NOON)]
    assert (found.decided_at, found.next_at, found.cancel) == (NOON, NOON + HOUR, ())


def test_start_by_hand_has_a_key_of_its_own_whatever_the_time() -> None:
    (first,) = start_now(schedule(), NOON).start
    (second,) = start_now(replace(schedule(), last_at=first.at), NOON).start

    assert NOON < first.at < second.at
    assert first.key != second.key
