"""`stepwell executions`: list, show, export, cancel, retry tell the truth."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from stepwell import App, Handle, Step
from stepwell.app.follow import Waits, follow
from stepwell.cli.family import MAX_CHILDREN, family_of, lines
from stepwell.core.model import Completed, ExecutionId
from stepwell.runtime.dry_run import DryRun, dry_run
from stepwell.runtime.history import History, history_from_json
from stepwell.server.documents import Execution
from stepwell.store.memory import MemoryStore
from tests.cli.conftest import Cli
from tests.cli.sample import ended, parked, sample_app, with_worker


def started(cli: Cli, workflow: str = "pay", *options: str) -> str:
    return cli("start", workflow, *options).stdout.strip()


def document(cli: Cli, *arguments: str) -> Any:
    return json.loads(cli("executions", *arguments, "--json").stdout)


# --- list ---------------------------------------------------------------------------------------------------------


def test_a_bare_start_is_listed_with_the_reason_why_it_does_not_move(cli: Cli) -> None:
    execution = started(cli)

    header, line = cli("executions", "list").stdout.splitlines()

    assert header.split() == ["ID", "STATUS", "WORKFLOW", "KEY", "AGE", "WHY"]
    assert line.split(maxsplit=6)[:4] == [execution, "pending", "pay", "-"]
    assert line.endswith("no worker has this workflow")


def test_the_newest_comes_first_and_the_next_page_is_named(cli: Cli) -> None:
    oldest, middle, newest = (started(cli) for _ in range(3))

    first = cli("executions", "list", "--limit", "2")
    second = cli("executions", "list", "--limit", "2", "--before", middle)

    assert [line.split()[0] for line in first.stdout.splitlines()[1:]] == [newest, middle]
    assert first.stderr == f"there are more: --before {middle}\n"
    assert [line.split()[0] for line in second.stdout.splitlines()[1:]] == [oldest]
    assert second.stderr == ""


def test_a_page_as_json_says_where_the_next_one_begins(cli: Cli) -> None:
    first, second = started(cli), started(cli)

    page = document(cli, "list", "--limit", "1")
    last = document(cli, "list", "--limit", "1", "--before", second)

    assert ([one["id"] for one in page["executions"]], page["before"]) == ([second], second)
    assert ([one["id"] for one in last["executions"]], last["before"]) == ([first], None)


def test_execution_as_json_has_the_names_of_the_api(cli: Cli) -> None:
    started(cli)

    (listed,) = document(cli, "list")["executions"]

    assert tuple(listed) == Execution.__struct_fields__


@pytest.mark.parametrize(
    ("option", "value", "found"),
    [
        ("--status", "pending", True),
        ("--status", "failed", False),
        ("--workflow", "pay", True),
        ("--workflow", "play", False),
        ("--key", "k", True),
        ("--key", "K", False),
        ("--tag", "urgent", True),
        ("--tag", "urg", False),
        ("--parent", "01920000-0000-7000-8000-000000000000", False),
        ("--created-after", "1h", True),
        ("--created-before", "1h", False),
        ("--created-before", "2999-12-31", True),
        ("--created-after", "2999-12-31T08:00+01:00", False),
        ("--finished-after", "7d", False),
    ],
)
def test_a_filter_shows_what_matches_it(cli: Cli, option: str, value: str, found: bool) -> None:
    execution = started(cli, "pay", "--key", "k", "--tag", "urgent")

    shown = document(cli, "list", option, value)["executions"]

    assert [one["id"] for one in shown] == [execution] * found


@pytest.mark.parametrize(
    ("text", "found"), [("order-47", False), ("urgent", True), ("k urg", True), ("nothing", False)]
)
def test_search_finds_executions_by_words(cli: Cli, text: str, found: bool) -> None:
    execution = started(cli, "pay", "--key", "k", "--tag", "urgent")

    shown = document(cli, "search", text, "--workflow", "pay")["executions"]

    assert [one["id"] for one in shown] == [execution] * found
    assert [one["id"] for one in document(cli, "search", execution[:23])["executions"]] == [execution]


def test_an_empty_list_says_so_and_prints_nothing(cli: Cli) -> None:
    nothing = cli("executions", "list")
    started(cli)
    no_match = cli("executions", "list", "--key", "k")

    assert (nothing.stdout, nothing.stderr) == ("", "there are no executions yet\n")
    assert (no_match.stdout, no_match.stderr) == ("", "no executions match\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--status", "done"],
        ["list", "--limit", "0"],
        ["list", "--limit", "1001"],
        ["list", "--before", "x"],
        ["list", "--created-after", "yesterday"],
        ["search"],
        ["show", "0192"],
        ["show"],
        ["cancel"],
        ["cancel", "'; drop"],
    ],
)
def test_wrong_usage_ends_with_2(cli: Cli, arguments: list[str]) -> None:
    answer = cli("executions", *arguments)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "Error: " in answer.stderr


# --- show ---------------------------------------------------------------------------------------------------------


def test_an_execution_is_shown_with_its_steps_in_their_order_and_its_result(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "order", {"n": 3}, key="k", tags=["urgent", "vip"])

    lines = cli("executions", "show", execution).stdout.splitlines()

    header = dict(line.split(maxsplit=1) for line in lines[: lines.index("")])
    assert header["execution"] == execution
    assert (header["status"], header["key"], header["tags"]) == ("completed", "k", "urgent, vip")
    assert (header["crashes"], "finished" in header, "due" in header) == ("0", True, False)
    steps = lines[lines.index("") + 1 : lines.index("input") - 1]
    assert [line.split()[0] for line in steps] == ["STEP", "double", "double", "each"]
    assert "attempt failed" in steps[1]
    assert "ConnectionError: the service is down; again at " in steps[1]
    assert steps[3].split()[1:3] == ["map", "completed"]
    assert steps[3].endswith("3 items")
    assert lines[lines.index("input") + 1 :] == [
        *("{", '  "n": 3', "}", ""),
        *("result", "{", '  "doubled": 6,', '  "items": 3', "}"),
    ]


def test_a_failure_folds_its_traceback_until_asked(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "refused")

    folded = cli("executions", "show", execution)
    unfolded = cli("executions", "show", execution, "--traceback")

    message = r"no such customer: [red]Ada[/red] \x1b[31m"
    assert folded.exit_code == 0
    assert folded.stdout.splitlines()[-1].endswith(message)
    assert folded.stderr == "--traceback shows where it was raised\n"
    assert "Traceback (most recent call last):" in unfolded.stdout
    assert "\x1b" not in unfolded.stdout


def test_an_execution_as_json_is_whole(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "refused")

    shown = document(cli, "show", execution)

    assert (shown["id"], shown["status"], shown["input"], shown["result"]) == (execution, "failed", {}, None)
    assert shown["error"]["type"] == "stepwell.errors.StepFailed"
    (step,) = shown["steps"]
    assert (step["step"], step["kind"], step["state"], step["attempt"]) == ("look-up", "step", "failed", 1)
    assert step["value"]["message"] == "no such customer: [red]Ada[/red] \x1b[31m"


def test_a_sleeper_is_shown_with_the_end_of_its_sleep(cli: Cli, database_url: str) -> None:
    async def work(app: App) -> UUID:
        handle: Handle[None] = await app.start("sleeper")
        async for news in follow(await app.open(), ExecutionId(handle.id)):
            if isinstance(news, Waits) and news.why.startswith("timer"):
                break
        return handle.id

    execution = str(with_worker(database_url, work))

    output = cli("executions", "show", execution).stdout

    assert "timer 'winter'" in output
    assert "timer set" in output
    assert "until 20" in output
    assert "\ndue " in output


def test_steps_in_branches_are_no_items(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "nested")

    steps = [step["step"] for step in document(cli, "show", execution)["steps"]]

    assert {step for step in steps if "/#" in step} == {
        f"{begun}/#{branch}/in-branch" for begun in ("begun", "begun#2") for branch in (1, 2)
    }


def test_items_of_a_map_under_way_are_counted(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "order", {"n": 600})  # more than a page of items
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("delete from stepwell.checkpoint where key = 'each'")

    shown = document(cli, "show", execution)
    lines = cli("executions", "show", execution).stdout.splitlines()

    assert shown["items"] == {"each": 600}
    assert [step["step"] for step in shown["steps"]] == ["double", "double"]
    (line,) = (line for line in lines if line.startswith("each"))
    assert line.split()[1:4] == ["map", "under", "way"]
    assert line.endswith("600 items so far")


def test_a_payload_that_is_stored_damaged_is_shown_as_such(cli: Cli, database_url: str) -> None:
    execution = started(cli)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update stepwell.execution set input = '\\x01ff'")

    assert "(unreadable: is stored damaged" in cli("executions", "show", execution).stdout
    assert "is stored damaged" in document(cli, "show", execution)["input"]["unreadable"]


def test_a_compressed_payload_is_shown_as_it_was(cli: Cli) -> None:
    text = "x" * 100_000
    execution = cli("start", "pay", "--input", "-", stdin=json.dumps({"text": text})).stdout.strip()

    assert document(cli, "show", execution)["input"] == {"text": text}


def test_an_unknown_execution_is_a_sentence_and_1(cli: Cli) -> None:
    unknown = uuid4()

    answer = cli("executions", "show", str(unknown))

    assert answer.exit_code == 1
    assert answer.stderr == f"Error: there is no execution {unknown}; it may have been removed by retention\n"


def test_a_parent_is_shown_with_its_children_as_a_tree_and_they_with_their_parent(cli: Cli, database_url: str) -> None:
    execution = parked(database_url, "family")

    shown = document(cli, "show", execution)
    aside, decide = shown["children"]
    text = cli("executions", "show", execution).stdout
    child = cli("executions", "show", decide["id"]).stdout

    assert (aside["workflow"], aside["parent_key"], aside["children"]) == ("sleeper", "aside", [])
    assert (decide["workflow"], decide["parent_id"], shown["unshown_children"]) == ("approval", execution, 0)
    assert f"├─ {aside['id']}" in text
    assert f"└─ {decide['id']}" in text
    assert f"{execution}  decide" in child


def test_what_an_execution_waits_for_its_deadline_and_what_was_done_to_it_are_shown(
    cli: Cli, database_url: str
) -> None:
    execution = parked(database_url, "approval", {"number": "4711"}, deadline="7d")
    cli("executions", "pause", execution, "--by", "ann")

    shown, text = document(cli, "show", execution), cli("executions", "show", execution).stdout

    assert [(one["name"], one["key"], one["step"]) for one in shown["waits"]] == [("approved", "4711", "decision")]
    assert [(one["action"], one["by"]) for one in shown["audit"]] == [("pause", "ann")]
    assert shown["deadline_at"] is not None
    assert {"WAITS", "EXECUTION", "deadline"} <= set(text.split())


async def test_a_large_family_is_cut_and_says_how_many_are_left_out() -> None:
    async with App(MemoryStore()) as app:

        @app.workflow
        async def child(n: int) -> int:
            return n

        @app.workflow
        async def parent(step: Step) -> None:
            await step.map("each", child, range(MAX_CHILDREN + 2), concurrency=100)

        async with app.worker():
            handle = await app.start(parent)
            await handle.result(timeout="30s")
        family = await family_of(app, await app.get(handle.id))

    shown = [before for before, _ in lines(family)]
    assert len(shown) == MAX_CHILDREN + 1
    assert shown[-1] == "└─ and 2 more"


# --- export -------------------------------------------------------------------------------------------------------


async def replayed(history: History, database_url: str) -> DryRun:
    app = sample_app(database_url)
    return await dry_run(history, app.registry[history.workflow])


def test_an_exported_history_replays_to_the_stored_result(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "order", {"n": 3})

    exported = history_from_json(cli("executions", "export", execution).stdout)
    run = asyncio.run(replayed(exported, database_url))

    assert (str(exported.id), exported.workflow, exported.status) == (execution, "order", "completed")
    assert [one.key for one in exported.checkpoints if one.kind != "item"] == ["double", "each"]
    assert [(one.key, one.attempt) for one in exported.attempts] == [("double", 1)]
    assert (run.divergence, run.unreached, run.outcome) == (None, (), Completed(bytes(exported.result)))


def test_an_export_of_an_unknown_id_is_refused(cli: Cli) -> None:
    answer = cli("executions", "export", str(uuid4()))

    assert (answer.exit_code, answer.stdout) == (1, "")


# --- cancel, retry ------------------------------------------------------------------------------------------------


def test_cancelling_tells_the_truth_of_each(cli: Cli, database_url: str) -> None:
    done, pending, unknown = ended(database_url, "order", {"n": 1}), started(cli), str(uuid4())

    answer = cli("executions", "cancel", done, pending, unknown, pending, "--reason", "a typo")

    assert answer.exit_code == 1
    assert answer.stdout == f"{pending}  cancelled\n" * 2
    assert answer.stderr.splitlines() == [
        f"cannot cancel execution {done}: it is completed",
        f"there is no execution {unknown}; it may have been removed by retention",
    ]
    assert document(cli, "show", pending)["why"] == "a typo"


def test_changes_as_json_are_one_document(cli: Cli, database_url: str) -> None:
    done, pending = ended(database_url, "order", {"n": 1}), started(cli)

    answer = cli("executions", "cancel", done, pending, "--json")

    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["executions"] == [
        {"id": done, "error": f"cannot cancel execution {done}: it is completed"},
        {"id": pending, "status": "cancelled"},
    ]


def test_one_wrong_id_changes_nothing(cli: Cli) -> None:
    pending = started(cli)

    answer = cli("executions", "cancel", pending, "no-id")

    assert answer.exit_code == 2
    assert document(cli, "show", pending)["status"] == "pending"


def test_cancelling_a_running_one_says_that_it_will_end_as_cancelled(cli: Cli, database_url: str) -> None:
    async def cancel_it() -> tuple[str, Any, str]:
        app, begun, may_end = App(database_url), asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            begun.set()
            await may_end.wait()

        @app.workflow
        async def slow(step: Step) -> None:
            await step.run("wait", wait)
            await step.run("never", wait)

        async with app, app.worker():
            handle = await app.start(slow)
            await begun.wait()
            answer = await asyncio.to_thread(cli, "executions", "cancel", str(handle.id))
            may_end.set()
            ending = await (await app.open()).ended(handle.id, timeout=None)
            return str(handle.id), answer, ending.status

    execution, answer, status = asyncio.run(cancel_it())

    assert answer.exit_code == 0
    assert answer.stdout == f"{execution}  running; its worker is told, it will end as cancelled\n"
    assert status == "cancelled"


def test_a_failed_execution_can_be_retried_and_a_completed_one_cannot(cli: Cli, database_url: str) -> None:
    failed, done = ended(database_url, "refused"), ended(database_url, "order", {"n": 1})

    answer = cli("executions", "retry", failed, done)

    assert answer.exit_code == 1
    assert answer.stdout == f"{failed}  pending\n"
    assert answer.stderr == f"cannot retry execution {done}: it is completed\n"


@pytest.mark.parametrize("reason", ["", "\0", "\udcff", "r" * 501])
def test_a_reason_that_cannot_be_stored_is_refused_and_nothing_is_changed(cli: Cli, reason: str) -> None:
    pending = started(cli)

    answer = cli("executions", "cancel", pending, f"--reason={reason}")

    assert answer.exit_code == 2
    assert answer.stderr.startswith("Error: reason ")
    assert document(cli, "show", pending)["status"] == "pending"


def test_another_schema_is_another_world(cli: Cli) -> None:
    execution = started(cli)

    answer = cli("executions", "list", "--schema", "other", "--json")

    assert json.loads(answer.stdout)["executions"] == []
    assert cli("executions", "show", execution, "--schema", "other").exit_code == 1
