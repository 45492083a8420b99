"""Stored rows and what is secret in them: opened and sealed, each value for its own place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from stepwell.core.connections import Connection, Secret
from stepwell.core.vault import ApplicationKind, StoredApplication, StoredConnection
from stepwell.sealing import Keyring, Place

ACCESS, REFRESH = "access_token", "refresh_token"
TOKEN = "token"  # noqa: S105 - what connectors call the credential they send
CLIENT_SECRET, PREVIOUS_CLIENT_SECRET = "client_secret", "previous_client_secret"
PRIVATE_KEY = "private_key"  # of an app that signs for itself, in PEM form

Secrets = Mapping[str, Secret]


class Seals:
    """Opens and seals with one keyring. Raises Unsealable, which names the row and shows nothing."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    def application(self, row: StoredApplication) -> dict[str, Secret]:
        """The secrets of an application."""
        return self._opened(row.credentials, Place("application", row.name, "credentials"))

    def connection(self, row: StoredConnection) -> dict[str, Secret]:
        """The secrets of a connection, its refresh token among them."""
        return self._opened(row.credentials, Place("connection", row.name, "credentials"))

    def hook_secrets(self, row: StoredConnection) -> tuple[Secret, ...]:
        """What its webhooks are signed with, the newest first."""
        if row.hook_secrets is None:
            return ()
        text = self.keyring.open(row.hook_secrets, Place("connection", row.name, "hook_secrets"))
        return tuple(map(Secret, msgspec.json.decode(text, type=list[str])))

    def verifier(self, sealed: bytes, state: str) -> str:
        """The code verifier of a consent that was asked for."""
        return self.keyring.open(sealed, Place("authorisation", state, "verifier")).decode()

    def sealed_application(self, row: StoredApplication, secrets: Secrets) -> StoredApplication:
        """The row with these secrets."""
        return replace(row, credentials=self._sealed(secrets, Place("application", row.name, "credentials")))

    def sealed_connection(self, row: StoredConnection, secrets: Secrets) -> StoredConnection:
        """The row with these secrets."""
        return replace(row, credentials=self._sealed(secrets, Place("connection", row.name, "credentials")))

    def sealed_hooks(self, row: StoredConnection, secrets: Sequence[Secret]) -> StoredConnection:
        """The row whose webhooks are signed with one of these."""
        if not secrets:
            return replace(row, hook_secrets=None)
        text = msgspec.json.encode([secret.reveal() for secret in secrets])
        sealed = self.keyring.seal(text, Place("connection", row.name, "hook_secrets"))
        return replace(row, hook_secrets=sealed)

    def sealed_verifier(self, verifier: str, state: str) -> bytes:
        """A code verifier, for the consent of that state."""
        return self.keyring.seal(verifier.encode(), Place("authorisation", state, "verifier"))

    def lent(self, row: StoredConnection, application: StoredApplication | None) -> Connection:
        """The connection as connectors get to see it: without what only renewing needs."""
        own = self.connection(row)
        own.pop(REFRESH, None)
        if ACCESS in own:
            own[TOKEN] = own[ACCESS]
        settings = dict(row.settings)
        if application is not None:
            settings = {**application.settings, **settings}
            if application.kind is ApplicationKind.SHARED:
                own = {**self.application(application), **own}
        return Connection(row.name, row.connector, settings, own, row.revision)

    def _opened(self, sealed: bytes, place: Place) -> dict[str, Secret]:
        text = self.keyring.open(sealed, place)
        return {name: Secret(secret) for name, secret in msgspec.json.decode(text, type=dict[str, str]).items()}

    def _sealed(self, secrets: Secrets, place: Place) -> bytes:
        return self.keyring.seal(msgspec.json.encode({name: one.reveal() for name, one in secrets.items()}), place)
