"""Connections for tests: no database, no keys, no rules of egress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from stepwell.core.connections import Connected, Connection, Secret
from stepwell.errors import NeedsReauthorisation, UnknownConnection
from stepwell.running import connected
from stepwell.store.memory_budgets import MemoryBudgets


class GivenConnections:
    """Connections that a test has written down. What a vendor refuses needs re-authorisation."""

    def __init__(self, given: Mapping[str, Connection]) -> None:
        self.given = dict(given)

    async def use(self, name: str) -> Connection:
        try:
            return self.given[name]
        except KeyError:
            raise UnknownConnection(name) from None

    async def renew(self, refused: Connection) -> Connection:
        raise NeedsReauthorisation(refused.name)


def connection(name: str, connector: str, *, settings: Mapping[str, str] | None = None, **secrets: str) -> Connection:
    """A connection for a test: `connection("acme", "clickup", settings={"base_url": url}, token="pk_1")`."""
    return Connection(name, connector, settings or {}, {key: Secret(value) for key, value in secrets.items()})


@asynccontextmanager
async def lent_connections(*given: Connection) -> AsyncIterator[GivenConnections]:
    """While the block runs connectors use these connections, in workers that begin in it and in calls made in it.

    Requests may go to this machine, where fakes of vendors are.
    """
    from stepwell.connectors.clients import ConnectionClients
    from stepwell.egress import Rules

    connections = GivenConnections({one.name: one for one in given})
    clients = ConnectionClients(Rules.allowing(["127.0.0.0/8", "::1"]))
    before = connected.set(Connected(connections, MemoryBudgets(lambda: datetime.now(UTC)), clients))
    try:
        yield connections
    finally:
        connected.reset(before)
        await clients.close()
