"""The database of an app: opened by the first call that needs it, on one event loop at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from stepwell.app import settings
from stepwell.app.database import Database, GivenBackend, PostgresDatabase
from stepwell.client import Client
from stepwell.errors import InvalidOption
from stepwell.runtime.registry import Registry
from stepwell.store.base import Backend


class Opening:
    """The part of an App that knows its database."""

    def __init__(self, database: str | Backend | None = None, *, schema: str | None = None) -> None:
        self.registry = Registry(self)
        if not (database is None or isinstance(database, str) or hasattr(database, "claim")):
            raise InvalidOption(f"database is a {type(database).__name__}; give its URL as text")
        self._given, self._schema = database, settings.schema(schema)
        self._database: Database | None = None
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()

    def use(self, database: str | Backend | None = None, *, schema: str | None = None) -> None:
        """Use this database or schema instead of the one named in the code, as `--database` does; None leaves it.

        Raises InvalidOption once the app is open.
        """
        if self._client is not None:
            raise InvalidOption("this App is open already; say which database to use before the first call")
        self._given = database if database is not None else self._given
        self._schema = schema or self._schema

    async def open(self) -> Client:
        """Connect now instead of with the first call; the answer deals in stored bytes. Raises DatabaseError."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and (self._loop is not loop or self._process != os.getpid()):
            self._leave_loop()
        if self._client is not None:
            return self._client
        async with self._opening:
            if self._client is None:
                self._database = (
                    PostgresDatabase(self._given, schema=self._schema)
                    if self._given is None or isinstance(self._given, str)
                    else GivenBackend(self._given)
                )
                self._client, self._loop = Client(await self._database.open()), loop
                self._process = os.getpid()
            return self._client

    def _leave_loop(self) -> None:
        """An app belongs to one event loop at a time; connections of an ended one, or of a parent process, are dead."""
        assert self._loop is not None
        if not self._loop.is_closed() and self._process == os.getpid():
            raise InvalidOption(
                "this App is in use on another event loop; from other threads use app.sync, or close it there first"
            )
        self.forget()

    @contextmanager
    def on(self, backend: Backend) -> Iterator[None]:
        """While the block runs every call goes to this store, as tests need it; afterwards all is as it was before."""
        before = self._given, self._database, self._client, self._loop, self._process, self._opening
        self._given, self._database, self._client, self._loop = backend, None, None, None
        self._opening = asyncio.Lock()
        try:
            yield
        finally:
            self._given, self._database, self._client, self._loop, self._process, self._opening = before

    @property
    def running_loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop on which this process has the app open, as long as that runs."""
        if self._loop is None or self._process != os.getpid() or not self._loop.is_running():
            return None
        return self._loop

    def forget(self) -> None:
        """Drop the connections without using them: they belong to an ended event loop, or to the parent process."""
        self._database, self._client, self._loop, self._opening = None, None, None, asyncio.Lock()

    async def database_url(self) -> str:
        """The URL of the database in use, for connections of your own. Raises InvalidOption for a store in memory."""
        await self.open()
        if not isinstance(self._database, PostgresDatabase):
            raise InvalidOption("this App's store is not a database")
        return self._database.url

    async def close(self) -> None:
        """Give back connections and the embedded database. Idempotent; a later call opens it again."""
        database, self._database, self._client, self._loop = self._database, None, None, None
        if database is not None:
            await database.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
