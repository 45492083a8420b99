"""The database of a process: which one, started if it is the embedded one, its schema brought up to date."""

from __future__ import annotations

import asyncio
from typing import Protocol

from stepwell.app import settings
from stepwell.errors import InvalidOption
from stepwell.store.base import Backend
from stepwell.store.embedded import EmbeddedServer, start_embedded
from stepwell.store.migrate import migrate
from stepwell.store.postgres import PostgresStore


class Database(Protocol):
    """Something that yields an open Backend and takes it back."""

    async def open(self) -> Backend:
        """Connect. Raises DatabaseUnavailable, DatabaseNotReady, EmbeddedUnavailable."""

    async def close(self) -> None:
        """Give everything back."""


class PostgresDatabase:
    """The database at a URL, or without one the embedded server, which this process keeps running while it is open."""

    def __init__(self, url: str | None, *, schema: str | None) -> None:
        self._url, self._schema = settings.database_url(url), settings.schema(schema)
        self._server: EmbeddedServer | None = None
        self._store: PostgresStore | None = None

    async def open(self) -> Backend:
        url = await asyncio.to_thread(self.ready_url)
        revive = self._server.ensure_running if self._server is not None else None
        self._store = PostgresStore(url, schema=self._schema, revive=revive)
        await self._store.open()
        return self._store

    def ready_url(self) -> str:
        """The URL of a database that answers, its schema of this version unless STEPWELL_MIGRATE=0. Blocking."""
        if self._url is None:
            self._server = start_embedded(settings.embedded_folder())
        url = self.url
        if settings.may_migrate():
            migrate(url, schema=self._schema)
        return url

    @property
    def url(self) -> str:
        """The database's URL. Raises InvalidOption while an embedded one is not open."""
        url = self._server.url if self._server is not None else self._url
        if url is None:
            raise InvalidOption("the embedded database is not open yet")
        return url

    @property
    def is_embedded(self) -> bool:
        """Whether it is the embedded server's."""
        return self._url is None

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()
        await asyncio.to_thread(self.release)

    def release(self) -> None:
        """Let go of the embedded server; the last process stops it."""
        if self._server is not None:
            self._server.close()
            self._server = None


class GivenBackend:
    """A Backend that somebody else made, such as the memory store of a test."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def open(self) -> Backend:
        await self._backend.open()
        return self._backend

    async def close(self) -> None:
        await self._backend.close()
