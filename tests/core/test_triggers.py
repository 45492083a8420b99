"""What a workflow may declare as its trigger, and what is refused at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stepwell import cron, every
from stepwell.core.schedule import CatchUp, Overlap, Policy
from stepwell.core.timing import Cron, Every
from stepwell.core.triggers import ScheduleTrigger, as_triggers
from stepwell.errors import InvalidOption


def test_options_are_those_of_the_policy() -> None:
    trigger = every("90m", catch_up="none", max_catch_up=5, overlap="replace", jitter="30s", id="sync")

    policy = Policy(CatchUp.NONE, 5, Overlap.REPLACE, timedelta(seconds=30))
    assert trigger == ScheduleTrigger(Every(timedelta(minutes=90)), policy, "sync")


def test_a_plain_schedule_makes_up_for_the_last_tick_and_never_runs_twice_at_once() -> None:
    assert cron("0 6 * * 1-5", tz="Europe/Brussels") == ScheduleTrigger(
        Cron("0 6 * * 1-5", "Europe/Brussels"), Policy(CatchUp.LAST, 100, Overlap.SKIP)
    )


def test_making_up_for_all_is_one_after_the_other_unless_said_otherwise() -> None:
    assert every("1h", catch_up="all").policy.overlap is Overlap.QUEUE
    assert every("1h", catch_up="all", overlap="allow").policy.overlap is Overlap.ALLOW


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"catch_up": "first"}, "catch_up is 'first', use 'none' or 'last' or 'all'"),
        ({"overlap": "wait"}, "overlap is 'wait', use 'skip' or 'queue' or 'allow' or 'replace'"),
        ({"jitter": "soon"}, "jitter: 'soon' is no duration"),
        ({"max_catch_up": 0}, "max_catch_up is 0"),
    ],
)
def test_option_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        every("1h", **options)


@pytest.mark.parametrize("interval", ["often", "0s", "-1h", timedelta(milliseconds=1)])
def test_interval_that_makes_no_sense_is_refused(interval: Any) -> None:
    with pytest.raises(InvalidOption, match="every"):
        every(interval)


def test_expression_is_checked_where_it_is_written() -> None:
    with pytest.raises(InvalidOption, match="bad hour"):
        cron("0 25 * * *")


def test_one_trigger_or_several_or_none() -> None:
    first, second = every("1h"), cron("@daily")

    assert as_triggers(None) == ()
    assert as_triggers(first) == (first,)
    assert as_triggers([first, second]) == (first, second)


@pytest.mark.parametrize("trigger", ["1h", ["1h"], [every]])
def test_what_is_no_trigger_is_refused(trigger: Any) -> None:
    with pytest.raises(InvalidOption, match="every"):
        as_triggers(trigger)
