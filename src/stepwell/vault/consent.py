"""Connecting an account: a person agrees at the vendor, and what comes back is exchanged for tokens.

RFC 6749, section 4.1, with PKCE (RFC 7636). The state is random, single-use, good for ten minutes, bound to one
connection and one address to come back to, and, if asked for, to one browser. Only its digest is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

from stepwell.core.accounts import ConnectionInfo, Consent
from stepwell.core.connections import Secret
from stepwell.core.vault import ApplicationKind, Authorisation, StoredApplication, StoredConnection
from stepwell.errors import AuthorisationFailed, InvalidOption, UnknownConnection, Unsealable
from stepwell.store.base import Vault
from stepwell.vault.exchange import Exchange
from stepwell.vault.keeping import MAX_ROUNDS, connection_info
from stepwell.vault.oauth import (
    ClientIdentity,
    Tokens,
    code_request,
    consent_url,
    filled,
    is_consent_genuine,
)
from stepwell.vault.providers import Provider
from stepwell.vault.renewing import Renewing, scopes_of, token_url
from stepwell.vault.seals import ACCESS, REFRESH, Seals

VALID_FOR = timedelta(minutes=10)
RANDOM_BYTES = 32
MAX_TOLD = 200  # characters of a vendor's own words


class Consents:
    """Begins consents and completes them."""

    def __init__(self, store: Vault, seals: Seals, renewing: Renewing, exchange: Exchange) -> None:
        self._store, self._seals, self._renewing, self._exchange = store, seals, renewing, exchange

    async def begin(self, name: str, *, redirect_uri: str | None, is_bound: bool) -> Consent:
        """Where a person agrees, within ten minutes. Raises UnknownConnection, InvalidOption."""
        row = await self._connection(name)
        provider, application, client = await self._client(row)
        back_to = _checked_redirect(redirect_uri or application.settings.get("redirect_uri"))
        state, verifier = secrets.token_urlsafe(RANDOM_BYTES), secrets.token_urlsafe(RANDOM_BYTES)
        binding = secrets.token_urlsafe(RANDOM_BYTES) if is_bound else None
        settings = {**application.settings, **row.settings}
        template = application.settings.get("authorize_url") or provider.authorize_url
        url = consent_url(
            provider,
            filled(template, settings, defaults=provider.defaults),
            client_id=client.id,
            redirect_uri=back_to,
            scopes=scopes_of(provider, application),
            state=state,
            verifier=verifier,
        )
        asked = Authorisation(
            _digest(state),
            name,
            back_to,
            self._seals.sealed_verifier(verifier, _digest(state).hex()),
            _digest(binding) if binding else None,
        )
        await self._store.begin_authorisation(asked, valid_for=VALID_FOR)
        return Consent(url, state, binding)

    async def complete(self, query: Mapping[str, str], *, binding: str | None) -> ConnectionInfo:
        """The connection, which is ok now, by what the vendor has sent a person's browser back with.

        What waits for it goes on. Raises AuthorisationFailed.
        """
        asked = await self._store.redeem_authorisation(_digest(query.get("state", "")))
        if asked is None:
            raise AuthorisationFailed(None, "nobody began this, it was completed before, or it took too long")
        name = asked.connection
        if asked.binding is not None and not hmac.compare_digest(asked.binding, _digest(binding or "")):
            raise AuthorisationFailed(name, "another browser began this")
        if error := query.get("error"):
            told = " ".join(filter(None, (error, query.get("error_description"))))
            raise AuthorisationFailed(name, told[:MAX_TOLD])
        code = query.get("code")
        if not code:
            raise AuthorisationFailed(name, "the vendor sent no code")
        row = await self._connection(name)
        tokens = await self._tokens(row, asked, code, query)
        return await self._keep(row, tokens)

    async def _tokens(self, row: StoredConnection, asked: Authorisation, code: str, query: Mapping[str, str]) -> Tokens:
        provider, application, client = await self._client(row)
        if provider.is_consent_signed and not _is_genuine(query, row, client):
            raise AuthorisationFailed(row.name, "what came back is not signed by the vendor, or is of another account")
        try:
            verifier = self._seals.verifier(asked.verifier, asked.state.hex())
        except Unsealable as error:
            raise AuthorisationFailed(row.name, f"{error.why}; begin again") from None
        answer = await self._exchange.send(
            code_request(
                provider,
                token_url(provider, application, row),
                client,
                code=code,
                redirect_uri=asked.redirect_uri,
                verifier=verifier,
            )
        )
        if not isinstance(answer, Tokens):
            raise AuthorisationFailed(row.name, answer.reason)
        return answer

    async def _keep(self, row: StoredConnection, tokens: Tokens) -> ConnectionInfo:
        for _ in range(MAX_ROUNDS):
            new = self._renewing.with_tokens(row, self._others(row), tokens)
            if await self._store.change_connection(replace(new, revision=row.revision), has_hooks_changed=False):
                break
            row = await self._connection(row.name)
        else:
            raise AuthorisationFailed(row.name, "it is changed by others all the time")
        return connection_info(await self._connection(row.name))

    def _others(self, row: StoredConnection) -> dict[str, Secret]:
        """Its secrets that are no tokens; those under a key that is lost are given up for what comes now."""
        try:
            own = self._seals.connection(row)
        except Unsealable:
            return {}
        return {name: secret for name, secret in own.items() if name not in (ACCESS, REFRESH)}

    async def _connection(self, name: str) -> StoredConnection:
        found = await self._store.connections(name)
        if not found:
            raise UnknownConnection(name)
        return found[0]

    async def _client(self, row: StoredConnection) -> tuple[Provider, StoredApplication, ClientIdentity]:
        known = await self._renewing.client(row)
        if known is None or known[1].kind is not ApplicationKind.AUTHORIZATION_CODE:
            raise InvalidOption(
                f"connection '{row.name}' has no application of kind {ApplicationKind.AUTHORIZATION_CODE};"
                " give it new secrets with rotate instead"
            )
        return known


def _is_genuine(query: Mapping[str, str], row: StoredConnection, client: ClientIdentity) -> bool:
    shop = row.settings.get("shop", "")
    is_this_shop = query.get("shop") in (None, f"{shop}.myshopify.com")
    return is_this_shop and is_consent_genuine(query, client.secret)


def _checked_redirect(uri: str | None) -> str:
    if not uri:
        raise InvalidOption("say where the vendor sends people back to: redirect_uri, here or of the application")
    parts = urlsplit(uri)
    is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.fragment or not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_local)):
        raise InvalidOption(f"redirect_uri {uri!r:.200}: use https, or http to this machine, without a fragment")
    return uri


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()
