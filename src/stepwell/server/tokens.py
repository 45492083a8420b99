"""Routes: who may use the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from stepwell.core import tokens as core
from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownToken
from stepwell.server.documents import Duration, Text
from stepwell.server.routes import Answer, Call, Route


class Token(msgspec.Struct, kw_only=True):
    """A token. Its text is shown once, when it is created. `last_used_at` is exact to a minute."""

    name: str
    scope: Scope
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_by: str | None
    revoked_at: datetime | None


class Tokens(msgspec.Struct):
    """Tokens by their names."""

    tokens: list[Token]


async def list_tokens(call: Call) -> Tokens:
    """List tokens, also those that have expired or were revoked."""
    return Tokens([Token(**_facts(one)) for one in await call.app.tokens()])


class CreateToken(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A token to be made. Its name is who has done what, in the audit."""

    name: Text
    scope: Scope
    expires: Duration | UnsetType = UNSET


class Issued(Token, kw_only=True):
    """A new token: `token` is its text, which is shown this once."""

    token: str


async def create_token(call: Call, body: CreateToken) -> Answer[Issued]:
    """Create a token. From the first one on nobody is served without."""
    issued = await call.app.create_token(body.name, body.scope, expires=body.expires or None, by=call.by)
    return Answer(Issued(**_facts(issued.token), token=issued.secret.reveal()))


async def revoke_token(call: Call, name: Text) -> Token:
    """Refuse a token from now on."""
    return Token(**_facts(await call.app.revoke_token(name, by=call.by)))


def _facts(one: core.Token) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Token.__struct_fields__}


ROUTES = (
    Route("GET", "/tokens", Scope.ADMIN, list_tokens),
    Route("POST", "/tokens", Scope.ADMIN, create_token, statuses=(201,), errors=(InvalidOption,)),
    Route("POST", "/tokens/{name}/revoke", Scope.ADMIN, revoke_token, errors=(InvalidOption, UnknownToken)),
)
