"""`stepwell schedules`: list, pause, resume, run tell the truth."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stepwell import App, Tick, cron, every
from stepwell.runtime.shift import DEFAULTS
from tests.cli.conftest import Cli


@pytest.fixture
def schedules(cli: Cli, database_url: str) -> Cli:
    """`stepwell schedules ...` where code with two schedules has been put in force, and no worker runs."""

    async def declare() -> None:
        async with App(database_url) as app:

            @app.workflow(trigger=[every("1h", id="hourly"), cron("0 6 * * 1-5", tz="Europe/Brussels", id="mornings")])
            async def report(tick: Tick) -> None:
                return None

            await app.new_worker(DEFAULTS)

    asyncio.run(declare())
    return lambda *arguments, **options: cli("schedules", *arguments, **options)


def document(schedules: Cli, *arguments: str) -> Any:
    return json.loads(schedules(*arguments, "--json").stdout)


def test_each_schedule_is_listed_with_its_times_and_state(schedules: Cli) -> None:
    header, first, second = schedules("list").stdout.splitlines()

    assert header.split() == ["SCHEDULE", "STATE", "TIMES", "NEXT", "LAST", "RUNNING", "WHY"]
    assert first.split()[:4] == ["hourly", "active", "every", "1h"]
    assert second.split()[:8] == ["mornings", "active", "cron", "0", "6", "*", "*", "1-5"]


def test_list_without_schedules_says_where_they_come_from(cli: Cli) -> None:
    assert cli("schedules", "list").stderr == "there are no schedules; a worker's start declares those of its code\n"
    assert json.loads(cli("schedules", "list", "--json").stdout) == {"schedules": []}


def test_pause_and_resume_are_seen_in_the_list(schedules: Cli) -> None:
    paused = schedules("pause", "hourly", "--reason", "holidays")
    listed = document(schedules, "list")["schedules"][0]
    resumed = document(schedules, "resume", "hourly")

    assert paused.stdout == "hourly  paused\n"
    assert (listed["state"], listed["why"], listed["next_at"]) == ("paused", "holidays", None)
    assert (resumed["id"], resumed["state"], resumed["why"]) == ("hourly", "active", None)


def test_run_starts_an_execution_of_the_schedule_at_once(schedules: Cli, cli: Cli) -> None:
    schedules("pause", "hourly")

    started = document(schedules, "run", "hourly")
    again = schedules("run", "hourly").stdout.strip()

    listed = json.loads(cli("executions", "list", "--json").stdout)["executions"]
    assert [one["id"] for one in listed] == [again, started["id"]]
    assert {one["workflow"] for one in listed} == {"report"}
    assert document(schedules, "list")["schedules"][0]["running"] == 2


@pytest.mark.parametrize("verb", ["pause", "resume", "run"])
def test_unknown_schedule_is_one_sentence_with_those_there_are(schedules: Cli, verb: str) -> None:
    done = schedules(verb, "weekly")

    assert done.exit_code != 0
    assert done.stderr == "Error: no schedule is called 'weekly'; there are: hourly, mornings\n"
