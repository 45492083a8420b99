"""Routes: what an execution has done, what it waits for, and what was done to it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from stepwell.app.payloads import as_json
from stepwell.core.model import ExecutionId
from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownExecution
from stepwell.server import documents
from stepwell.server.cursors import cursor_after, page_of, place_of
from stepwell.server.fields import DEFAULT_PAGE, MAX_PAGE, Cursor, Limit
from stepwell.server.routes import Call, Route

# of places in cursors, which anybody can make up: what the database could not take is none
Key = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
Attempt = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Paging(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | UnsetType = UNSET


class Steps(msgspec.Struct):
    """Stored outcomes and failed attempts by step and attempt, the items of maps among them."""

    steps: list[documents.Step]
    next: str | None


async def list_steps(call: Call, execution_id: UUID, query: Paging) -> Steps:
    """List an execution's stored outcomes and failed attempts."""
    store, of = (await call.app.open()).store, ["steps", execution_id]
    await call.app.get(execution_id)
    after = place_of(query.cursor, tuple[Key, Attempt], of=of)
    found = await store.steps(ExecutionId(execution_id), after=after, limit=query.limit + 1)
    page, following = page_of(found, lambda one: (one.key, one.attempt), limit=query.limit, of=of)
    return Steps([documents.step(record) for record in page], following)


class Progress(msgspec.Struct):
    """How many items each of its maps has stored."""

    items: dict[str, int]


async def progress(call: Call, execution_id: UUID) -> Progress:
    """Count the items that each map of an execution has stored."""
    await call.app.get(execution_id)
    return Progress(await (await call.app.open()).store.progress(ExecutionId(execution_id)))


class MapPaging(Paging, kw_only=True):
    map: Annotated[str, Meta(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$", description="The map's key.")]


class Item(msgspec.Struct):
    """A stored item of a map."""

    index: int
    is_failure: bool
    value: Raw


class Items(msgspec.Struct):
    """Stored items of a map. `next` is the cursor of the next page, if there is one."""

    items: list[Item]
    next: str | None


async def list_items(call: Call, execution_id: UUID, query: MapPaging) -> Items:
    """List the stored items of a map, by their index."""
    store, of = (await call.app.open()).store, ["items", execution_id, query.map]
    await call.app.get(execution_id)
    after = place_of(query.cursor, Number, of=of)
    page: list[Item] = []
    async for index, one in store.items(ExecutionId(execution_id), query.map, after=after):
        if len(page) == query.limit:
            return Items(page, cursor_after(page[-1].index, of=of))
        page.append(Item(index, one.is_failure, as_json(one.value)))
    return Items(page, None)


class Waits(msgspec.Struct):
    """Who waits for events."""

    waits: list[documents.Wait]


async def list_waits_of(call: Call, execution_id: UUID) -> Waits:
    """List the events that an execution waits for."""
    await call.app.get(execution_id)
    found = await call.app.waits(execution_id=execution_id, limit=MAX_PAGE)
    return Waits([documents.wait(one) for one in found])


class Audit(msgspec.Struct):
    """What was done, newest first. `next` is the cursor of the next page, if there is one."""

    audit: list[documents.Act]
    next: str | None


async def audit(call: Call, query: Paging) -> Audit:
    """List who did what to which execution, newest first."""
    return await _audit(call, None, query)


async def audit_of(call: Call, execution_id: UUID, query: Paging) -> Audit:
    """List who did what to an execution, newest first."""
    await call.app.get(execution_id)
    return await _audit(call, execution_id, query)


async def _audit(call: Call, execution_id: UUID | None, query: Paging) -> Audit:
    of = ["audit", execution_id]
    before = place_of(query.cursor, Number, of=of)
    found = await call.app.audit(execution_id, before=before, limit=query.limit + 1)
    page, following = page_of(found, lambda one: one.number, limit=query.limit, of=of)
    return Audit([documents.act(one) for one in page], following)


_ONE = "/executions/{execution_id}"
_UNKNOWN = (UnknownExecution,)

ROUTES = (
    Route("GET", f"{_ONE}/steps", Scope.READ, list_steps, errors=_UNKNOWN),
    Route("GET", f"{_ONE}/progress", Scope.READ, progress, errors=_UNKNOWN),
    Route("GET", f"{_ONE}/items", Scope.READ, list_items, errors=_UNKNOWN),
    Route("GET", f"{_ONE}/waits", Scope.READ, list_waits_of, errors=_UNKNOWN),
    Route("GET", f"{_ONE}/audit", Scope.READ, audit_of, errors=_UNKNOWN),
    Route("GET", "/audit", Scope.READ, audit, errors=(InvalidOption,)),
)
