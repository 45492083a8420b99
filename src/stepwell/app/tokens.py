"""The App's calls about the tokens of its HTTP API."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from stepwell.app.control import actor
from stepwell.app.opening import Opening
from stepwell.core.connections import Secret
from stepwell.core.duration import DurationLike
from stepwell.core.texts import checked_text
from stepwell.core.tokens import SECRET_BYTES, IssuedToken, NewToken, Scope, Token, digest_of, secret_of
from stepwell.errors import InvalidOption, UnknownToken
from stepwell.runtime.functions import duration_option
from stepwell.store.base import Tokens
from stepwell.store.identity import new_id


class TokenCalls(Opening):
    """The part of an App that says who may use its HTTP API."""

    async def create_token(
        self, name: str, scope: Scope | str, *, expires: DurationLike | None = None, by: str | None = None
    ) -> IssuedToken:
        """A new token, good for that long, or until it is revoked. Its text is in the answer, and nowhere else.

        `scope` is "read", "operate" or "admin". Its name is who has done what, in the audit. Raises InvalidOption, also
        when a token that is not revoked has this name.
        """
        text = secret_of(secrets.token_bytes(SECRET_BYTES))
        new = NewToken(
            id=new_id(),
            digest=digest_of(text),
            name=checked_text("name", name),
            scope=checked_scope(scope),
            by=actor(by),
            expires_in=duration_option("expires", expires),
        )
        token = await (await self._tokens()).create_token(new)
        if token is None:
            raise InvalidOption(f"a token is called {name!r:.100} already; revoke it first, or choose another name")
        return IssuedToken(Secret(text), token)

    async def tokens(self) -> Sequence[Token]:
        """All tokens by their names, also those that have expired or were revoked."""
        return await (await self._tokens()).tokens()

    async def revoke_token(self, name: str, *, by: str | None = None) -> Token:
        """Refuse the token from now on. Raises UnknownToken."""
        tokens = await self._tokens()
        revoked = await tokens.revoke_token(checked_text("name", name), by=actor(by))
        if revoked is None:
            raise UnknownToken(name, [one.name for one in await tokens.tokens() if one.revoked_at is None])
        return revoked

    async def _tokens(self) -> Tokens:
        return (await self.open()).store.tokens


def checked_scope(scope: Scope | str) -> Scope:
    """Raises InvalidOption."""
    try:
        return Scope(scope)
    except ValueError:
        raise InvalidOption(f"{scope!r:.100} is no scope; there are: {', '.join(Scope)}") from None
