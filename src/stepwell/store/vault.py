"""Applications and connections, on PostgreSQL. See `Vault`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg

from stepwell.core.model import ExecutionId
from stepwell.core.vault import (
    ApplicationKind,
    Authorisation,
    ConnectionStatus,
    StoredApplication,
    StoredConnection,
    StoredEndpoints,
)
from stepwell.errors import DatabaseUnavailable
from stepwell.store import binary
from stepwell.store.asis import as_they_are
from stepwell.store.base import Renewal
from stepwell.store.catalog import Run
from stepwell.store.connect import Route, unavailable
from stepwell.store.statements import statement
from stepwell.store.wire import Row

MAX_LOOKS = 100  # each sees what the one before it could not: executions that begin to wait
LOCK_SECONDS = 60  # for another process that renews the same tokens: longer than a vendor may take to answer


class PostgresVault:
    """Keeps the Vault protocol. A renewal has a database connection of its own, whose transaction holds the row."""

    def __init__(self, run: Run, route: Callable[[], Awaitable[Route]], schema: str) -> None:
        self._statement, self._route, self._schema = run, route, schema

    async def _run(self, name: str, *parameters: bytes | None) -> Sequence[Row]:
        try:
            return await self._statement(name, *parameters)
        except psycopg.errors.LockNotAvailable as error:
            raise DatabaseUnavailable("the connection is just being renewed or changed; try again") from error

    # --- applications ---------------------------------------------------------------------------------------------

    async def add_application(self, new: StoredApplication) -> bool:
        return bool(
            await self._run(
                "add_application",
                new.name.encode(),
                new.connector.encode(),
                new.kind.encode(),
                _json(new.settings),
                new.credentials,
            )
        )

    async def change_application(self, changed: StoredApplication) -> bool:
        return bool(
            await self._run(
                "change_application",
                changed.name.encode(),
                binary.int8(changed.revision),
                _json(changed.settings),
                changed.credentials,
            )
        )

    async def applications(self, name: str | None = None) -> Sequence[StoredApplication]:
        return [_application(row) for row in await self._run("applications", binary.maybe_text(name))]

    async def remove_application(self, name: str) -> bool:
        with suppress(psycopg.errors.ForeignKeyViolation):  # a connection to it is just being added
            return bool(await self._run("remove_application", name.encode()))
        return False

    # --- connections ----------------------------------------------------------------------------------------------

    async def add_connection(self, new: StoredConnection) -> bool:
        return bool(
            await self._run(
                "add_connection",
                new.name.encode(),
                new.connector.encode(),
                binary.maybe_text(new.application),
                *_state_parameters(new),
            )
        )

    async def change_connection(self, changed: StoredConnection, *, has_hooks_changed: bool) -> bool:
        parameters = change_parameters(changed, has_hooks_changed=has_hooks_changed)
        for _ in range(MAX_LOOKS):
            is_done, is_there, *_ = (await self._run("change_connection", *parameters))[0]
            if is_done or not is_there:
                return bool(is_done)
            if changed.status is not ConnectionStatus.OK:
                return False
        raise DatabaseUnavailable(f"so many executions begin to wait for connection '{changed.name}'; try again")

    async def connections(self, name: str | None = None) -> Sequence[StoredConnection]:
        return [_connection(row) for row in await self._run("connections", binary.maybe_text(name))]

    async def remove_connection(self, name: str) -> bool:
        return bool(await self._run("remove_connection", name.encode()))

    async def note_check(self, name: str, error: str | None) -> bool:
        return bool(await self._run("check_connection", name.encode(), binary.maybe_text(error)))

    async def need(self, name: str, execution_id: ExecutionId) -> bool:
        return bool(await self._run("need_connection", name.encode(), execution_id.bytes))

    @asynccontextmanager
    async def renewal(self, name: str) -> AsyncIterator[Renewal | None]:
        route = await self._route()
        try:
            own = await psycopg.AsyncConnection.connect(route.conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise unavailable(error) from error
        renewing = _PostgresRenewal(own, self._schema)
        try:
            yield renewing if await renewing.begin(name) else None
        finally:
            await asyncio.shield(asyncio.ensure_future(own.close()))  # rolls back what was not kept

    # --- consents and deliveries ----------------------------------------------------------------------------------

    async def begin_authorisation(self, new: Authorisation, *, valid_for: timedelta) -> None:
        await self._run(
            "begin_authorisation",
            new.state,
            new.connection.encode(),
            new.redirect_uri.encode(),
            new.verifier,
            new.binding,
            binary.float8(valid_for.total_seconds()),
        )

    async def redeem_authorisation(self, state: bytes) -> Authorisation | None:
        found = await self._run("redeem_authorisation", state)
        return Authorisation(*found[0]) if found else None

    async def endpoints(self) -> StoredEndpoints:
        found = await self._run("endpoints")
        applications = {row[7]: _application(row[7:]) for row in found if row[7] is not None}
        return StoredEndpoints(tuple(_endpoint(row[:7]) for row in found), tuple(applications.values()))


class _PostgresRenewal:
    """Keeps the Renewal protocol."""

    connection: StoredConnection

    def __init__(self, own: psycopg.AsyncConnection[Any], schema: str) -> None:
        self._own, self._schema = own, schema

    async def begin(self, name: str) -> bool:
        """Note that it begins, then hold the row. False: there is none. Raises DatabaseUnavailable."""
        try:
            found = await self._run("connections", name.encode())
            if not found:
                return False
            await self._begin()
            await self._run("note_renewal", name.encode(), binary.int8(_connection(found[0]).revision))
            await self._own.execute(b"commit")
            await self._begin()
            found = await self._run("lock_connection", name.encode())
        except psycopg.errors.LockNotAvailable as error:
            raise DatabaseUnavailable(f"connection '{name}' is being renewed elsewhere; try again") from error
        except psycopg.OperationalError as error:
            raise unavailable(error) from error
        if found:
            self.connection = _connection(found[0])
        return bool(found)

    async def _begin(self) -> None:
        """Begin a transaction that does not wait for ever; the setting ends with it, also behind a pooler (F101)."""
        await self._own.execute(b"begin")
        await self._own.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'".encode())

    async def keep(self, changed: StoredConnection) -> bool:
        try:
            found = await self._run("change_connection", *change_parameters(changed, has_hooks_changed=False))
            await self._own.execute(b"commit")
        except psycopg.OperationalError as error:
            raise unavailable(error) from error
        return bool(found[0][0])

    async def _run(self, name: str, *parameters: bytes | None) -> Sequence[Row]:
        """Our statements, whose answers are read in binary as on any wire: times without the session's zone (F76)."""
        cursor = psycopg.AsyncRawCursor(self._own)
        await cursor.execute(statement(name, self._schema).text, as_they_are(parameters), binary=True)
        return await cursor.fetchall() if cursor.description else []


