"""`stepwell doctor` on real databases in every condition."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stepwell.store.embedded import start_embedded
from stepwell.store.migrate import migrate
from tests.cli.conftest import Cli, run
from tests.cli.sample import ended, with_worker

LOOK = "usage on schema stepwell"
READ = "select on all tables in schema stepwell"
WRITE = "insert, update, delete on all tables in schema stepwell"


class Limited:
    """A role that has no right in a migrated database but those that it is granted."""

    def __init__(self, owner_url: str, role: str) -> None:
        self._owner_url, self.role = owner_url, role
        self.url = make_conninfo(owner_url, options=f"-c role={role}")

    def grant(self, *rights: str) -> None:
        with psycopg.connect(self._owner_url, autocommit=True) as connection:
            for right in rights:
                connection.execute(f"grant {right} to {self.role}".encode())


@pytest.fixture
def limited(limited_role: str, empty_database_url: str) -> Limited:
    migrate(empty_database_url)
    return Limited(empty_database_url, limited_role)


def checks(*arguments: str, exit_code: int = 0) -> dict[str, tuple[str, str]]:
    """check → (state, finding)"""
    answer = run("doctor", "--json", *arguments)
    document = json.loads(answer.stdout)
    assert (answer.exit_code, document["ok"]) == (exit_code, exit_code == 0), answer.stdout
    return {
        one["check"]: (one["state"], "; ".join(filter(None, (one["fact"], one["way_out"]))))
        for one in document["checks"]
    }


def test_a_healthy_database_is_told_line_by_line(cli: Cli, database_url: str) -> None:
    answer = cli("doctor")

    assert (answer.exit_code, answer.stderr) == (0, "")
    header, *lines = answer.stdout.splitlines()
    assert header.split() == ["STATE", "CHECK", "FINDING"]
    states = {line.split()[1]: line.split()[0] for line in lines}
    assert states.pop("durability") in ("ok", "warn")  # tests run on a server without fsync
    assert states.pop("workers") == "warn"
    assert set(states.values()) == {"ok"}
    assert list(states) == [
        *("python", "stepwell", "driver", "database", "connection", "server", "encoding", "clock"),
        *("role", "schema", "lateness", "search", "retention", "transactions", "vacuum"),
    ]


def test_what_runs_without_a_worker_is_found(cli: Cli) -> None:
    for _ in range(3):
        cli("start", "pay")

    found = checks()

    assert found["workers"] == ("warn", "none is alive; run `stepwell worker FLOWS`")
    assert found["executions"] == (
        "warn",
        "3 of workflow 'pay' wait, and no living worker has it; start a worker that has it, or cancel them",
    )


def test_living_workers_are_counted_and_what_they_have_is_not_stranded(cli: Cli, database_url: str) -> None:
    async def work(app: Any) -> dict[str, tuple[str, str]]:
        await app.start("sleeper")
        return await asyncio.to_thread(checks)

    found = with_worker(database_url, work)

    assert found["workers"] == ("ok", "1 alive")
    assert "executions" not in found


def test_an_execution_that_is_long_due_is_found(cli: Cli, database_url: str) -> None:
    cli("start", "pay")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update stepwell.execution set due_at = now() - interval '10 minutes'")
        connection.execute(
            "insert into stepwell.worker (id, name, workflows, queues, expires_at) values"
            " (gen_random_uuid(), 'busy:1', '{pay}', '{default}', now() + interval '1 minute'),"
            " (gen_random_uuid(), 'dead:1', '{pay}', '{default}', now() - interval '1 minute')"
        )

    found = checks()

    assert found["workers"] == ("ok", "1 alive, 1 expired and not yet cleaned up")
    assert found["lateness"][0] == "warn"
    assert found["lateness"][1].startswith("the oldest execution that is due waits for 600 s")


def test_what_workers_have_yet_to_do_beside_executions_is_found(cli: Cli, database_url: str) -> None:
    ended(database_url, "order", {"n": 3})
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update stepwell.execution set finished_at = now() - interval '40 days'")
        connection.execute("update stepwell.upkeep set reached_at = now() - interval '50 days'")
        connection.execute(
            "insert into stepwell.trigger (id, workflow, pattern, is_declared) values ('b', 'pay', '%', true)"
        )
        connection.execute(
            "insert into stepwell.dispatch (trigger, name, address, number, error)"
            " values ('b', 'paid', '', 1, 'KeyError: x')"
        )
        connection.execute(
            "insert into stepwell.connection (name, connector, settings, credentials, status, error)"
            " values ('acme', 'github', '{}', '', 'needs_reauth', 'invalid_grant')"
        )

    found = checks()

    assert found["search"][0] == "warn"
    assert found["search"][1].startswith(
        "1 ended execution not yet in the index of words, the earliest ended 57,600 min"
    )
    assert found["retention"] == ("ok", "the earliest that is kept ended 40 days ago")
    assert found["triggers"][1].startswith("'b' cannot decide about 1 event: KeyError: x; mend its `where`")
    assert found["connections"][1].startswith("'acme' needs re-authorisation: invalid_grant; `stepwell connections")


def test_relaxed_settings_are_found_as_the_role_has_them(cli: Cli, database_url: str) -> None:
    """F30"""
    found = checks("--database", make_conninfo(database_url, options="-c synchronous_commit=off"))

    state, finding = found["durability"]
    assert state == "warn"
    assert "synchronous_commit off: a power cut can lose work that was acknowledged" in finding


def test_a_database_without_the_schema_fails_and_is_told_what_helps(empty_database_url: str, folder: Path) -> None:
    found = checks("--database", empty_database_url, exit_code=1)

    state, finding = found["schema"]
    assert state == "fail"
    assert finding.endswith("; run `stepwell migrate`")
    assert "workers" not in found


def test_a_schema_that_this_version_cannot_work_with_fails(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("update stepwell.migration set checksum = 'x' where number = 1")

    state, finding = checks("--database", empty_database_url, exit_code=1)["schema"]

    assert (state, finding) == (
        "fail",
        "migration 0001_expand_engine.sql was applied in another form than this version has it",
    )


def test_a_role_is_told_which_rights_it_lacks(limited: Limited, folder: Path) -> None:
    nothing = checks("--database", limited.url, exit_code=1)
    limited.grant(LOOK, READ)
    reader = checks("--database", limited.url, exit_code=1)
    limited.grant(WRITE)
    worker = checks("--database", limited.url)

    assert nothing["role"] == (
        "fail",
        f"{limited.role} lacks: usage on schema stepwell; have the owner of the schema grant it",
    )
    assert reader["role"][0] == "fail"
    assert "insert on stepwell.execution" in reader["role"][1]
    assert "select on" not in reader["role"][1]
    assert worker["role"] == (
        "ok",
        f"{limited.role} may do all it needs, but not bring the schema to new versions:"
        " its owner runs `stepwell migrate` for that",
    )


def test_the_rights_it_names_are_enough_to_work(limited: Limited, folder: Path) -> None:
    limited.grant(LOOK)
    _, finding = checks("--database", limited.url, exit_code=1)["role"]
    limited.grant(*finding.split(";")[0].partition(" lacks: ")[2].split(", "))

    done, failed = ended(limited.url, "order", {"n": 3}), ended(limited.url, "refused")
    retried = run("executions", "retry", failed, "--database", limited.url)
    cancelled = run("executions", "cancel", failed, "--database", limited.url)
    shown = run("executions", "show", done, "--database", limited.url)

    assert [answer.exit_code for answer in (retried, cancelled, shown)] == [0, 0, 0]
    assert checks("--database", limited.url)["role"][0] == "ok"


def test_a_start_prints_its_id_although_it_may_not_be_looked_at(limited: Limited, folder: Path) -> None:
    limited.grant(LOOK, "select, insert, update on stepwell.execution", "select on stepwell.migration, stepwell.worker")

    answer = run("start", "pay", "--database", limited.url)

    assert answer.exit_code == 3
    assert "permission denied for view executions" in answer.stderr
    assert UUID(answer.stdout.strip())


def test_a_role_that_may_not_write_is_sent_to_the_doctor(limited: Limited, folder: Path) -> None:
    limited.grant(LOOK, READ)

    answer = run("start", "pay", "--database", limited.url)

    assert answer.exit_code == 3
    assert answer.stderr == (
        "Error: the database refuses: permission denied for table execution (42501);"
        " `stepwell doctor` shows which rights it lacks\n"
    )


def test_a_database_that_cannot_be_reached_fails_with_the_way_out(cli_without_database: Cli) -> None:
    answer = cli_without_database("doctor")

    assert answer.exit_code == 1
    assert "none at 127.0.0.1, port 1" in answer.stdout
    (line,) = (line for line in answer.stdout.splitlines() if line.startswith("fail"))
    assert "the database cannot be reached: " in line
    assert line.endswith("; see that it runs, and that --database or STEPWELL_DATABASE_URL is right")


def test_a_password_is_not_shown(cli_without_database: Cli) -> None:
    answer = cli_without_database("doctor", "--database", "postgresql://ada:secret@127.0.0.1:1/none")

    assert "secret" not in answer.stdout


def test_looking_at_no_embedded_database_makes_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_DATABASE_URL", raising=False)

    state, finding = checks()["database"]

    assert state == "ok"
    assert finding.startswith(
        f"embedded: none in {folder / '.stepwell'} yet; the first command that needs one makes it"
    )
    assert list(folder.iterdir()) == []


def test_an_embedded_database_is_looked_at_with_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_DATABASE_URL", raising=False)
    with start_embedded(folder / ".stepwell") as server:
        migrate(server.url)

        found = checks()

    assert found["database"] == ("ok", f"embedded, in {folder / '.stepwell'}")
    assert found["disk"][1].startswith(f"{folder / '.stepwell'} holds ")
    assert found["durability"] == ("ok", "a commit that was acknowledged survives a power cut")


def test_another_schema_is_looked_at_instead(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, schema="orders")

    assert checks("--database", empty_database_url, "--schema", "orders")["schema"] == (
        "ok",
        "orders is at this version",
    )
