"""Renewing tokens: by one process at a time, and so that a crash loses as little as can be.

The order of writes, of which none is left out:

1. That a renewal begins is committed.
2. The row is locked, and read again: whoever was faster has renewed already.
3. The vendor is asked, with the refresh token that is stored.
4. The first thing that is done with its answer is to store it, both tokens at once; nobody has used them by then.

A process that dies between 3 and 4 loses the answer, and the lock with it. The next one sends the same refresh token
again. Vendors that keep that good until the new access token is used (Shopify), or let it be used again (Microsoft
Entra), answer it. For the others the grant is dead: the account has to be connected again, and the error says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from stepwell.core.connections import Secret
from stepwell.core.vault import ApplicationKind, ConnectionStatus, StoredApplication, StoredConnection
from stepwell.errors import UnknownApplication, UnknownConnection
from stepwell.failpoints import failpoint
from stepwell.store.base import Renewal, Vault
from stepwell.store.connect import may_pass
from stepwell.vault.exchange import Exchange
from stepwell.vault.oauth import (
    ClientIdentity,
    Dead,
    TokenRequest,
    Tokens,
    Trouble,
    client_request,
    filled,
    installation_request,
    refresh_request,
)
from stepwell.vault.providers import Provider, provider_of
from stepwell.vault.seals import ACCESS, CLIENT_SECRET, PRIVATE_KEY, REFRESH, Seals, Secrets

log = logging.getLogger("stepwell.vault")

INSIST_FOR = 600.0  # seconds: the database may be away for minutes, and the tokens are nowhere else
INSIST_EVERY = 0.5
LEAST_LIFE = timedelta(minutes=1)  # of a token, whatever its vendor says: it is not to be asked all the time


class NoTokens(Exception):
    """The vendor gave none this time. The tokens that are stored stay as they are."""


class Renewing:
    """Gets tokens and stores them."""

    def __init__(self, store: Vault, seals: Seals, exchange: Exchange, *, now: Callable[[], datetime]) -> None:
        self._store, self._seals, self._exchange, self._now = store, seals, exchange, now

    async def renew(self, seen: StoredConnection) -> StoredConnection:
        """The connection with other secrets than were seen, or one that is no longer ok.

        Raises UnknownConnection; NoTokens; Unsealable; DatabaseUnavailable.
        """
        began_at = self._now()
        async with self._store.renewal(seen.name) as renewal:
            if renewal is None:
                raise UnknownConnection(seen.name)
            row = renewal.connection
            secrets = self._seals.connection(row)
            if row.status is not ConnectionStatus.OK or not _has_same(secrets, self._seals.connection(seen)):
                return row  # somebody was faster
            request = await self._request(row, secrets)
            if request is None:
                return await self._give_up(renewal, "its credentials are refused, and there is no way to renew them")
            answer = await self._exchange.send(request)
            failpoint("after_token_answer")
            match answer:
                case Tokens():
                    return await self._keep(renewal, self.with_tokens(row, secrets, answer), secrets)
                case Dead(reason):
                    return await self._settle_dead(renewal, secrets, _told(row, reason, began_at))
                case Trouble(reason):
                    raise NoTokens(reason)
                case _:
                    assert_never(answer)

    def with_tokens(self, row: StoredConnection, secrets: Secrets, tokens: Tokens) -> StoredConnection:
        """The row with what a vendor has given; an answer without a refresh token leaves the one that is there."""
        now = self._now()
        new = {**secrets, ACCESS: tokens.access} | ({REFRESH: tokens.refresh} if tokens.refresh else {})
        life = tokens.life_seconds
        ends_at = tokens.ends_at if life is None else now + timedelta(seconds=life)
        ends_at = None if ends_at is None else max(ends_at, now + LEAST_LIFE)
        return replace(
            self._seals.sealed_connection(row, new),
            status=ConnectionStatus.OK,
            error=None,
            refreshed_at=now,
            expires_at=ends_at,
        )

    async def client(self, row: StoredConnection) -> tuple[Provider, StoredApplication, ClientIdentity] | None:
        """The application of a connection at its vendor; None: none with OAuth 2. Raises UnknownApplication."""
        if row.application is None:
            return None
        found = await self._store.applications(row.application)
        if not found:
            raise UnknownApplication(row.application)
        if not found[0].kind.is_oauth:
            return None
        wanted = PRIVATE_KEY if found[0].kind is ApplicationKind.INSTALLATION else CLIENT_SECRET
        secret = self._seals.application(found[0]).get(wanted, Secret(""))
        identity = ClientIdentity(found[0].settings.get("client_id", ""), secret)
        return provider_of(found[0].connector), found[0], identity

    async def _request(self, row: StoredConnection, secrets: Secrets) -> TokenRequest | None:
        """How new tokens are got; None: there is no way."""
        known = await self.client(row)
        if known is None:
            return None
        provider, application, client = known
        url = token_url(provider, application, row)
        if application.kind is ApplicationKind.INSTALLATION:
            return installation_request(url, client, now=self._now())
        if application.kind is ApplicationKind.CLIENT_CREDENTIALS:
            return client_request(provider, url, client, scopes=scopes_of(provider, application))
        token = secrets.get(REFRESH)
        return None if token is None else refresh_request(provider, url, client, token=token)

    async def _keep(self, renewal: Renewal, new: StoredConnection, used: Secrets) -> StoredConnection:
        """Store the tokens, whatever it takes: there is no other copy of them."""
        try:
            if await renewal.keep(new):
                return await self._read(new.name)
        except Exception as error:
            if not may_pass(error):
                raise
            log.warning("new tokens of connection '%s' are not stored yet: %s", new.name, error)
        async with asyncio.timeout(INSIST_FOR):
            while True:
                try:
                    return await self._keep_beside(new, used)
                except Exception as error:
                    if not may_pass(error):
                        raise
                    await asyncio.sleep(INSIST_EVERY)

    async def _keep_beside(self, new: StoredConnection, used: Secrets) -> StoredConnection:
        """Store the tokens without the lock, which is lost, unless there are others than we have used."""
        while True:
            row = await self._read(new.name)
            if not _has_same(self._seals.connection(row), used):
                return row  # ours, whose commit was not heard of; or newer ones
            tokens = replace(new, revision=row.revision, settings=row.settings, hook_secrets=row.hook_secrets)
            if await self._store.change_connection(tokens, has_hooks_changed=False):
                return await self._read(new.name)

    async def _settle_dead(self, renewal: Renewal, used: Secrets, reason: str) -> StoredConnection:
        """The vendor says that the grant is dead. If the tokens have changed meanwhile that is no longer so."""
        row = await self._read(renewal.connection.name)
        if not _has_same(self._seals.connection(row), used):
            return row
        return await self._give_up(renewal, reason)

    async def _give_up(self, renewal: Renewal, reason: str) -> StoredConnection:
        row = renewal.connection
        log.warning("connection '%s' needs re-authorisation: %s", row.name, reason)
        await renewal.keep(replace(row, status=ConnectionStatus.NEEDS_REAUTH, error=reason))
        return await self._read(row.name)

    async def _read(self, name: str) -> StoredConnection:
        found = await self._store.connections(name)
        if not found:
            raise UnknownConnection(name)
        return found[0]


def token_url(provider: Provider, application: StoredApplication, row: StoredConnection) -> str:
    """Where tokens are got for a connection. Raises InvalidOption when a setting is missing or cannot stand there."""
    is_installation = application.kind is ApplicationKind.INSTALLATION
    known = provider.installation_url if is_installation else provider.token_url
    template = application.settings.get("token_url") or known or "{token_url}"
    return filled(template, {**application.settings, **row.settings}, defaults=provider.defaults)


def scopes_of(provider: Provider, application: StoredApplication) -> str:
    """What is asked for, as the vendor writes several."""
    known = provider.scopes
    if application.kind is ApplicationKind.CLIENT_CREDENTIALS and provider.client_scopes is not None:
        known = provider.client_scopes
    return application.settings.get("scopes") or provider.separator.join(known)


def _told(row: StoredConnection, reason: str, began_at: datetime) -> str:
    if row.renewing_at is None or row.renewing_at >= began_at:
        return reason
    lost = f"{row.renewing_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{reason}; the answer to a renewal that began at {lost} was lost, which may be why"


def _has_same(one: Secrets, other: Secrets) -> bool:
    return {name: secret.reveal() for name, secret in one.items()} == {
        name: secret.reveal() for name, secret in other.items()
    }
