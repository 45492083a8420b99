"""Those who start executions die between reading and deciding, are hours off, and are many."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from tests.faults.harness import Site

HOURS = 2 * 3600.0
SECOND = timedelta(seconds=1)

TICKS = """
    select key, status, count(*) over (partition by key) from stepwell.executions where workflow = 'chime' order by key
"""


async def chimes(site: Site, *, at_least: int) -> list[datetime]:
    """The ticks that have been started, once there are so many and each has completed."""

    async def are_enough() -> Sequence[tuple[str, str, int]]:
        rows = await site.query(TICKS)
        is_done = len(rows) >= at_least and all(status == "completed" for _, status, _ in rows)
        return [(key, status, count) for key, status, count in rows] if is_done else []

    found = await site.until(are_enough)
    assert {count for _, _, count in found} == {1}
    return sorted(datetime.fromisoformat(key.removeprefix("schedule:chime@")) for key, _, _ in found)


def gaps(ticks: Sequence[datetime]) -> set[timedelta]:
    return {later - earlier for earlier, later in pairwise(ticks)}


async def test_kill_between_reading_and_deciding_neither_loses_nor_doubles_a_tick(site: Site) -> None:
    """F91, F93, I10: one after the other dies there, and the next one goes on."""
    for nth in (1, 2):
        victim = site.worker(points=f"in_schedule_tick=kill@{nth}", has_clockwork=True)
        assert await victim.ended() == -signal.SIGKILL
    site.worker(has_clockwork=True)

    assert gaps(await chimes(site, at_least=5)) == {SECOND}


async def test_one_that_stops_between_reading_and_deciding_decides_nothing_later(site: Site) -> None:
    """F91, F4: others have decided meanwhile."""
    frozen = site.worker(points="in_schedule_tick=pause@3", has_clockwork=True)
    await frozen.paused()
    site.worker(has_clockwork=True)
    before = await chimes(site, at_least=5)
    frozen.resume()

    after = await chimes(site, at_least=len(before) + 3)

    assert gaps(after) == {SECOND}


async def test_schedulers_hours_apart_start_each_tick_once_and_in_time(site: Site) -> None:
    """F17, F91: it is the database's clock that decides."""
    for shift in (-HOURS, 0.0, HOURS):
        site.worker(has_clockwork=True, clock_shift=shift)

    ticks = await chimes(site, at_least=6)

    ((now,),) = await site.query("select now()")
    assert gaps(ticks) == {SECOND}
    assert abs(now - ticks[-1]) < timedelta(seconds=20)


ANSWERS = "select input, status from stepwell.executions where workflow = 'answer'"


async def test_event_starts_one_execution_whoever_dies(site: Site) -> None:
    """F91, F103, I7: each is sent twice, while one worker after the other is killed, frozen or hours off."""
    await site.ready(site.worker(has_clockwork=True, points="after_claim=kill@6"))
    numbers = range(1, 61)
    wanted = {number for number in numbers if number % 10}
    frozen = site.worker(has_clockwork=True, points="before_step=pause@2", clock_shift=-HOURS)
    site.worker(has_clockwork=True, points="in_schedule_tick=kill@4", clock_shift=HOURS)

    for number in numbers:
        for _ in range(2):
            await site.app.send_event(f"bell.{number}", {"number": number}, id=f"delivery {number}")
    site.worker(has_clockwork=True)

    async def are_answered() -> Sequence[tuple[str, str]]:
        rows = await site.query(ANSWERS)
        is_done = len(rows) >= len(wanted) and all(status == "completed" for _, status in rows)
        return [(given, status) for given, status in rows] if is_done else []

    found = await site.until(are_answered)
    frozen.resume()
    assert sorted(given for given, _ in found) == sorted(f'{{"number":{number}}}' for number in wanted)
    assert await site.query("select count(*) from stepwell.dispatch") == [(0,)]
