"""`stepwell events`: send and list tell the truth."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.cli.conftest import Cli
from tests.cli.sample import parked, with_worker


def document(cli: Cli, *arguments: str) -> Any:
    return json.loads(cli("events", *arguments, "--json").stdout)


def test_a_sent_event_says_how_many_were_waiting_and_reaches_them(cli: Cli, database_url: str) -> None:
    execution = parked(database_url, "approval", {"number": "4711"})

    sent = cli("events", "send", "approved", "--payload", '{"by": "Ada"}', "--key", "4711")
    again = document(cli, "send", "approved", "--key", "4711")

    assert sent.stdout == "sent; 1 execution was waiting for it\n"
    assert again == {"name": "approved", "id": None, "is_new": True, "waiting": 0}
    assert with_worker(database_url, lambda app: app.result(execution)) == {"by": "Ada"}


def test_the_same_id_is_sent_once(cli: Cli) -> None:
    first, second = (cli("events", "send", "paid", "--key", "1", "--id", "bank-7") for _ in range(2))

    assert first.stdout == "sent; 0 executions were waiting for it\n"
    assert second.stdout == "not sent: an event with this id was accepted before\n"
    assert [one["id"] for one in document(cli, "list")["events"]] == ["bank-7"]


def test_a_payload_is_kept_to_the_digit_also_from_standard_input(cli: Cli) -> None:
    given = '{"amount":1.10,"number":123456789012345678901234567890}'
    answer = cli("events", "send", "paid", "--key", "1", "--payload", "-", stdin=given)

    assert answer.exit_code == 0
    assert given in "".join(cli("events", "list", "--json").stdout.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--payload", "{"], "payload of event 'paid'"),
        (["--payload", ""], "payload of event 'paid'"),
        (["--key", ""], "event key ''"),
        (["--key", "1", "--to", str(uuid4())], "give a key, or the execution it goes to, not both"),
        (["--to", "x"], "not a valid UUID"),
    ],
)
def test_what_cannot_be_sent_ends_with_2_and_nothing_is_kept(cli: Cli, arguments: list[str], says: str) -> None:
    answer = cli("events", "send", "paid", *arguments)

    assert answer.exit_code == 2
    assert says in answer.stderr
    assert document(cli, "list")["events"] == []


def test_an_event_to_an_unknown_execution_ends_with_1(cli: Cli) -> None:
    answer = cli("events", "send", "approved", "--to", str(uuid4()))

    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: there is no execution")


def test_events_that_are_kept_and_who_waits_are_listed(cli: Cli, database_url: str) -> None:
    execution = parked(database_url, "approval", {"number": "4711"})
    cli("events", "send", "paid", "--key", "\x1b[31m1", "--payload", '"yes"')

    header, event, _, waits, wait = cli("events", "list").stdout.splitlines()

    assert header.split() == ["EVENT", "FOR", "SENT", "ID", "PAYLOAD"]
    assert event.split()[:2] == ["paid", r"\x1b[31m1"]
    assert event.endswith('-   "yes"')
    assert waits.split() == ["WAITS", "STEP", "EVENT", "KEY", "WORKFLOW", "UNTIL"]
    assert wait.split() == [execution, "decision", "approved", "4711", "approval", "-"]


def test_a_name_and_a_key_show_theirs_alone(cli: Cli, database_url: str) -> None:
    execution = parked(database_url, "approval", {"number": "4711"})
    for name, key in (("paid", "1"), ("paid", "2"), ("approved", "1")):
        cli("events", "send", name, "--key", key)

    paid, second = document(cli, "list", "paid"), document(cli, "list", "paid", "--key", "2")
    decision = document(cli, "list", "approved", "--key", "4711")

    assert ([one["key"] for one in paid["events"]], paid["waits"]) == (["2", "1"], [])
    assert [one["key"] for one in second["events"]] == ["2"]
    assert (decision["events"], [one["execution_id"] for one in decision["waits"]]) == ([], [execution])


def test_a_list_that_was_cut_says_so(cli: Cli) -> None:
    for key in ("1", "2"):
        cli("events", "send", "paid", "--key", key)

    cut, whole, nothing = cli("events", "list", "--limit", "1"), cli("events", "list"), cli("events", "list", "sent")

    assert cut.stderr == "there may be more than 1: name the event, its key, or a larger --limit\n"
    assert (len(cut.stdout.splitlines()), whole.stderr) == (2, "")
    assert (nothing.stdout, nothing.stderr) == ("", "there are no such events, and nobody waits for one\n")
