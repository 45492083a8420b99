"""Starting inside the caller's transaction, and steps whose writes commit with their checkpoint."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from stepwell import App, ExecutionFailed, InvalidOption, KeyConflict, Retry, Status, Step, StepFailed, SyncStep
from stepwell.store import transaction

AsyncConnection = psycopg.AsyncConnection[Any]
Connection = psycopg.Connection[Any]


@pytest.fixture
async def table(app: App, database_url: str) -> AsyncIterator[AsyncConnection]:
    """A connection to look at the application's own table."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("create table orders (number integer unique deferrable initially deferred)")
        yield connection


async def rows(table: AsyncConnection) -> list[int]:
    found = await table.execute("select number from orders order by number")
    return [row[0] for row in await found.fetchall()]


async def insert(connection: AsyncConnection, number: int) -> int:
    await connection.execute("insert into orders values (%s)", [number])
    return number


def insert_plainly(connection: Connection, number: int) -> int:
    connection.execute("insert into orders values (%s)", [number])
    return number


# --- starting in the caller's transaction -------------------------------------------------------------------------


async def test_start_in_a_transaction_commits_with_it(app: App, database_url: str, table: AsyncConnection) -> None:
    """Promise 1."""

    @app.workflow
    async def flow(number: int) -> int:
        return number

    async with app.worker():
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await insert(connection, 1)
            handle = await app.start(flow, 7, connection=connection)
            assert await app.list() == []
        assert await handle.result("30s") == 7
    assert await rows(table) == [1]


async def test_start_in_a_transaction_that_is_rolled_back_leaves_nothing(
    app: App, database_url: str, table: AsyncConnection
) -> None:
    @app.workflow
    async def flow(number: int) -> None:
        return None

    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await insert(connection, 1)
        await app.start(flow, 7, key="order-7", connection=connection)
        await connection.rollback()

    assert await app.list() == []
    assert await rows(table) == []
    assert (await app.start(flow, 8, key="order-7")).is_new


async def test_refused_start_leaves_the_transaction_usable(app: App, database_url: str, table: AsyncConnection) -> None:
    @app.workflow
    async def flow(number: int) -> None:
        return None

    first = await app.start(flow, 7, key="order-7")
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        with pytest.raises(KeyConflict):
            await app.start(flow, 8, key="order-7", connection=connection)
        again = await app.start(flow, 7, key="order-7", connection=connection)
        await insert(connection, 1)

    assert (again.id, again.is_new) == (first.id, False)
    assert await rows(table) == [1]


def test_start_on_a_plain_connection_needs_no_event_loop(database_url: str) -> None:
    app = App(database_url)

    @app.workflow
    def flow(number: int) -> int:
        return number

    with psycopg.connect(database_url) as connection:
        kept = app.start_on(connection, flow, 7, key="kept")
        with pytest.raises(KeyConflict):
            app.sync.start(flow, 8, key="kept", connection=connection)
    with psycopg.connect(database_url) as connection:
        app.sync.start(flow, 9, key="dropped", connection=connection)
        connection.rollback()

    assert [one.id for one in app.sync.list()] == [kept.id]
    app.sync.close()


async def test_start_takes_a_plain_connection_too(app: App, database_url: str) -> None:
    @app.workflow
    async def flow(number: int) -> None:
        return None

    with psycopg.connect(database_url) as connection:
        handle = await app.start(flow, 7, connection=connection)

    assert await handle.status() is Status.PENDING


@pytest.mark.parametrize("connection", [object(), "postgresql://", 7])
async def test_what_is_no_psycopg_connection_is_refused(app: App, connection: Any) -> None:
    @app.workflow
    async def flow() -> None:
        return None

    with pytest.raises(InvalidOption, match="give a psycopg connection"):
        await app.start(flow, connection=connection)


# --- step.transaction ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [insert, insert_plainly])
async def test_writes_and_checkpoint_commit_as_one(app: App, table: AsyncConnection, function: Any) -> None:
    @app.workflow
    async def flow(number: int, step: Step) -> int:
        found: int = await step.transaction("store", function, number)
        await step.sleep("pause", "2100ms")
        return found

    handle = await app.start(flow, 7)
    async with app.worker():
        assert await handle.result("30s") == 7

    assert await rows(table) == [7]
    assert [(one.key, one.kind) for one in await app.steps(handle.id)] == [("pause", "sleep"), ("store", "transaction")]


async def test_plain_workflow_stores_in_transactions_too(app: App, table: AsyncConnection) -> None:
    @app.workflow
    def flow(step: SyncStep) -> int:
        return step.transaction("store", insert_plainly, 7)

    async with app.worker():
        assert await (await app.start(flow)).result("30s") == 7

    assert await rows(table) == [7]


