"""Routes: who may use the API."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownToken
from stepwell.server import documents
from stepwell.server.fields import Duration, Text
from stepwell.server.routes import Call, Route


class Tokens(msgspec.Struct):
    """Tokens by their names."""

    tokens: list[documents.Token]


async def list_tokens(call: Call) -> Tokens:
    """List tokens, also those that have expired or were revoked."""
    return Tokens([documents.token(one) for one in await call.app.tokens()])


class CreateToken(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A token to be made. Its name is who has done what, in the audit."""

    name: Text
    scope: Scope
    expires: Duration | UnsetType = UNSET


async def create_token(call: Call, body: CreateToken) -> documents.Issued:
    """Create a token. From the first one on nobody is served without."""
    return documents.issued(
        await call.app.create_token(body.name, body.scope, expires=body.expires or None, by=call.by)
    )


async def revoke_token(call: Call, name: Text) -> documents.Token:
    """Refuse a token from now on."""
    return documents.token(await call.app.revoke_token(name, by=call.by))


ROUTES = (
    Route("GET", "/tokens", Scope.ADMIN, list_tokens),
    Route("POST", "/tokens", Scope.ADMIN, create_token, statuses=(201,), errors=(InvalidOption,)),
    Route("POST", "/tokens/{name}/revoke", Scope.ADMIN, revoke_token, errors=(InvalidOption, UnknownToken)),
)
