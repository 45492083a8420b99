"""Exit codes and last sentences."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from stepwell import errors
from stepwell.cli.exits import DATABASE, FAILED, USAGE, ending_of
from tests.cli.conftest import Cli

ID = UUID(int=7)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("pay", [("$.n", "is missing")]), USAGE),
        (errors.InvalidOption("limit is 0"), USAGE),
        (errors.InvalidValue(path="$", reason="is no JSON"), USAGE),
        (errors.PayloadTooLarge(size_bytes=2, limit_bytes=1), USAGE),
        (errors.UnknownWorkflow("pay"), USAGE),
        (errors.UnknownExecution(ID), FAILED),
        (errors.KeyConflict(workflow="pay", key="k", execution_id=ID), FAILED),
        (errors.NotAllowed(operation="cancel", execution_id=ID, status="completed"), FAILED),
        (errors.ExecutionFailed(execution_id=ID, error_type="ValueError", message="no"), FAILED),
        (errors.ExecutionCancelled(execution_id=ID), FAILED),
        (errors.ResultTimeout(execution_id=ID, status="pending"), FAILED),
        (errors.StepTimeout(step="pay", timeout=timedelta(1)), FAILED),
        (errors.DatabaseUnavailable("the database cannot be reached"), DATABASE),
        (errors.DatabaseNotReady("run `stepwell migrate`"), DATABASE),
        (errors.EmbeddedUnavailable("no PostgreSQL was found"), DATABASE),
        (psycopg.errors.InsufficientPrivilege("permission denied for table execution"), DATABASE),
        (ZeroDivisionError("division by zero"), FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert ending_of(error).code == code


def test_an_error_of_several_lines_ends_as_one_sentence() -> None:
    ending = ending_of(errors.ExecutionFailed(execution_id=ID, error_type="ValueError", message="one\n two\r\nthree"))

    assert ending.sentence == f"execution {ID} failed: ValueError: one two three"


def test_an_unexpected_error_says_how_to_see_more() -> None:
    assert ending_of(ZeroDivisionError("division\nby zero")).sentence == (
        "unexpected ZeroDivisionError: division; run it with --debug to see where"
    )
    assert ending_of(KeyError()).sentence == "unexpected KeyError: (it says nothing); run it with --debug to see where"


def test_a_right_that_lacks_points_to_the_doctor() -> None:
    assert ending_of(psycopg.errors.InsufficientPrivilege("permission denied for table execution")).sentence == (
        "the database refuses: permission denied for table execution (42501);"
        " `stepwell doctor` shows which rights it lacks"
    )


def test_a_database_that_cannot_be_reached_is_told_with_the_way_out(cli_without_database: Cli) -> None:
    answer = cli_without_database("executions", "list")

    assert (answer.exit_code, answer.stdout) == (DATABASE, "")
    assert answer.stderr.startswith("Error: the database cannot be reached: ")
    assert answer.stderr.endswith("; see that it runs, and that --database or STEPWELL_DATABASE_URL is right\n")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--database", "--schema"])
def test_an_empty_option_is_no_way_to_another_database(cli: Cli, option: str) -> None:
    answer = cli("executions", "list", option, "")

    assert answer.exit_code == USAGE
    assert answer.stderr == f"Error: {option} is empty; leave it out, or give a value (is a shell variable unset?)\n"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@[broken",
        "postgresql://ada:secret%zz@host",
        "postgresql://ada:se%00cret@host",
        "postgresql://ada@host/?secret",
        "secret",
        "password=x secret",
        "password='secret",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(cli: Cli, url: str) -> None:
    answer = cli("executions", "list", "--database", url)

    assert answer.exit_code == USAGE
    assert answer.stderr.startswith("Error: the database URL cannot be read (")
    assert answer.stderr.endswith("); write it like postgresql://user:password@host:5432/database\n")
    assert "cret" not in answer.stderr


@pytest.mark.parametrize("schema", ["Stepwell", "a b", "x; drop schema stepwell", "é", "s" * 64, "pg_x"])
def test_a_schema_that_needs_quoting_is_refused(cli: Cli, schema: str) -> None:
    answer = cli("executions", "list", "--schema", schema)

    assert answer.exit_code == USAGE
    assert answer.stderr.startswith("Error: schema '")
    assert "': use lower-case letters, digits and underscores, at most 63" in answer.stderr
