"""`stepwell start`: what is accepted, what is refused, what is said."""

from __future__ import annotations

import json
import signal
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.cli.conftest import Cli
from tests.cli.programs import Program
from tests.cli.sample import ended

FLOWS = """
from datetime import date
from decimal import Decimal
from stepwell import App, Step

app = App()

@app.workflow
async def pay(amount: Decimal, due: date, step: Step) -> str: ...
"""


@pytest.fixture
def flows(folder: Path) -> str:
    (folder / "payments.py").write_text(FLOWS)
    return "payments.py"


def shown(cli: Cli, execution: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(cli("executions", "show", execution, "--json").stdout)
    return document


def test_a_start_prints_the_id_alone_and_says_why_it_does_not_move(cli: Cli) -> None:
    answer = cli("start", "pay", "--input", '{"amount": "10.00"}')

    assert answer.exit_code == 0
    assert str(UUID(answer.stdout.strip())) + "\n" == answer.stdout
    assert answer.stderr == "pending: no worker has this workflow\n"


def test_a_start_as_json_is_one_document(cli: Cli) -> None:
    first, second = (
        json.loads(cli("start", "pay", "--tag", "a", "--tag", "b", "--key", "k", "--json").stdout) for _ in range(2)
    )

    assert first == {"id": first["id"], "workflow": "pay", "is_new": True}
    assert second == first | {"is_new": False}
    stored = shown(cli, first["id"])
    assert (stored["status"], stored["key"], stored["tags"]) == ("pending", "k", ["a", "b"])


def test_the_same_key_is_the_same_execution(cli: Cli) -> None:
    first = cli("start", "pay", "--key", "k", "--input", '{"n": 1}')
    second = cli("start", "pay", "--key", "k", "--input", '{ "n":1 }')

    assert second.stdout == first.stdout
    assert second.stderr == "this key had an execution already, nothing new was started; it is pending\n"


def test_the_same_key_with_another_input_is_refused(cli: Cli) -> None:
    first = cli("start", "pay", "--key", "k", "--input", '{"n": 1}')
    second = cli("start", "pay", "--key", "k", "--input", '{"n": 2}')

    assert (second.exit_code, second.stdout) == (1, "")
    assert second.stderr == (
        f"Error: key 'k' of workflow 'pay' already belongs to execution {first.stdout.strip()} with another input;"
        " use another key, or the same input\n"
    )


def test_known_flows_read_the_input_by_their_annotations(cli: Cli, flows: str) -> None:
    given = '{"due": "2026-12-24", "amount": "10.00000000000000000000001"}'

    answer = cli("start", "pay", "--flows", flows, "--input", given)

    assert answer.exit_code == 0, answer.stderr
    assert shown(cli, answer.stdout.strip())["input"] == {"amount": "10.00000000000000000000001", "due": "2026-12-24"}


def test_known_flows_refuse_bad_input_with_every_fault_and_store_nothing(cli: Cli, flows: str) -> None:
    answer = cli("start", "pay", "--flows", flows, "--input", '{"due": "never", "amoumt": 3}')

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("Error: input of workflow 'pay' is refused: ")
    assert "$.due: does not fit its annotation" in answer.stderr
    assert "$.amount: is missing" in answer.stderr
    assert "$.amoumt: is not a parameter" in answer.stderr
    assert json.loads(cli("executions", "list", "--json").stdout)["executions"] == []


def test_known_flows_refuse_a_workflow_they_do_not_have(cli: Cli, flows: str) -> None:
    answer = cli("start", "play", "--flows", flows)

    assert answer.exit_code == 2
    assert answer.stderr == "Error: no workflow is called 'play' here; it has: pay\n"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("{n: 3}", "$: is not JSON"),
        ("{", "$: is not JSON"),
        ("", "$: is not JSON"),
        ("3", "$: this process does not know the workflow: give a JSON object of its parameters"),
        ("[" * 5_000, "$: is nested deeper than 100 levels"),
        ('"\udcff"', "$: is not JSON"),
    ],
    ids=["unquoted", "cut", "empty", "no object", "deep", "no UTF-8"],
)
def test_an_input_that_is_no_object_is_refused(cli: Cli, given: str, fault: str) -> None:
    answer = cli("start", "pay", "--input", given)

    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"Error: input of workflow 'pay' is refused: {fault}")
    assert answer.stderr.count("\n") == 1


def test_without_flows_every_digit_of_the_input_is_kept(cli: Cli) -> None:
    given = '{"a": 0.1000000000000000000000001, "b": 123456789012345678901234567890, "c": "\\u0000é😀"}'

    answer = cli("start", "pay", "--input", given)

    stored = cli("executions", "show", answer.stdout.strip(), "--json").stdout
    assert "0.1000000000000000000000001" in stored
    assert "123456789012345678901234567890" in stored
    assert json.loads(stored)["input"]["c"] == "\0é😀"


def test_the_input_can_come_from_standard_input(cli: Cli) -> None:
    answer = cli("start", "pay", "--input", "-", stdin='{"n": 3}\n')

    assert shown(cli, answer.stdout.strip())["input"] == {"n": 3}


def test_an_empty_standard_input_is_no_input(cli: Cli) -> None:
    answer = cli("start", "pay", "--input", "-", stdin="\n")

    assert answer.exit_code == 2
    assert answer.stderr == ("Error: standard input holds no JSON; leave --input out when the workflow takes nothing\n")


