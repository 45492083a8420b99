"""The database goes away under an open store, and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from stepwell.core.model import Kind
from stepwell.core.status import Status
from stepwell.errors import DatabaseUnavailable, LeaseLost
from tests.databases import Admin
from tests.store.world import LEASE, MAX_CRASHES, PostgresWorld, checkpoint


def cut(admin: Admin, url: str) -> None:
    """Every connection to the database ends, whatever it was doing."""
    name = conninfo_to_dict(url)["dbname"]
    admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", [name])


@contextmanager
def outage(admin: Admin, url: str) -> Iterator[None]:
    """Meanwhile the database lets nobody in."""
    allow = sql.SQL("alter database {} allow_connections {}")
    name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    admin.execute(allow.format(name, sql.SQL("false")))
    cut(admin, url)
    try:
        yield
    finally:
        admin.execute(allow.format(name, sql.SQL("true")))


async def test_session_that_could_not_be_closed_is_closed_before_the_next_is_opened(
    postgres: PostgresWorld, admin: Admin
) -> None:
    """F6, F63: an outage is no crash of the executions it met."""
    session = await postgres.worker()
    started = await postgres.running(session)
    with outage(admin, postgres.url), pytest.raises(DatabaseUnavailable):
        await postgres.store.close_session(session)

    heir = await postgres.worker()

    seen = await postgres.see(started)
    assert (seen.status, seen.crashes) == (Status.PENDING, 0)
    assert (await postgres.claim_one(heir)).id == started
    await postgres.worker()
    assert (await postgres.see(started)).status is Status.RUNNING


async def test_session_claims_on_one_connection_only(postgres: PostgresWorld, admin: Admin) -> None:
    """A crash of the server takes back a claim that the disk did not have. The same session must not claim it again.

    Here the connection is lost and the claim undone, as a crash does both; the session's row is there still.
    """
    session = await postgres.worker()
    started = await postgres.running(session)
    undo = "update stepwell.execution set owner = null, status = 'pending', due_at = now() where id = %s"
    cut(admin, postgres.url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(undo, [started])
    with suppress(DatabaseUnavailable):  # whoever asks first meets the lost connection; the next one has another
        await postgres.see(started)
    await postgres.see(started)

    with suppress(DatabaseUnavailable):
        await postgres.store.set_idle(session, is_idle=False)
    with pytest.raises(LeaseLost, match="connection"):
        await postgres.claim(session)

    heir = await postgres.worker()
    assert (await postgres.claim_one(heir)).id == started


async def test_heartbeat_calls_any_error_of_the_database_an_outage(postgres: PostgresWorld, admin: Admin) -> None:
    """F6: after a failover to a server that only reads, and without the schema; its thread knows nothing else."""
    session = await postgres.worker()
    name = sql.Identifier(str(conninfo_to_dict(postgres.url)["dbname"]))
    pulse = postgres.store.pulse(session, lease_for=LEASE, max_crashes=MAX_CRASHES)
    admin.execute(sql.SQL("alter database {} set default_transaction_read_only = on").format(name))

    with pytest.raises(DatabaseUnavailable, match="read-only"):
        pulse.beat()
    admin.execute(sql.SQL("alter database {} reset default_transaction_read_only").format(name))
    assert pulse.beat() == frozenset()
    with psycopg.connect(postgres.url) as connection:
        connection.execute("alter schema stepwell rename to elsewhere")
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        pulse.reap()
    pulse.close()


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
async def test_transaction_is_given_no_connection_that_was_cut(
    postgres: PostgresWorld, admin: Admin, is_async: bool
) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    async with postgres.store.transaction(session, is_async=is_async):
        pass
    cut(admin, postgres.url)

    async with postgres.store.transaction(session, is_async=is_async) as transaction:
        await transaction.commit(checkpoint(started, kind=Kind.TRANSACTION))

    assert await postgres.keys(started) == ["fetch"]
