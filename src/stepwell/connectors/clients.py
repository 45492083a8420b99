"""The HTTP clients of a process: one for each connection, so that its kept-alive sockets serve all its steps."""

from __future__ import annotations

import httpx2

from stepwell.core.connections import Connection
from stepwell.egress import Rules, guarded_client


class ConnectionClients:
    """Keeps the Clients protocol. A connection that goes elsewhere now gets a new client."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._clients: dict[str, tuple[str, httpx2.AsyncClient]] = {}
        self._former: list[httpx2.AsyncClient] = []

    async def of(self, connection: Connection, *, base_url: str) -> httpx2.AsyncClient:
        """The client of this connection."""
        known = self._clients.get(connection.name)
        if known is not None and known[0] == base_url:
            return known[1]
        client = guarded_client(self._rules)
        self._clients[connection.name] = base_url, client
        if known is not None:
            self._former.append(known[1])  # other steps may be using it
        return client

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        clients, self._clients, self._former = [client for _, client in self._clients.values()] + self._former, {}, []
        for client in clients:
            await client.aclose()
