"""What a worker lends connectors, made only when one of them is used: most workers have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepwell.core.connections import Clients, Connection, Connections
from stepwell.errors import InvalidOption, NotYet

LOOK_AGAIN_SECONDS = 60.0  # where keys are missing: another worker may have them, or this one be started anew


class LentConnections:
    """Keeps the Connections protocol. A step in a process without keys is put off, and has lost no attempt."""

    def __init__(self, made: Callable[[], Connections]) -> None:
        self._made = made

    async def use(self, name: str) -> Connection:
        return await self._lending().use(name)

    async def renew(self, refused: Connection) -> Connection:
        return await self._lending().renew(refused)

    def _lending(self) -> Connections:
        try:
            return self._made()
        except InvalidOption as error:
            raise NotYet(LOOK_AGAIN_SECONDS, str(error)) from None


class LentClients:
    """Keeps the Clients protocol."""

    def __init__(self, made: Callable[[], Clients]) -> None:
        self._made = made

    async def of(self, connection: Connection, *, base_url: str) -> Any:
        return await self._made().of(connection, base_url=base_url)
