"""The SQL in the documents runs, the views are as described, and the rights to grant are those that the engine uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from stepwell import App, ExecutionCancelled, ExecutionFailed, Retry, Step, every
from stepwell.core.model import Kind
from stepwell.store.migrate import migrate, script
from tests.docs.pages import ROOT, Page, page

SQL, OPERATIONS = page("docs/reference/sql.md"), page("docs/operations.md")
STATEMENTS = sorted((ROOT / "src/stepwell/store/sql").glob("*.sql"))
ROLES = ("stepwell_owner", "stepwell_app", "stepwell_reader")

Connection = psycopg.Connection[Any]
HOUR = timedelta(hours=1)
Rights = set[tuple[str, str]]


def blocks(of: Page, section: str) -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```$", of.section(section), re.MULTILINE | re.DOTALL)


QUESTIONS = [*blocks(SQL, "## Questions"), *blocks(OPERATIONS, "## Monitoring")]


def workflows(url: str) -> App:
    """An app with a workflow for each way in which an execution can be."""
    app = App(url)

    @app.workflow
    async def works(step: Step) -> int:
        return await step.run("one", lambda: 1)

    @app.workflow(trigger=every("36500d"))  # no tick falls into a test
    async def rarely() -> None:
        return None

    @app.workflow(retry=Retry(1))
    async def fails(step: Step) -> None:
        await step.run("divide", lambda: 1 // 0)

    @app.workflow(retry=Retry(2, first_delay="1ms"))
    async def writes(step: Step) -> int:
        async def write(connection: psycopg.AsyncConnection[Any]) -> int:
            cursor = await connection.execute("select 1")
            row = await cursor.fetchone()
            return int(row[0]) if row else 0

        await step.map("each", abs, range(3))
        return await step.transaction("write", write)

    @app.workflow
    async def sleeps(step: Step) -> None:
        await step.sleep("long", "1h")

    return app


async def use_everything(app: App) -> None:
    """Start, run, fail, retry, pause, resume, cancel, list."""
    async with app, app.worker():
        for workflow in ("works", "writes"):
            assert await app.result((await app.start(workflow, key="once")).id, timeout="10s") == 1
        failed = (await app.start("fails")).id
        with pytest.raises(ExecutionFailed):
            await app.result(failed, timeout="10s")
        await app.retry(failed)
        with pytest.raises(ExecutionFailed):
            await app.result(failed, timeout="10s")
        await app.pause_schedule("rarely")
        assert await (await app.run_schedule("rarely")).result("10s") is None
        await app.resume_schedule("rarely")
        asleep = (await app.start("sleeps", delay="1h")).id
        await app.cancel(asleep)
        with pytest.raises(ExecutionCancelled):
            await app.result(asleep, timeout="10s")
        await app.start("sleeps", delay="1h", tags=["later"])
        assert len(await app.list()) == 6
        assert len(await app.search("later")) == 1
        assert sum((await app.count(tags=["later"])).values()) == 1
        store = (await app.open()).store
        await store.make_searchable()
        assert not any([await store.remove(app.registry.kept), await store.remove_events(HOUR), await store.sweep()])


@pytest.fixture
def look(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


async def test_questions_of_operators_are_answered(database_url: str, look: Connection) -> None:
    await use_everything(workflows(database_url))

    answers = [look.execute(question.encode()).fetchall() for question in QUESTIONS]

    assert len(answers) >= 10
    ((workflow, status, why),) = [row[1:4] for row in answers[0]]
    assert (workflow, status) == ("sleeps", "pending")
    assert why.startswith("no worker has this workflow; delayed until ")


@pytest.mark.parametrize("view", ["executions", "steps", "workers", "events", "waits", "schedules", "triggers"])
def test_every_column_of_a_view_is_described_in_its_order(view: str, look: Connection) -> None:
    cells = re.findall(r"^\| (`[^|]*) \|", SQL.section(f"### `stepwell.{view}`"), re.MULTILINE)
    columns = look.execute(
        "select column_name from information_schema.columns where table_schema = 'stepwell' and table_name = %s", [view]
    ).fetchall()

    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == {name for (name,) in columns}


def test_every_kind_of_step_is_described() -> None:
    row = re.search(r"^\| `kind` \| (.*) \|$", SQL.section("### `stepwell.steps`"), re.MULTILINE)

    assert row is not None
    assert set(re.findall(r"`([a-z]+)`", row[1])) == set(Kind)


def test_every_table_is_described(look: Connection) -> None:
    tables = look.execute("select tablename from pg_tables where schemaname = 'stepwell'").fetchall()

    assert set(re.findall(r"^\| `stepwell\.(\w+)` \|", SQL.section("## Tables"), re.MULTILINE)) == {
        name for (name,) in tables
    }


# --- roles --------------------------------------------------------------------------------------------------------


@pytest.fixture
def as_role(admin: Connection, empty_database_url: str) -> Iterator[Callable[[str], str]]:
    """The database's URL for one of the roles, which are made as the page says."""

    def url_of(role: str) -> str:
        return make_conninfo(empty_database_url, options=f"-c role={role}")

    admin.execute("select pg_advisory_lock(hashtextextended('roles', 0))")  # they belong to the whole server
    try:
        to_begin, to_grant, to_read = blocks(OPERATIONS, "## Roles")
        run(empty_database_url, to_begin)
        migrate(url_of("stepwell_owner"))
        run(url_of("stepwell_owner"), to_grant)
        run(empty_database_url, to_read)
        yield url_of
    finally:
        for (role,) in admin.execute("select rolname from pg_roles where rolname = any(%s)", [list(ROLES)]).fetchall():
            run(empty_database_url, f"drop owned by {role}; drop role {role}")
        admin.execute("select pg_advisory_unlock(hashtextextended('roles', 0))")