def change_parameters(changed: StoredConnection, *, has_hooks_changed: bool) -> list[bytes | None]:
    """For `change_connection.sql`."""
    return [
        changed.name.encode(),
        binary.int8(changed.revision),
        *_state_parameters(changed),
        binary.maybe_text(changed.application),
        binary.boolean(has_hooks_changed),
    ]


def _state_parameters(row: StoredConnection) -> list[bytes | None]:
    """What both `add_connection.sql` and `change_connection.sql` set, in their order."""
    return [
        _json(row.settings),
        row.credentials,
        row.hook_secrets,
        row.status.encode(),
        binary.maybe_text(row.error),
        binary.maybe_timestamptz(row.expires_at),
        binary.maybe_timestamptz(row.refreshed_at),
    ]


def _json(settings: Mapping[str, str]) -> bytes:
    return json.dumps(dict(settings)).encode()


def _application(row: Row) -> StoredApplication:
    name, connector, kind, settings, credentials, revision = row
    return StoredApplication(name, connector, ApplicationKind(kind), settings, credentials, revision)


def _connection(row: Row) -> StoredConnection:
    """A row of `connections.sql` or `lock_connection.sql`."""
    name, connector, application, settings, credentials, hook_secrets, status, *rest = row
    return StoredConnection(
        name, connector, application, settings, credentials, hook_secrets, ConnectionStatus(status), *rest
    )


def _endpoint(row: Row) -> StoredConnection:
    name, connector, application, settings, hook_secrets, status, revision = row
    return StoredConnection(
        name,
        connector,
        application,
        settings,
        hook_secrets=hook_secrets,
        status=ConnectionStatus(status),
        revision=revision,
    )