@pytest.mark.parametrize("is_async", [True, False])
async def test_writes_of_a_failed_attempt_are_rolled_back(app: App, table: AsyncConnection, is_async: bool) -> None:
    attempts: list[int] = []

    async def store(connection: AsyncConnection) -> None:
        await insert(connection, 7)
        attempts.append(7)
        if len(attempts) < 3:
            raise ValueError("again")

    def store_plainly(connection: Connection) -> None:
        insert_plainly(connection, 7)
        attempts.append(7)
        if len(attempts) < 3:
            raise ValueError("again")

    @app.workflow
    async def flow(step: Step) -> None:
        function: Any = store if is_async else store_plainly
        await step(retry=Retry(3, first_delay="1ms")).transaction("store", function)

    async with app.worker():
        await (await app.start(flow)).result("30s")

    assert attempts == [7, 7, 7]
    assert await rows(table) == [7]


@pytest.mark.parametrize("function", [insert, insert_plainly])
async def test_commit_that_the_database_refuses_is_the_steps_failure(
    app: App, table: AsyncConnection, function: Any
) -> None:
    """F24: a deferred constraint speaks up at the commit only."""
    await table.execute("insert into orders values (7)")

    @app.workflow
    async def flow(step: Step) -> str:
        try:
            await step(retry=Retry(2, first_delay="1ms")).transaction("store", function, 7)
        except StepFailed as failed:
            return f"{failed.error_type} {failed.attempts}"
        return ""

    async with app.worker():
        assert await (await app.start(flow)).result("30s") == "psycopg.errors.UniqueViolation 2"

    assert await rows(table) == [7]


@pytest.mark.parametrize("function", [insert, insert_plainly])
async def test_function_with_a_block_of_its_own_does_not_commit_before_the_checkpoint(
    app: App, table: AsyncConnection, function: Any
) -> None:
    """Promise 5: `with connection.transaction()` is what psycopg's users write."""
    attempts: list[int] = []

    async def store(connection: AsyncConnection) -> None:
        async with connection.transaction():
            await insert(connection, 7)
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("after the block")

    def store_plainly(connection: Connection) -> None:
        with connection.transaction():
            insert_plainly(connection, 7)
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("after the block")

    @app.workflow
    async def flow(step: Step) -> None:
        chosen: Any = store if function is insert else store_plainly
        await step(retry=Retry(2, first_delay="1ms")).transaction("store", chosen)

    async with app.worker():
        await (await app.start(flow)).result("30s")

    assert await rows(table) == [7]


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("way", ["commit", "rollback"])
async def test_function_that_commits_itself_is_refused(
    app: App, table: AsyncConnection, is_async: bool, way: str
) -> None:
    """Promise 5."""

    async def store(connection: AsyncConnection) -> None:
        await insert(connection, 7)
        await getattr(connection, way)()

    def store_plainly(connection: Connection) -> None:
        insert_plainly(connection, 7)
        getattr(connection, way)()

    @app.workflow
    async def flow(step: Step) -> None:
        function: Any = store if is_async else store_plainly
        await step(retry=Retry(1)).transaction("store", function)

    async with app.worker():
        with pytest.raises(ExecutionFailed, match=f"{way}"):
            await (await app.start(flow)).result("30s")

    assert await rows(table) == []


@pytest.mark.parametrize("is_async", [True, False])
async def test_transaction_of_a_worker_that_lost_its_lease_is_rolled_back(
    app: App, table: AsyncConnection, is_async: bool
) -> None:
    """F1, promise 6: another worker has taken over, so nothing of this one lands."""
    attempts: list[int] = []

    async def lose_the_lease() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            await table.execute("delete from stepwell.worker")

    async def store(connection: AsyncConnection) -> None:
        await insert(connection, 7)
        await lose_the_lease()

    def store_plainly(connection: Connection) -> None:
        insert_plainly(connection, 7)
        asyncio.run_coroutine_threadsafe(lose_the_lease(), loop).result(10)

    @app.workflow
    async def flow(step: Step) -> None:
        function: Any = store if is_async else store_plainly
        await step.transaction("store", function)

    loop = asyncio.get_running_loop()
    async with app.worker():
        await (await app.start(flow)).result("20s")

    assert attempts == [1, 1]
    assert await rows(table) == [7]


@pytest.mark.parametrize("is_async", [True, False])
async def test_conflict_with_another_transaction_is_the_steps_failure_and_tried_again(
    app: App, table: AsyncConnection, is_async: bool
) -> None:
    """F24: serialization failures are operational errors too, but nothing was lost."""
    attempts: list[int] = []
    read = "select coalesce(sum(number), 0) from orders"

    async def meddle() -> None:
        """Read what the step writes and write what it has read, and be first to commit."""
        async with await psycopg.AsyncConnection.connect(database_url) as other:
            await other.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
            await other.execute(read)
            await insert(other, 1)

    async def store(connection: AsyncConnection) -> None:
        await connection.execute("set transaction isolation level serializable")
        await connection.execute(read)
        await insert(connection, 7)
        attempts.append(1)
        if len(attempts) == 1:
            await meddle()

    def store_plainly(connection: Connection) -> None:
        connection.execute("set transaction isolation level serializable")
        connection.execute(read)
        insert_plainly(connection, 7)
        attempts.append(1)
        if len(attempts) == 1:
            asyncio.run_coroutine_threadsafe(meddle(), loop).result(10)

    @app.workflow
    async def flow(step: Step) -> None:
        function: Any = store if is_async else store_plainly
        await step(retry=Retry(2, first_delay="1ms")).transaction("store", function)

    loop, database_url = asyncio.get_running_loop(), await app.database_url()
    handle = await app.start(flow)
    async with app.worker():
        await handle.result("20s")

    assert len(attempts) == 2
    assert await rows(table) == [1, 7]
    assert (await app.get(handle.id)).passes == 1


