"""Routes: what executions ask, with the URLs that answer it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownExecution
from stepwell.server import documents
from stepwell.server.routes import Call, Route


class OpenCallbacks(msgspec.Struct):
    """Those of an execution, in the order in which they were made."""

    callbacks: list[documents.OpenCallback]


async def list_callbacks(call: Call, execution_id: UUID) -> OpenCallbacks:
    """List the URLs that answer what an execution asks now."""
    await call.app.get(execution_id)
    return OpenCallbacks([documents.open_callback(one) for one in await call.app.callbacks(execution_id)])


ROUTES = (
    Route(
        "GET",
        "/executions/{execution_id}/callbacks",
        Scope.ADMIN,
        list_callbacks,
        errors=(InvalidOption, UnknownExecution),
    ),
)