@pytest.mark.parametrize("delay", ["10", "-1s", "soon", "99999999d", "1e3s", ""])
def test_a_delay_that_is_no_duration_is_refused(cli: Cli, delay: str) -> None:
    answer = cli("start", "pay", f"--delay={delay}")

    assert answer.exit_code == 2
    assert "Error: Invalid value for '--delay'" in answer.stderr


@pytest.mark.parametrize("deadline", ["4h", "2199-01-31T08:00", "2199-01-31T08:00+02:00"])
def test_a_start_has_the_deadline_that_it_is_given(cli: Cli, deadline: str) -> None:
    stored = shown(cli, cli("start", "pay", "--deadline", deadline).stdout.strip())

    expected = {"2199-01-31T08:00": "2199-01-31T08:00:00Z", "2199-01-31T08:00+02:00": "2199-01-31T06:00:00Z"}
    assert stored["deadline_at"] == expected.get(deadline, stored["deadline_at"])
    assert stored["deadline_at"] is not None


@pytest.mark.parametrize("deadline", ["soon", "-1h", ""])
def test_a_deadline_that_is_no_time_is_refused(cli: Cli, deadline: str) -> None:
    answer = cli("start", "pay", f"--deadline={deadline}")

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "is no time; write it like" in answer.stderr


def test_a_delayed_start_is_due_later(cli: Cli) -> None:
    stored = shown(cli, cli("start", "pay", "--delay", "10m").stdout.strip())

    due_at, created_at = (datetime.fromisoformat(str(stored[name])) for name in ("due_at", "created_at"))
    assert due_at - created_at == timedelta(minutes=10)


HOSTILE = [
    "it's",
    '"',
    "%s %(x)s %",
    "--",
    "-- x",
    "'; drop table stepwell.execution; --",
    "😀",
    "\x1b[2J",
    "\n\t",
    "{}[]",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_key_and_tag_are_kept_and_found_as_they_are(cli: Cli, text: str) -> None:
    tag = text.replace("\n", " ")
    started = cli("start", "pay", f"--key={text}", f"--tag={tag}", "--json")

    assert started.exit_code == 0, started.stderr
    by_key, by_tag = (
        json.loads(cli("executions", "list", option, "--json").stdout)["executions"]
        for option in (f"--key={text}", f"--tag={tag}")
    )
    assert by_key == by_tag
    assert [(one["key"], one["tags"]) for one in by_key] == [(text, [tag])]


@pytest.mark.parametrize("option", ["--key", "--tag"])
@pytest.mark.parametrize("text", ["", "\0", "a\udcffb", "k" * 501], ids=["empty", "NUL", "surrogate", "long"])
def test_a_text_that_cannot_be_stored_is_refused_by_name_also_in_a_filter(cli: Cli, option: str, text: str) -> None:
    start = cli("start", "pay", f"{option}={text}")
    filtered = cli("executions", "list", f"{option}={text}")

    for answer in (start, filtered):
        assert answer.exit_code == 2
        assert answer.stderr.startswith(f"Error: {option[2:]} '")
        assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["", "a/b", "a#2", "\0", "\x1b", "n" * 201])
def test_a_name_that_no_workflow_can_have_is_refused(cli: Cli, name: str) -> None:
    answer = cli("start", name)

    assert answer.exit_code == 2
    assert "use 1 to 200 characters, none of them '#', '/' or a control character" in answer.stderr
    assert answer.stderr.count("\n") == 1


# --- watching -----------------------------------------------------------------------------------------------------


def test_watching_shows_each_step_and_then_the_result_alone_on_standard_output(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "order", {"n": 3}, key="k")

    answer = cli("start", "order", "--key", "k", "--input", '{"n": 3}', "--watch")

    assert answer.exit_code == 0
    assert json.loads(answer.stdout) == {"doubled": 6, "items": 3}
    lines = answer.stderr.splitlines()
    assert lines[0] == f"found by its key {execution}"
    assert lines[1].startswith("attempt failed  double (attempt 1)  ConnectionError: the service is down; again at ")
    assert lines[2:] == [
        "completed       double (attempt 2)  6",
        "completed       each  3",
        "items           each  3 stored",
    ]


def test_watching_a_failure_ends_with_1_and_its_sentence(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "refused", key="k")

    answer = cli("start", "refused", "--key", "k", "--watch")

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[-1] == (
        f"Error: execution {execution} failed: StepFailed: step 'look-up' failed after 1 attempt:"
        r" stepwell.errors.Permanent: no such customer: [red]Ada[/red] \x1b[31m"
    ).replace("StepFailed", "stepwell.errors.StepFailed")


def test_watching_as_json_is_a_line_for_each_thing_that_happens(cli: Cli, database_url: str) -> None:
    ended(database_url, "order", {"n": 3}, key="k")

    answer = cli("start", "order", "--key", "k", "--input", '{"n": 3}', "--watch", "--json")

    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["started", "step", "step", "step", "items", "ended"]
    assert [line["state"] for line in lines[1:4]] == ["attempt failed", "completed", "completed"]
    assert lines[-1]["status"] == "completed"
    assert lines[-1]["result"] == {"doubled": 6, "items": 3}
    assert answer.stderr == ""


def test_ctrl_c_ends_the_watching_and_not_the_execution(cli: Cli, database_url: str, folder: Path) -> None:
    with Program("start", "nobody-has-it", "--watch", folder=folder, database_url=database_url) as watcher:
        execution = watcher.line("started").split()[-1]
        assert watcher.line("waits") == "waits           no worker has this workflow"

        watcher.signal(signal.SIGINT)

        assert watcher.ends() == 130
        assert watcher.rest() == [f"it goes on; see it again with: stepwell executions show {execution}"]
    assert shown(cli, execution)["status"] == "pending"
