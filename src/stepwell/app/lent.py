"""What a worker lends connectors, made only when one of them is used: most workers have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepwell.core.connections import Clients, Connection, Connections


class LentConnections:
    """Keeps the Connections protocol."""

    def __init__(self, made: Callable[[], Connections]) -> None:
        self._made = made

    async def use(self, name: str) -> Connection:
        return await self._made().use(name)

    async def renew(self, refused: Connection) -> Connection:
        return await self._made().renew(refused)


class LentClients:
    """Keeps the Clients protocol."""

    def __init__(self, made: Callable[[], Clients]) -> None:
        self._made = made

    async def of(self, connection: Connection, *, base_url: str) -> Any:
        return await self._made().of(connection, base_url=base_url)
