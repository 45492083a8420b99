"""Tokens on PostgreSQL. See `Tokens`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepwell.core.tokens import Admission, NewToken, Scope, Token
from stepwell.store import binary
from stepwell.store.catalog import Run


class PostgresTokens:
    """Keeps the Tokens protocol."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def create_token(self, new: NewToken) -> Token | None:
        seconds = None if new.expires_in is None else binary.float8(new.expires_in.total_seconds())
        found = await self._run(
            "create_token", new.id.bytes, new.digest, new.name.encode(), new.scope.encode(), new.by.encode(), seconds
        )
        return _token(found[0]) if found else None

    async def revoke_token(self, name: str, *, by: str) -> Token | None:
        found = await self._run("revoke_token", name.encode(), by.encode())
        return _token(found[0]) if found else None

    async def tokens(self) -> Sequence[Token]:
        return [_token(row) for row in await self._run("tokens")]

    async def identify(self, digest: bytes | None) -> Admission:
        ((has_tokens, *row),) = await self._run("identify", digest)
        return Admission(has_tokens, None if row[0] is None else _token(row))


def _token(row: Sequence[Any]) -> Token:
    name, scope, *rest = row
    return Token(name, Scope(scope), *rest)
