"""Tokens in memory. See `Tokens`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from stepwell.core.tokens import Admission, NewToken, Token

NOTED_EVERY = timedelta(minutes=1)


class MemoryTokens:
    """Keeps the Tokens protocol."""

    def __init__(self, *, lock: AbstractContextManager[object], now: Callable[[], datetime]) -> None:
        self._lock, self._now = lock, now
        self._tokens: dict[bytes, Token] = {}  # by digest

    async def create_token(self, new: NewToken) -> Token | None:
        with self._lock:
            if self._unrevoked(new.name) is not None:
                return None
            now = self._now()
            expires_at = None if new.expires_in is None else now + new.expires_in
            token = Token(new.name, new.scope, new.by, now, expires_at=expires_at)
            self._tokens[new.digest] = token
            return token

    async def revoke_token(self, name: str, *, by: str) -> Token | None:
        with self._lock:
            digest = self._unrevoked(name)
            if digest is None:
                return None
            self._tokens[digest] = replace(self._tokens[digest], revoked_by=by, revoked_at=self._now())
            return self._tokens[digest]

    async def tokens(self) -> Sequence[Token]:
        with self._lock:
            return sorted(self._tokens.values(), key=lambda token: (token.name, token.created_at))

    async def identify(self, digest: bytes | None) -> Admission:
        with self._lock:
            token, now = self._tokens.get(digest or b""), self._now()
            if digest is None or token is None or not _is_good(token, now):
                return Admission(bool(self._tokens), None)
            if token.last_used_at is None or token.last_used_at < now - NOTED_EVERY:
                self._tokens[digest] = replace(token, last_used_at=now)
            return Admission(True, token)

    def _unrevoked(self, name: str) -> bytes | None:
        found = (digest for digest, token in self._tokens.items() if token.name == name and not token.revoked_at)
        return next(found, None)


def _is_good(token: Token, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)
