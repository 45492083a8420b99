"""The reference names every command, option, exit code, event and check, and no other."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click
import pytest

from stepwell import Execution, Status, StepRecord
from stepwell.app.follow import Counted, Ended, Stepped, Waits
from stepwell.cli import diagnosis, exits
from stepwell.cli.diagnosis import Disk, RefusedConnection, Role, Stranded, Undecided
from stepwell.cli.news import JsonNews
from stepwell.core.model import ExecutionId
from tests.cli.test_diagnosis import GOOD_SERVER, GOOD_WORK, INSTALLATION
from tests.cli.test_help import LEAVES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^## stepwell (.+)$\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE))
COMMON = {"--database", "--schema", "--json", "--debug"}


def usage(name: str, command: click.Command) -> str:
    arguments = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
    return " ".join([name, *(argument.rstrip(".") for argument in arguments)])


def first_column(section: str) -> set[str]:
    return {
        word for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for word in re.findall(r"`([^`]+)`", row)
    }


def test_every_command_has_its_section_and_no_other() -> None:
    assert sorted(SECTIONS) == sorted(usage(name, command) for name, command in LEAVES)


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_option_is_in_the_table_of_its_command_and_no_other(name: str, command: click.Command) -> None:
    options = {p.opts[0] for p in command.params if isinstance(p, click.Option)}
    documented = {option.split()[0] for option in first_column(SECTIONS[usage(name, command)]) if option[0] == "-"}

    assert documented == options - COMMON


@pytest.mark.parametrize("option", sorted(COMMON | {"--help", "--version"}))
def test_options_of_all_commands_are_documented_once(option: str) -> None:
    assert re.search(rf"`(stepwell )?{option}\b", PAGE)


def test_every_exit_code_is_documented_and_no_other() -> None:
    codes = {value for value in vars(exits).values() if isinstance(value, int) and not isinstance(value, bool)}

    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == codes


def test_every_check_of_the_doctor_is_documented_and_no_other() -> None:
    findings = [
        *diagnosis.of_installation(INSTALLATION),
        *diagnosis.of_server(GOOD_SERVER),
        *diagnosis.of_work(
            replace(
                GOOD_WORK,
                stranded=[Stranded("pay", "default", 1)],
                undecided=[Undecided("big", 1, "no")],
                refused=[RefusedConnection("acme", "the vendor refused it", 1)],
            ),
            has_autovacuum=True,
        ),
        diagnosis.of_disk(Disk("/d", 0, 0)),
        diagnosis.of_pooling(is_pooled=True),
        diagnosis.of_role(Role("app", may_change_schema=True)),
        diagnosis.of_schema("stepwell", None),
    ]

    assert first_column(SECTIONS["doctor"]) == {finding.check for finding in findings} | {"database"}


def test_every_event_of_watching_is_documented_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    execution = Execution(
        *(ExecutionId(UUID(int=7)), "pay", "default", Status.COMPLETED, None, None, (), b"{}", b"1", None),
        *(1, 0, None, now, now, now),
    )
    show = JsonNews()

    show.started(execution.id, is_new=True)
    show(Stepped(StepRecord("pay", "step", is_failure=False, attempt=1, recorded_at=now, retry_at=None, value=b"1")))
    show(Counted("each", 3))
    show(Waits("no worker has this workflow"))
    show(Ended(execution))

    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", SECTIONS["start WORKFLOW"], re.MULTILINE)
    documented = {event: set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", facts))) for event, facts in rows}
    assert documented == {event.pop("event"): set(event) for event in shown}
