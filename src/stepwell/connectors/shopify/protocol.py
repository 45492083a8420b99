"""How Shopify talks: GraphQL whose troubles come as 200, and a bucket of points whose level every answer tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stepwell.connectors.base import action, action_key
from stepwell.connectors.errors import VendorError, VendorRejected
from stepwell.connectors.http import HttpConnector
from stepwell.connectors.outcome import (
    MAX_TOLD,
    Answer,
    Done,
    Failed,
    Limited,
    Outcome,
    Rejected,
    standard_outcome,
)
from stepwell.core.connections import Budget, Connection
from stepwell.errors import InvalidOption

API_VERSION = "2026-10"  # the newest of the quarterly versions when this was written; each lives a year

POINTS_PER_SECOND = 100.0  # of the plan that allows the fewest
SECONDS_IN_BUCKET = 20  # a full bucket holds what comes back in that time
MAX_POINTS = 1_000.0  # of one query: the vendor refuses what costs more
READ_POINTS, WRITE_POINTS = 20.0, 10.0  # as a guess; the answer says what is left
MIN_PAUSE, MAX_PAUSE = timedelta(seconds=1), timedelta(minutes=5)  # whatever the numbers say: a bucket fills in 20 s

KEY_VARIABLE = "idempotencyKey"

NEED_A_KEY = frozenset(
    {
        "inventoryActivate",
        "inventoryAdjustQuantities",
        "inventoryMoveQuantities",
        "inventorySetOnHandQuantities",
        "inventorySetQuantities",
        "inventoryShipmentAddItems",
        "inventoryShipmentCreate",
        "inventoryShipmentCreateInTransit",
        "inventoryShipmentReceive",
        "inventoryTransferCreate",
        "inventoryTransferCreateAsReadyToShip",
        "inventoryTransferDuplicate",
        "inventoryTransferSetItems",
        "locationActivate",
        "locationDeactivate",
        "orderCreateMandatePayment",
        "refundCreate",
    }
)
"""Mutations that are refused without an idempotency key since 2026-04: by the directive `@idempotent(key:)`, the
payment by its argument. The schema does not say so in types."""

TRY_AGAIN = {"INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"}
SAME_KEY_IS_AT_WORK = "IDEMPOTENCY_CONCURRENT_REQUEST"


class _Throttle(msgspec.Struct):
    currentlyAvailable: float | None = None  # noqa: N815 - the vendor's name
    restoreRate: float | None = None  # noqa: N815


class _Cost(msgspec.Struct):
    requestedQueryCost: float | None = None  # noqa: N815
    throttleStatus: _Throttle | None = None  # noqa: N815


class _Extensions(msgspec.Struct):
    cost: _Cost | None = None


class _Code(msgspec.Struct):
    code: str | None = None


class _Error(msgspec.Struct):
    message: str = ""
    extensions: _Code | None = None


class _Reply(msgspec.Struct):
    """What is judged of an answer. `errors` is a text where the vendor refuses before it reads GraphQL."""

    errors: list[_Error] | str | None = None
    extensions: _Extensions | None = None


_REPLY = msgspec.json.Decoder(_Reply)


class ShopifyProtocol(HttpConnector):
    """Requests to the Admin API of one shop.

    Sources: shopify.dev/docs/api/admin-graphql, shopify.dev/docs/api/usage (limits, response-codes,
    idempotent-requests).
    """

    def address(self, connection: Connection) -> str:
        """The GraphQL address of the shop, in the connection's version of the API."""
        shop = f"{super().address(connection)}/admin/api"
        return f"{shop}/{connection.settings.get('version') or API_VERSION}"

    def authorisation(self, connection: Connection) -> Mapping[str, str]:
        """The access token of the app for this shop."""
        return {"X-Shopify-Access-Token": connection.secrets["token"].reveal()}

    def judge(self, answer: Answer, *, now: datetime) -> Outcome:
        """What an answer means: a 200 may be THROTTLED, refused or broken."""
        reply = _read(answer)
        if answer.status != 200 or reply is None:
            outcome = standard_outcome(answer, now=now)
            is_told = reply is not None and isinstance(reply.errors, str) and isinstance(outcome, Rejected)
            return (
                Rejected(f"answered {answer.status}: {str(reply.errors)[:MAX_TOLD]}") if is_told and reply else outcome
            )
        cost = reply.extensions.cost if reply.extensions else None
        left = cost.throttleStatus.currentlyAvailable if cost and cost.throttleStatus else None
        return _judged(reply.errors, cost, left) if reply.errors else Done(left)

    def budget(self, connection: Connection) -> Budget | None:
        """So many points a second as the shop's plan restores."""
        told = connection.settings.get("points_per_second", str(POINTS_PER_SECOND))
        try:
            rate = float(told)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise InvalidOption(
                f"connection '{connection.name}': points_per_second is {told!r:.40}, give a number such as 100"
            )
        return Budget("points", capacity=rate * SECONDS_IN_BUCKET, per_second=rate)

    @action(repeat="safe")
    async def query(
        self, document: str, variables: Mapping[str, Any] | None = None, *, points: float = READ_POINTS
    ) -> dict[str, Any]:
        """What a query of yours answers: its `data`. `points` is what it costs, as a guess.

        Raises InvalidOption for a document with a mutation: `mutate` runs that.
        """
        if "mutation" in _operations(document):
            raise InvalidOption("query() runs queries, which may be repeated; mutate() runs mutations")
        return await self.data(document, variables or {}, operation=_named(document, "run a query"), points=points)

    @action(repeat="keyed")
    async def mutate(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        is_repeatable: bool = False,
        points: float = WRITE_POINTS,
    ) -> dict[str, Any]:
        """What a mutation of yours answers: its `data`. Raises VendorRejected for `userErrors`.

        A document that declares the variable `$idempotencyKey: String!` gets our key in it, for `@idempotent(key:
        $idempotencyKey)`. One that does not is refused (InvalidOption), unless you say that calling it twice is as
        calling it once (`is_repeatable`): then it must be so.
        """
        takes_key = f"${KEY_VARIABLE}" in document
        needs = sorted(name for name in NEED_A_KEY if re.search(rf"\b{name}\b", document))
        if not takes_key and (needs or not is_repeatable):
            why = f"Shopify refuses {needs[0]} without a key" if needs else "calling it twice could do it twice"
            raise InvalidOption(
                f"mutate(): {why}; declare ${KEY_VARIABLE}: String! and write @idempotent(key: ${KEY_VARIABLE})"
                " behind the mutation's arguments"
            )
        given = {**(variables or {}), **({KEY_VARIABLE: action_key("mutate")} if takes_key else {})}
        operation = _named(document, "run a mutation")
        data = await self.data(document, given, operation=operation, points=points)
        for payload in data.values():
            if isinstance(payload, dict):
                self.check_user_errors(payload, operation)
        return data

    async def data(
        self, document: str, variables: Mapping[str, Any], *, operation: str, points: float = READ_POINTS
    ) -> dict[str, Any]:
        """The `data` of the answer to a document."""
        sent = {"query": document, "variables": variables}
        answer = await self.request("POST", "/graphql.json", operation=operation, json=sent, cost=points)
        found: dict[str, Any] = answer.json()["data"]
        return found

    async def payload(self, document: str, variables: Mapping[str, Any], *, operation: str) -> dict[str, Any]:
        """What the one mutation of a document answers. Raises VendorRejected for its `userErrors`."""
        (payload,) = (await self.data(document, variables, operation=operation, points=WRITE_POINTS)).values()
        self.check_user_errors(payload, operation)
        found: dict[str, Any] = payload
        return found

    def check_user_errors(self, payload: Mapping[str, Any], operation: str) -> None:
        """Raise VendorRejected if the vendor has refused what was wanted, with its words and the first code.

        Raises VendorError while another request with the same key is at work.
        """
        errors = payload.get("userErrors") or []
        if not errors:
            return
        told = "; ".join(f"{'.'.join(error.get('field') or []) or 'request'}: {error['message']}" for error in errors)
        where = {"connector": self.name, "connection": self.connection_name(), "operation": operation}
        code = next((error["code"] for error in errors if error.get("code")), None)
        if code == SAME_KEY_IS_AT_WORK:
            raise VendorError(**where, reason="another request with the same key is at work", status=200)
        raise VendorRejected(**where, reason=told[:MAX_TOLD], status=200, code=code)

    def not_there(self, operation: str) -> VendorRejected:
        """The error for an id that the shop does not have: GraphQL answers null."""
        return VendorRejected(
            connector=self.name,
            connection=self.connection_name(),
            operation=operation,
            reason="the shop has no such object",
            status=404,
            code="NOT_FOUND",
        )


