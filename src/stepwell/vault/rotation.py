"""Key rotation: whatever is sealed is sealed again under the newest key, row by row, while everything goes on.

A row that somebody changes meanwhile is read again. Stopped at any point it is begun again, and does what is left.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from stepwell.core.accounts import KeyInfo
from stepwell.core.vault import StoredApplication, StoredConnection
from stepwell.errors import DatabaseUnavailable, Unsealable
from stepwell.failpoints import failpoint
from stepwell.sealing import key_id
from stepwell.store.base import Vault
from stepwell.vault.seals import Seals

MAX_ROUNDS = 60  # of trying a row that is being renewed or changed
PAUSE_SECONDS = 1.0


class Rotated(NamedTuple):
    """How many rows were sealed again, and what could not be opened."""

    rows: int
    unsealable: tuple[Unsealable, ...]


class Rotation:
    """Seals again what is not under the newest key."""

    def __init__(self, store: Vault, seals: Seals) -> None:
        self._store, self._seals = store, seals

    async def keys(self) -> Sequence[KeyInfo]:
        """The keys that are here, the newest first, then those that are not and are needed."""
        values: Counter[str] = Counter()
        for application in await self._store.applications():
            values[key_id(application.credentials) or ""] += 1
        for connection in await self._store.connections():
            sealed = filter(None, (connection.credentials, connection.hook_secrets))
            values.update(key_id(value) or "" for value in sealed)
        here, newest = self._seals.keyring.ids, self._seals.keyring.newest
        return [KeyInfo(id, id in here, id == newest, values[id]) for id in (*here, *sorted(values.keys() - set(here)))]

    async def rotate(self) -> Rotated:
        """Seal everything under the newest key. Raises DatabaseUnavailable; begin it again then."""
        rows, broken = 0, []
        names = [("application", one.name) for one in await self._store.applications()]
        names += [("connection", one.name) for one in await self._store.connections()]
        for table, name in names:
            try:
                rows += await (self._application(name) if table == "application" else self._connection(name))
            except Unsealable as error:
                broken.append(error)
        return Rotated(rows, tuple(broken))

    async def _application(self, name: str) -> bool:
        """Whether the row was sealed again."""
        for _ in range(MAX_ROUNDS):
            found = await self._store.applications(name)
            if not found or self._seals.keyring.is_newest(found[0].credentials):
                return False
            failpoint("in_key_rotation")
            if await self._store.change_application(self._application_again(found[0])):
                return True
        raise DatabaseUnavailable(f"application '{name}' is changed by others all the time; begin again")

    async def _connection(self, name: str) -> bool:
        """Whether the row was sealed again."""
        for _ in range(MAX_ROUNDS):
            found = await self._store.connections(name)
            if not found or self._is_newest(found[0]):
                return False
            failpoint("in_key_rotation")
            try:
                if await self._store.change_connection(self._connection_again(found[0]), has_hooks_changed=False):
                    return True
            except DatabaseUnavailable:  # its tokens are just being renewed
                await asyncio.sleep(PAUSE_SECONDS)
        raise DatabaseUnavailable(f"connection '{name}' is changed by others all the time; begin again")

    def _is_newest(self, row: StoredConnection) -> bool:
        return all(map(self._seals.keyring.is_newest, (row.credentials, row.hook_secrets)))

    def _application_again(self, row: StoredApplication) -> StoredApplication:
        return self._seals.sealed_application(row, self._seals.application(row))

    def _connection_again(self, row: StoredConnection) -> StoredConnection:
        again = self._seals.sealed_connection(row, self._seals.connection(row))
        return self._seals.sealed_hooks(again, self._seals.hook_secrets(row))