def run(url: str, statements: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statements.encode())


async def test_runtime_role_can_do_everything_the_engine_does(as_role: Callable[[str], str]) -> None:
    await use_everything(workflows(as_role("stepwell_app")))


def test_runtime_role_gets_the_rights_that_the_statements_need_and_no_others() -> None:
    needed = {right for path in STATEMENTS for right in rights_needed(path.read_text())}

    assert rights_granted(blocks(OPERATIONS, "## Roles")[1]) == needed


def test_doctor_asks_for_the_rights_that_the_page_grants() -> None:
    listed = re.findall(
        r"\('stepwell\.(\w+)', '\{([a-z,]+)\}'", (ROOT / "src/stepwell/cli/sql/lacking.sql").read_text()
    )
    asked = {(verb, table) for table, verbs in listed for verb in verbs.split(",") if verb != "select"}

    assert asked == rights_granted(blocks(OPERATIONS, "## Roles")[1])


def rights_needed(statement: str) -> Rights:
    written = re.findall(r"\b(insert into|update|delete from) stepwell\.(\w+)", statement)
    rights = {(verb.split()[0], table) for verb, table in written if table != "migration"}
    upserted = re.findall(r"insert into stepwell\.(\w+)(?:(?!insert into)[\s\S])*?do update", statement)
    locked = re.findall(r"from stepwell\.(\w+)[^()]* for update", statement)
    return rights | {("update", table) for table in upserted + locked}


def rights_granted(statements: str) -> Rights:
    granted = re.findall(r"grant ([a-z, ]+) on (stepwell\.[\w., ]+) to", statements)
    return {(verb, table) for verbs, tables in granted for verb in verbs.split(", ") for table in names(tables)}


def names(tables: str) -> list[str]:
    return [table.strip().removeprefix("stepwell.") for table in tables.split(",")]


@pytest.mark.parametrize("statement", ["create table stepwell.x ()", "drop view stepwell.steps", "create schema x"])
def test_runtime_role_cannot_change_the_schema(statement: str, as_role: Callable[[str], str]) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(as_role("stepwell_app"), statement)


def test_reader_sees_the_views_and_nothing_else(as_role: Callable[[str], str]) -> None:
    run(
        as_role("stepwell_reader"),
        "select * from stepwell.executions, stepwell.steps, stepwell.workers, stepwell.schedules",
    )

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(as_role("stepwell_reader"), "select from stepwell.execution")


# --- migrations and retention -------------------------------------------------------------------------------------


async def test_printed_migrations_make_the_schema(empty_database_url: str) -> None:
    run(empty_database_url, script())

    await use_everything(workflows(empty_database_url))


async def test_retention_removes_what_ended_long_ago_and_nothing_else(database_url: str, look: Connection) -> None:
    app = workflows(database_url)
    await use_everything(app)
    look.execute("update stepwell.execution set finished_at = now() - interval '31 days' where workflow = 'writes'")
    left = look.execute("select count(*) from stepwell.execution").fetchone()
    counting, removing = blocks(OPERATIONS, "## Retention")
    assert look.execute(counting.encode()).fetchall() == [("writes", 1)]

    removed = [look.execute(removing.replace("no-longer-there", "writes").encode()).fetchone() for _ in range(2)]
    await (await app.open()).store.sweep()
    await app.close()

    assert removed == [(1,), (0,)]
    assert left is not None
    assert look.execute("select count(*) from stepwell.execution").fetchone() == (left[0] - 1,)
    for table in ("checkpoint", "attempt"):
        orphans = sql.SQL(
            "select count(*) from {} c where not exists (select from stepwell.execution x where x.id = c.execution_id)"
        ).format(sql.Identifier("stepwell", table))
        assert look.execute(orphans).fetchone() == (0,)