async def test_step_whose_connection_is_cut_is_tried_again_and_stored_once(app: App, table: AsyncConnection) -> None:
    """F22, F24."""
    attempts: list[int] = []

    async def store(connection: AsyncConnection) -> None:
        await insert(connection, 7)
        attempts.append(1)
        if len(attempts) == 1:
            await table.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
            await connection.execute("select 1")

    @app.workflow
    async def flow(step: Step) -> None:
        await step(retry=Retry(3, first_delay="1ms")).transaction("store", store)

    async with app.worker():
        await (await app.start(flow)).result("20s")

    assert len(attempts) == 2
    assert await rows(table) == [7]


@pytest.mark.parametrize("is_async", [True, False])
async def test_connection_is_lent_as_if_nobody_had_had_it_before(
    app: App, table: AsyncConnection, is_async: bool
) -> None:
    """What one step makes of it, the next one does not meet: rows as dicts, settings, temporary tables."""

    async def change(connection: AsyncConnection) -> None:
        connection.row_factory = dict_row
        await connection.execute("set search_path to nowhere")
        await connection.execute("create temp table mine (number integer)")

    async def look(connection: AsyncConnection) -> list[str | None]:
        found = await connection.execute(session)
        return list(await found.fetchone() or ())

    def change_plainly(connection: Connection) -> None:
        connection.row_factory = dict_row
        connection.execute("set search_path to nowhere")
        connection.execute("create temp table mine (number integer)")

    def look_plainly(connection: Connection) -> list[str | None]:
        return list(connection.execute(session).fetchone() or ())

    session = "select current_setting('search_path'), to_regclass('pg_temp.mine')::text"
    functions: list[Any] = [look, change, look] if is_async else [look_plainly, change_plainly, look_plainly]

    @app.workflow
    async def flow(step: Step) -> list[Any]:
        return [await step.transaction(f"part-{n}", function) for n, function in enumerate(functions)]

    async with app.worker():
        before, _, after = await (await app.start(flow)).result("20s")

    assert before == after


async def test_more_transactions_than_connections_all_come_to_their_end(app: App, table: AsyncConnection) -> None:
    """F34."""

    @app.workflow
    async def flow(step: Step) -> None:
        await asyncio.gather(*(step.transaction(f"store-{n}", insert, n) for n in range(40)))

    async with app.worker():
        await (await app.start(flow)).result("20s")

    assert await rows(table) == list(range(40))


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
async def test_step_that_finds_no_connection_waits_on_and_loses_no_attempt(
    app: App, table: AsyncConnection, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F34: it is asked for again and again; a step whose own time runs out meanwhile measures that."""
    monkeypatch.setattr(transaction, "WAIT_SECONDS", 0.02)
    let_go = threading.Event()

    def hold_plainly(connection: Connection) -> None:
        let_go.wait(20)

    async def hold(connection: AsyncConnection) -> None:
        await asyncio.to_thread(let_go.wait, 20)

    @app.workflow(retry=Retry(1))
    async def flow(step: Step) -> None:
        holding, storing = (hold, insert) if is_async else (hold_plainly, insert_plainly)
        holders = [step.transaction(f"hold-{n}", holding) for n in range(transaction.MAX_CONNECTIONS)]

        async def wait_in_vain() -> None:
            with pytest.raises(StepFailed):
                await step(timeout="100ms").run("clock", asyncio.Event().wait)
            let_go.set()

        await asyncio.gather(*holders, step.transaction("store", storing, 1), wait_in_vain())

    async with app.worker():
        await (await app.start(flow)).result("20s")

    assert await rows(table) == [1]


async def test_connections_of_transactions_that_were_cut_come_back(app: App, table: AsyncConnection) -> None:
    """F35: forty cut attempts on eight connections."""

    async def hang(connection: AsyncConnection, number: int) -> None:
        if len(seen) < 40:
            seen.append(number)
            await insert(connection, number)
            await asyncio.Event().wait()
        await insert(connection, number)

    seen: list[int] = []

    @app.workflow
    async def flow(step: Step) -> None:
        quick = step(timeout="20ms", retry=Retry(1_000, first_delay="1ms", max_delay="10ms"))
        await asyncio.gather(*(quick.transaction(f"store-{n}", hang, n) for n in range(8)))

    async with app.worker():
        await (await app.start(flow)).result("20s")

    assert await rows(table) == list(range(8))
