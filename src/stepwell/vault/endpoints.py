"""By which secrets the webhooks of connections are verified."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from stepwell.core.connections import Secret
from stepwell.core.vault import ConnectionStatus, StoredApplication, StoredConnection
from stepwell.core.webhooks import Endpoint
from stepwell.errors import Unsealable
from stepwell.sources import SOURCES, check_secret, check_settings
from stepwell.store.base import Vault
from stepwell.vault.seals import CLIENT_SECRET, PREVIOUS_CLIENT_SECRET, Seals

log = logging.getLogger("stepwell.vault")

# Their webhooks are signed with the application's client secret (shopify.dev, "Verify webhook deliveries"), and with
# the one before it for up to an hour after it was rotated.
SIGNED_BY_APPLICATION = frozenset({"shopify"})


class VaultEndpoints:
    """Keeps the Endpoints protocol."""

    def __init__(self, store: Vault, seals: Seals) -> None:
        self._store, self._seals = store, seals

    async def endpoints(self) -> Sequence[Endpoint]:
        """All connections whose deliveries are taken: not those that were disabled, nor those whose key is lost."""
        stored = await self._store.endpoints()
        applications = {one.name: one for one in stored.applications}
        found = (self._endpoint(row, applications.get(row.application or "")) for row in stored.connections)
        return [one for one in found if one is not None]

    def _endpoint(self, row: StoredConnection, application: StoredApplication | None) -> Endpoint | None:
        if row.status is ConnectionStatus.DISABLED:
            return None
        try:
            secrets = [*self._seals.hook_secrets(row), *self._of_application(row, application)]
        except Unsealable as error:
            log.error("webhooks of connection '%s' are not taken: %s", row.name, error)
            return None
        if not secrets:
            return None
        texts = tuple(secret.reveal().encode() for secret in secrets)
        return Endpoint(row.name, row.connector, texts, tenant_of(row), row.settings)

    def _of_application(self, row: StoredConnection, application: StoredApplication | None) -> Iterator[Secret]:
        if application is None or row.connector not in SIGNED_BY_APPLICATION:
            return
        secrets = self._seals.application(application)
        for name in (CLIENT_SECRET, PREVIOUS_CLIENT_SECRET):
            if name in secrets:
                yield secrets[name]


def tenant_of(row: StoredConnection) -> str | None:
    """What the vendor calls the account in its deliveries: the setting `tenant`, or the shop's address."""
    if "tenant" in row.settings:
        return row.settings["tenant"]
    shop = row.settings.get("shop")
    return f"{shop}.myshopify.com" if shop and row.connector == "shopify" else None


def check_endpoint(connector: str, settings: Mapping[str, str], secrets: Sequence[Secret]) -> None:
    """Raise InvalidOption, which quotes no secret, for what the connector's webhooks could not be verified by.

    A misspelt setting would be found by nobody until a vendor's deliveries are refused.
    """
    source = SOURCES.get(connector)
    if source is None:
        return
    check_settings(source, settings)
    for secret in secrets:
        check_secret(source, secret.reveal().encode(), settings=settings)
