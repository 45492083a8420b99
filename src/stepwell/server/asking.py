"""Routes: what executions ask, with the URLs that answer it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownExecution
from stepwell.server.routes import Call, Route


class OpenCallback(msgspec.Struct):
    """What can be answered now. Whoever has its `url` can answer it, without a token."""

    name: str
    prompt: str | None
    created_at: datetime
    expires_at: datetime
    url: str


class OpenCallbacks(msgspec.Struct):
    """Those of an execution, in the order in which they were made."""

    callbacks: list[OpenCallback]


async def list_callbacks(call: Call, execution_id: UUID) -> OpenCallbacks:
    """List the URLs that answer what an execution asks now."""
    await call.app.get(execution_id)
    found = await call.app.callbacks(execution_id)
    return OpenCallbacks([OpenCallback(one.name, one.prompt, one.created_at, one.expires_at, one.url) for one in found])


ROUTES = (
    Route(
        "GET",
        "/executions/{execution_id}/callbacks",
        Scope.ADMIN,
        list_callbacks,
        errors=(InvalidOption, UnknownExecution),
    ),
)
