"""`stepwell executions pause|resume|fork|cancel|retry|resolve` and `stepwell audit`: by name, in bulk, on record."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from stepwell.app.follow import Waits, follow
from stepwell.core.model import ExecutionId
from tests.cli.conftest import Cli
from tests.cli.programs import SECONDS
from tests.cli.sample import ended, parked, with_worker


def started(cli: Cli, workflow: str = "pay", *options: str) -> str:
    return cli("start", workflow, *options).stdout.strip()


def document(cli: Cli, *arguments: str) -> Any:
    return json.loads(cli(*arguments, "--json").stdout)


def statuses(cli: Cli) -> list[str]:
    return [one["status"] for one in document(cli, "executions", "list")["executions"]]


# --- by name --------------------------------------------------------------------------------------------------------


def test_a_paused_execution_says_by_whom_and_why_until_it_is_resumed(cli: Cli) -> None:
    execution = started(cli)

    paused = cli("executions", "pause", execution, "--by", "ann", "--reason", "prices are wrong")
    why = document(cli, "executions", "show", execution)["why"]
    resumed = cli("executions", "resume", execution)
    again = cli("executions", "resume", execution)

    assert paused.stdout == f"{execution}  paused\n"
    assert why == "paused by ann"
    assert resumed.stdout == f"{execution}  pending\n"
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.startswith(f"cannot resume execution {execution}")


def test_a_fork_with_an_edited_step_goes_on_from_what_is_stored(cli: Cli, database_url: str) -> None:
    source = ended(database_url, "order", {"n": 3})

    forked = document(cli, "executions", "fork", source, "--edit", "double=70")["executions"][0]
    result = with_worker(database_url, lambda app: app.result(forked["fork"]))

    assert forked["id"] == source
    assert result == {"doubled": 70, "items": 3}


def test_a_fork_with_another_input_begins_anew(cli: Cli, database_url: str) -> None:
    source = ended(database_url, "order", {"n": 3})

    forked = cli("executions", "fork", source, "--input", '{"n": 1}').stdout.split("forked as ")[1].strip()

    assert with_worker(database_url, lambda app: app.result(forked)) == {"doubled": 2, "items": 1}


def test_a_fork_from_a_step_that_is_not_there_is_told_and_ends_with_1(cli: Cli, database_url: str) -> None:
    source = ended(database_url, "order", {"n": 1})

    answer = cli("executions", "fork", source, "--from-step", "triple")

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "triple" in answer.stderr


def test_force_cancels_at_once_what_has_begun(cli: Cli, database_url: str) -> None:
    waiting = parked(database_url, "approval", {"number": "1"})

    gently = cli("executions", "cancel", waiting)
    at_once = cli("executions", "cancel", waiting, "--force")

    assert gently.stdout == f"{waiting}  pending; it may clean up, and will end as cancelled\n"
    assert at_once.stdout == f"{waiting}  cancelled\n"


# --- in bulk --------------------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_does_nothing(cli: Cli) -> None:
    started(cli), started(cli), started(cli, "play")

    counted = cli("executions", "cancel", "--workflow", "pay", "--dry-run")
    as_json = document(cli, "executions", "cancel", "--status", "pending", "--dry-run")

    assert counted.stdout == "2 executions match\n"
    assert as_json == {"matched": 3, "done": 0}
    assert statuses(cli) == ["pending"] * 3


def test_all_that_options_mean_are_changed_with_yes_and_no_others(cli: Cli) -> None:
    started(cli, "pay", "--tag", "eu"), started(cli, "pay", "--tag", "eu"), started(cli, "pay", "--tag", "us")

    done = cli("executions", "cancel", "--tag", "eu", "--reason", "a typo", "--yes")
    left = document(cli, "executions", "cancel", "--workflow", "pay", "--status", "cancelled", "--dry-run")

    assert done.stdout == "cancel: 2 of 2 executions\n"
    assert left["matched"] == 2
    assert statuses(cli) == ["pending", "cancelled", "cancelled"]


def test_those_that_do_not_allow_it_are_counted_and_left(cli: Cli, database_url: str) -> None:
    ended(database_url, "order", {"n": 1})
    started(cli, "order")

    assert document(cli, "executions", "cancel", "--workflow", "order", "--yes") == {"matched": 2, "done": 1}


@pytest.mark.parametrize("verb", ["cancel", "retry", "pause", "resume", "fork"])
def test_every_change_takes_a_filter_and_refuses_it_where_nobody_can_be_asked(cli: Cli, verb: str) -> None:
    started(cli)

    refused = cli("executions", verb, "--workflow", "pay")
    done = cli("executions", verb, "--workflow", "pay", "--yes")

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"Error: it would {verb} 1 execution; --yes does so without asking, --dry-run only counts\n"
    )
    assert (done.exit_code, done.stdout.partition(":")[0]) == (0, verb)


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, "cancelled"), (b"n\n", 1, "pending")])
def test_a_person_is_asked_first(cli: Cli, answer: bytes, code: int, left: str) -> None:
    started(cli)
    keyboard, terminal = pty.openpty()
    os.write(keyboard, answer)

    command = [sys.executable, "-m", "stepwell", "executions", "cancel", "--workflow", "pay"]
    asked = subprocess.run(command, stdin=terminal, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert "cancel 1 execution? [y/N]" in asked.stderr
    assert (asked.returncode, statuses(cli)) == (code, [left])
    os.close(keyboard)
    os.close(terminal)


def test_a_filter_that_means_nothing_asks_nobody(cli: Cli) -> None:
    assert cli("executions", "retry", "--status", "failed").stdout == "0 executions match\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "say which executions"),
        ([str(uuid4()), "--workflow", "pay"], "say which executions"),
        ([str(uuid4()), "--dry-run"], "--dry-run counts what options mean"),
        (["--text", "-"], "has no word to look for"),
    ],
)
def test_what_does_not_say_which_is_wrong_usage(cli: Cli, arguments: list[str], says: str) -> None:
    answer = cli("executions", "pause", *arguments)

    assert answer.exit_code == 2
    assert says in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--workflow", "pay", "--edit", "a=1"], "--edit and --input are for executions that you name"),
        ([str(uuid4()), "--edit", "a"], "write it like fetch=42"),
        ([str(uuid4()), "--edit", "a={"], "--edit a: "),
        ([str(uuid4()), "--input", "{}", "--from-step", "a"], "leave out from_step and edit"),
    ],
)
def test_a_fork_that_makes_no_sense_is_wrong_usage(cli: Cli, arguments: list[str], says: str) -> None:
    answer = cli("executions", "fork", *arguments)

    assert answer.exit_code == 2
    assert says in answer.stderr


# --- resolve --------------------------------------------------------------------------------------------------------


def unknown_effect(database_url: str) -> str:
    """An execution with an effect of which nobody knows whether it happened: its outcome was not stored."""
    execution = parked(database_url, "charge")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("delete from stepwell.checkpoint where key = 'pay'")
    return execution


@pytest.mark.parametrize(
    ("option", "result"), [(("--value", '"paid by hand"'), "paid by hand"), (("--repeat",), "paid")]
)
def test_an_effect_of_unknown_outcome_is_resolved_by_hand(
    cli: Cli, database_url: str, option: tuple[str, ...], result: str
) -> None:
    execution = unknown_effect(database_url)
    cli("events", "send", "go", "--to", execution)

    async def until_unknown(app: Any) -> None:
        async for news in follow(await app.open(), ExecutionId(UUID(execution))):
            if isinstance(news, Waits) and "unknown" in news.why:
                return

    with_worker(database_url, until_unknown)
    resolved = cli("executions", "resolve", execution, "pay", *option, "--by", "ann")

    assert resolved.stdout == f"{execution}  pending\n"
    assert with_worker(database_url, lambda app: app.result(execution)) == result
    assert document(cli, "audit", "list", execution)["audit"][0]["action"] == "resolve"


def test_a_step_whose_outcome_is_known_is_not_resolved(cli: Cli) -> None:
    execution = started(cli)

    answer = cli("executions", "resolve", execution, "pay", "--repeat")
    neither = cli("executions", "resolve", execution, "pay")

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert neither.exit_code == 2
    assert neither.stderr == "Error: give either --value, with what the effect made, or --repeat\n"


# --- audit ----------------------------------------------------------------------------------------------------------


def test_the_audit_says_who_did_what_newest_first(cli: Cli) -> None:
    execution, other = started(cli), started(cli)
    cli("executions", "pause", execution, "--by", "ann", "--reason", "wrong \x1b[31mprices")
    cli("executions", "cancel", other, execution, "--by", "bob")

    header, *lines = cli("audit", "list").stdout.splitlines()
    of_one = document(cli, "audit", "list", execution)

    assert header.split() == ["EXECUTION", "TIME", "ACTION", "BY", "DETAIL"]
    assert [line.split()[0] for line in lines] == [execution, other, execution]
    assert lines[-1].endswith(r"ann  wrong \x1b[31mprices")
    assert [(one["action"], one["by"]) for one in of_one["audit"]] == [("cancel", "bob"), ("pause", "ann")]
    assert of_one["before"] is None


def test_the_audit_is_read_in_pages(cli: Cli) -> None:
    execution = started(cli)
    for verb in ("pause", "resume", "cancel"):
        cli("executions", verb, execution)

    first = document(cli, "audit", "list", "--limit", "2")
    note = cli("audit", "list", "--limit", "2").stderr
    rest = document(cli, "audit", "list", "--before", str(first["before"]))

    assert [one["action"] for one in (*first["audit"], *rest["audit"])] == ["cancel", "resume", "pause"]
    assert note == f"there are more: --before {first['before']}\n"
    assert cli("audit", "list", str(uuid4())).stderr == "nothing was done\n"
