"""What an open App has for connections: made when it is first needed, given back when the App is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from stepwell.app import settings
from stepwell.app.keys import keyring_of, memory_keyring

if TYPE_CHECKING:
    from stepwell.connectors.base import Connector
    from stepwell.connectors.clients import ConnectionClients
    from stepwell.core.connections import Connected
    from stepwell.store.base import Backend
    from stepwell.vault.consent import Consents
    from stepwell.vault.endpoints import VaultEndpoints
    from stepwell.vault.exchange import Exchange
    from stepwell.vault.keeping import Keeping
    from stepwell.vault.lending import Lending
    from stepwell.vault.renewing import Renewing
    from stepwell.vault.rotation import Rotation
    from stepwell.vault.seals import Seals


class Accounts:
    """The vault over one store. What needs keys asks for them then: without, one can still look."""

    def __init__(self, store: Backend, *, is_embedded: bool, is_memory: bool) -> None:
        self.store, self._is_embedded, self._is_memory = store, is_embedded, is_memory

    @cached_property
    def seals(self) -> Seals:
        """Raises InvalidOption when there are no keys."""
        from stepwell.vault.seals import Seals

        is_own = self._is_memory and not settings.keys() and not settings.key_file()
        return Seals(memory_keyring(self.store) if is_own else keyring_of(is_embedded=self._is_embedded))

    @cached_property
    def keeping(self) -> Keeping:
        from stepwell.vault.keeping import Keeping

        return Keeping(self.store.vault, lambda: self.seals)

    @cached_property
    def exchange(self) -> Exchange:
        """The one place from which token endpoints are asked."""
        from stepwell.egress import Rules
        from stepwell.egress.client import GuardedTransport
        from stepwell.vault.exchange import Exchange

        return Exchange(GuardedTransport(Rules.allowing(settings.egress_allowed())))

    @cached_property
    def renewing(self) -> Renewing:
        from stepwell.vault.renewing import Renewing

        return Renewing(self.store.vault, self.seals, self.exchange, now=self.store.now)

    @cached_property
    def lending(self) -> Lending:
        from stepwell.vault.lending import Lending

        return Lending(self.store.vault, self.seals, self.renewing, now=self.store.now)

    @cached_property
    def consents(self) -> Consents:
        from stepwell.vault.consent import Consents

        return Consents(self.store.vault, self.seals, self.renewing, self.exchange)

    @cached_property
    def endpoints(self) -> VaultEndpoints:
        """By what deliveries of webhooks are verified."""
        from stepwell.vault.endpoints import VaultEndpoints

        return VaultEndpoints(self.store.vault, self.seals)

    @cached_property
    def rotation(self) -> Rotation:
        from stepwell.vault.rotation import Rotation

        return Rotation(self.store.vault, self.seals)

    @cached_property
    def clients(self) -> ConnectionClients:
        from stepwell.connectors.clients import ConnectionClients
        from stepwell.egress import Rules

        return ConnectionClients(Rules.allowing(settings.egress_allowed()))

    @cached_property
    def connected(self) -> Connected:
        """What connectors are lent. Nothing is asked for, not even keys, before one of them is used."""
        from stepwell.app.lent import LentClients, LentConnections
        from stepwell.core.connections import Connected

        return Connected(LentConnections(lambda: self.lending), self.store.budgets, LentClients(lambda: self.clients))

    async def close(self) -> None:
        """Let renewals end, and close what was opened for requests."""
        made = self.__dict__
        if "lending" in made:
            await self.lending.close()
        await asyncio.gather(*(made[name].close() for name in ("exchange", "clients") if name in made))


async def check(connector: str, connection: str) -> None:
    """Have the connector of that name try the connection, if it knows how to. Raises what it meets."""
    kind = connector_class(connector)
    trying = getattr(kind and kind(connection), "check", None)
    if trying is not None:
        await trying()


def connector_class(name: str) -> type[Connector] | None:
    """The connector of that name: one of ours, or one that this program has imported."""
    import stepwell.connectors
    from stepwell.connectors.base import Connector

    for public in stepwell.connectors.__all__:
        getattr(stepwell.connectors, public)  # is loaded by that
    return next((kind for kind in _kinds_of(Connector) if getattr(kind, "name", None) == name), None)


def _kinds_of(kind: type[Connector]) -> Iterator[type[Connector]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds_of(one)
