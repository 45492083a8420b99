"""What a worker lends connectors, made only when one of them is used: most workers have none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from stepwell.core.connections import Clients, Connection, Connections
from stepwell.errors import InvalidOption, NotYet
from stepwell.store.connect import may_pass

LOOK_AGAIN_SECONDS = 60.0  # where keys are missing: another worker may have them, or this one be started anew
ASK_AGAIN_SECONDS = 5.0  # where the database does not answer, or not now


class LentConnections:
    """Keeps the Connections protocol.

    A step in a process without keys is put off, and has lost no attempt; so is one while the database gives no answer.
    """

    def __init__(self, made: Callable[[], Connections]) -> None:
        self._made = made

    async def use(self, name: str) -> Connection:
        return await _outlasted(self._lending().use(name), name)

    async def renew(self, refused: Connection) -> Connection:
        return await _outlasted(self._lending().renew(refused), refused.name)

    def _lending(self) -> Connections:
        try:
            return self._made()
        except InvalidOption as error:
            raise NotYet(LOOK_AGAIN_SECONDS, str(error)) from None


async def _outlasted(lent: Awaitable[Connection], name: str) -> Connection:
    try:
        return await lent
    except Exception as error:
        if not may_pass(error):
            raise
        told = str(error).partition("\n")[0]
        raise NotYet(ASK_AGAIN_SECONDS, f"connection '{name}' cannot be read or renewed now: {told}") from error


class LentClients:
    """Keeps the Clients protocol."""

    def __init__(self, made: Callable[[], Clients]) -> None:
        self._made = made

    async def of(self, connection: Connection, *, base_url: str) -> Any:
        return await self._made().of(connection, base_url=base_url)