def _read(answer: Answer) -> _Reply | None:
    try:
        return _REPLY.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _judged(errors: list[_Error] | str, cost: _Cost | None, left: float | None) -> Outcome:
    if isinstance(errors, str):
        return Rejected(errors[:MAX_TOLD])
    codes = {error.extensions.code for error in errors if error.extensions}
    told = "; ".join(error.message for error in errors)[:MAX_TOLD]
    if "THROTTLED" in codes:
        return Limited(_until_affordable(cost), left)
    if codes & TRY_AGAIN:
        return Failed(f"answered {told}")
    return Rejected(told, next((code for code in codes if code), None))


def _until_affordable(cost: _Cost | None) -> timedelta:
    """How long the bucket takes until it holds what the query costs."""
    throttle = cost.throttleStatus if cost else None
    if cost is None or throttle is None or not throttle.restoreRate or throttle.restoreRate <= 0:
        return MIN_PAUSE
    missing = min(cost.requestedQueryCost or 0.0, MAX_POINTS) - (throttle.currentlyAvailable or 0.0)
    return max(timedelta(seconds=min(missing / throttle.restoreRate, MAX_PAUSE.total_seconds())), MIN_PAUSE)


_NOISE = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*')
_OPERATION = re.compile(r"\b(query|mutation|subscription)\b\s*([A-Za-z_]\w*)?")


def _operations(document: str) -> dict[str, str]:
    """The kinds of operations in a document, each with its name: what stands outside of all brackets."""
    depth, outside = 0, []
    for character in _NOISE.sub(" ", document):
        depth += (character in "{(") - (character in "})")
        outside.append(character if depth == 0 else " ")
    return {found[1]: found[2] or "" for found in _OPERATION.finditer("".join(outside))}


def _named(document: str, otherwise: str) -> str:
    """What to call a document of the user's in errors."""
    return next((f"{kind} {name}" for kind, name in _operations(document).items() if name), otherwise)
