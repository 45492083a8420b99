"""Connections as connectors get them: with credentials that are good for a while, whichever process renewed them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import SystemRandom

from stepwell.core.connections import Connection
from stepwell.core.model import ExecutionId
from stepwell.core.vault import ConnectionStatus, StoredApplication, StoredConnection, is_good, renew_at
from stepwell.errors import ConnectionUnusable, NeedsReauthorisation, NotYet, UnknownConnection
from stepwell.running import running_step
from stepwell.store.base import Vault
from stepwell.vault.renewing import NoTokens, Renewing
from stepwell.vault.seals import ACCESS, Seals

REMEMBER_SECONDS = 5.0  # what is lent may be this much older than what is stored
PAUSE_SECONDS = 30.0  # after a vendor gave no tokens, while the old ones are good
JUST_NOW = timedelta(seconds=60)  # a token that is refused this soon was not refused for its age
MAX_ROUNDS = 20  # of reading again because something has changed meanwhile

_chance = SystemRandom().random


@dataclass(frozen=True, slots=True)
class _Lent:
    """A connection that is lent, of which rows, until when without looking, and when its token is to be renewed."""

    connection: Connection
    row: StoredConnection
    application: StoredApplication | None
    looked_at: float  # by the process's own clock
    renew_at: datetime | None


class Lending:
    """Keeps the Connections protocol for one process: a short memory, and one renewal of a connection at a time."""

    def __init__(
        self,
        store: Vault,
        seals: Seals,
        renewing: Renewing,
        *,
        now: Callable[[], datetime],
        random: Callable[[], float] = _chance,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._seals, self._renewing = store, seals, renewing
        self._now, self._random, self._monotonic = now, random, monotonic
        self._lent: dict[str, _Lent] = {}
        self._pauses: dict[str, float] = {}
        self._flights: dict[str, asyncio.Task[StoredConnection]] = {}

    async def use(self, name: str) -> Connection:
        """As Connections.use. Raises NotYet when a token has ended and the vendor gives no other at the moment."""
        for _ in range(MAX_ROUNDS):
            lent = self._remembered(name) or await self._look(name)
            if lent is None:
                continue
            if not self._is_due(lent):
                return lent.connection
            await self._try_to_renew(lent)
        raise NotYet(PAUSE_SECONDS, f"connection '{name}' changes all the time")

    async def renew(self, refused: Connection) -> Connection:
        """As Connections.renew."""
        for _ in range(MAX_ROUNDS):
            lent = await self._look(refused.name)
            if lent is None:
                continue
            if _text(lent.connection) != _text(refused):
                return lent.connection
            if self._was_just_renewed(lent.row):
                await self._disown(lent.row, "the vendor refuses a token that it has just given")
            else:
                await self._fly(lent)
        raise NotYet(PAUSE_SECONDS, f"connection '{refused.name}' changes all the time")

    async def close(self) -> None:
        """Let the renewals that are under way come to their end."""
        if self._flights:
            await asyncio.wait(self._flights.values())

    # --- looking --------------------------------------------------------------------------------------------------

    def _remembered(self, name: str) -> _Lent | None:
        lent = self._lent.get(name)
        if lent is None or self._monotonic() - lent.looked_at > REMEMBER_SECONDS:
            return None
        return lent

    async def _look(self, name: str) -> _Lent | None:
        """What is stored now, to be lent. None: it has just changed, look again. Raises what says that it is no use."""
        found = await self._store.connections(name)
        if not found:
            self._lent.pop(name, None)
            raise UnknownConnection(name)
        row = found[0]
        if row.status is not ConnectionStatus.OK:
            self._lent.pop(name, None)
            if await self._is_to_wait(row):
                raise _unusable(row)
            return None
        application = next(iter(await self._store.applications(row.application)), None) if row.application else None
        return self._remember(row, application)

    def _remember(self, row: StoredConnection, application: StoredApplication | None) -> _Lent:
        known = self._lent.get(row.name)
        if known is not None and _version(known.row) == _version(row) and known.application == application:
            lent = replace(known, row=row, looked_at=self._monotonic())
        else:
            when = None
            if row.expires_at is not None and row.refreshed_at is not None:
                when = renew_at(row.refreshed_at, row.expires_at, random=self._random())
            lent = _Lent(self._seals.lent(row, application), row, application, self._monotonic(), when)
        self._lent[row.name] = lent
        return lent

    async def _is_to_wait(self, row: StoredConnection) -> bool:
        """Note that the running execution waits for it; False when there is no longer anything to wait for."""
        step = running_step.get()
        return step is None or await self._store.need(row.name, ExecutionId(step.execution_id))

    # --- renewing -------------------------------------------------------------------------------------------------

    def _is_due(self, lent: _Lent) -> bool:
        if _needs_first_token(lent):
            return True
        if lent.renew_at is None or self._now() < lent.renew_at:
            return False
        is_paused = self._monotonic() < self._pauses.get(lent.row.name, 0.0)
        return not (is_paused and is_good(lent.row.expires_at, self._now()))

    async def _try_to_renew(self, lent: _Lent) -> None:
        """Renew; without success the old token is good as long as it lives. Raises NotYet when it does no longer."""
        try:
            await self._fly(lent)
        except NotYet:
            if _needs_first_token(lent) or not is_good(lent.row.expires_at, self._now()):
                raise
            self._pauses[lent.row.name] = self._monotonic() + PAUSE_SECONDS

    async def _fly(self, lent: _Lent) -> None:
        """Renew the tokens of what was lent, together with all others of this process that want to.

        In a task of its own: a step that is cut must not take with it an answer that is on its way.
        """
        name = lent.row.name
        flight = self._flights.get(name)
        if flight is None:
            renewing = self._renewing.renew(lent.row)
            flight = asyncio.get_running_loop().create_task(renewing, name="stepwell-renewal", context=Context())
            self._flights[name] = flight
            flight.add_done_callback(lambda done: self._landed(name, done))
        try:
            await asyncio.shield(flight)
        except NoTokens as error:
            raise NotYet(PAUSE_SECONDS, f"connection '{name}' cannot be renewed at the moment: {error}") from None

    def _landed(self, name: str, flight: asyncio.Task[StoredConnection]) -> None:
        del self._flights[name]
        self._lent.pop(name, None)
        if not flight.cancelled():
            flight.exception()  # whoever waits for it gets it; if nobody does any more, the next one tries again

    def _was_just_renewed(self, row: StoredConnection) -> bool:
        return row.refreshed_at is not None and self._now() - row.refreshed_at < JUST_NOW

    async def _disown(self, row: StoredConnection, reason: str) -> None:
        refused = replace(row, status=ConnectionStatus.NEEDS_REAUTH, error=reason)
        await self._store.change_connection(refused, has_hooks_changed=False)


def _needs_first_token(lent: _Lent) -> bool:
    """Whether it has an application that gives tokens, and none was given yet."""
    is_oauth = lent.application is not None and lent.application.kind.is_oauth
    return is_oauth and ACCESS not in lent.connection.secrets


def _version(row: StoredConnection) -> tuple[object, ...]:
    return row.revision, row.refreshed_at, row.expires_at


def _text(connection: Connection) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in connection.secrets.items()}


def _unusable(row: StoredConnection) -> ConnectionUnusable:
    if row.status is ConnectionStatus.DISABLED:
        return ConnectionUnusable(row.name)
    return NeedsReauthorisation(row.name)
