"""A request of a vendor in, the answer to it out. What has been answered with 202 is durable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

import msgspec

from stepwell.core.webhooks import Accepted, Endpoints
from stepwell.errors import DatabaseError, InvalidOption, InvalidValue, PayloadTooLarge
from stepwell.failpoints import failpoint
from stepwell.inbox.gathering import Gathering
from stepwell.inbox.knowledge import Knowledge
from stepwell.inbox.snapshot import Genuine, Snapshot, Unknown, Unproven, judge
from stepwell.inbox.starting import Found, new_delivery
from stepwell.sources import SOURCES, Answer, Request, Source, stored_headers
from stepwell.store.base import Inbox

log = logging.getLogger("stepwell.intake")

RETRY_AFTER_SECONDS = 5  # for vendors that ask; the others have delays of their own
MAX_ROUNDS = 20  # of judging again because hooks or secrets have changed meanwhile

TITLES = {
    400: "This delivery cannot be stored",
    401: "This is no delivery of a sender that is known here",
    404: "No deliveries are taken at this path",
    405: "This path takes POST only",
    408: "The request took too long to arrive",
    413: "The delivery is too large",
    503: "The delivery could not be stored now; send it again",
}

_JSON: Mapping[str, str] = {"Content-Type": "application/json"}
_PROBLEM: Mapping[str, str] = {"Content-Type": "application/problem+json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def refusal(status: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """A problem document (RFC 9457). It says nothing of what was sent."""
    said = {"title": TITLES[status], "status": status} | ({"detail": detail} if detail else {})
    return Reply(status, {**_PROBLEM, **(headers or {})}, msgspec.json.encode(said))


def unavailable() -> Reply:
    """It is not known to be stored: to be sent again."""
    return refusal(503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


class Receiver:
    """Answers requests to `/hooks/{source}[/{connection}]`. `now` is the store's clock."""

    def __init__(self, inbox: Inbox, endpoints: Endpoints, *, now: Callable[[], datetime]) -> None:
        self._knowledge, self._gathering, self._now = Knowledge(inbox, endpoints), Gathering(inbox), now

    async def receive(self, source: str, connection: str | None, request: Request) -> Reply:
        """The answer, whatever was sent, also when the database gives none. Nothing of a body is logged."""
        known = SOURCES.get(source)
        if known is None:
            return refusal(404)
        try:
            return await self._answer(known, connection, request)
        except (DatabaseError, InvalidOption) as error:  # among the latter: no keys to read the secrets with
            log.warning("a delivery of '%s' was not stored: %s", source, error)
            return unavailable()

    async def _answer(self, source: Source, connection: str | None, request: Request) -> Reply:
        snapshot = await self._knowledge.remembered()
        for _ in range(MAX_ROUNDS):
            reply = await self._try(snapshot, source, connection, request)
            if reply is not None and reply.status not in (401, 404):
                return reply
            newer = await self._knowledge.confirmed()
            if reply is not None and newer.revision == snapshot.revision:
                return reply
            snapshot = newer
        return unavailable()

    async def _try(self, snapshot: Snapshot, source: Source, connection: str | None, request: Request) -> Reply | None:
        """The answer by what the snapshot says; None: it is old, and nothing was stored."""
        match judge(snapshot, source, connection, request, now=self._now()):
            case Genuine() as genuine:
                return await self._take(snapshot, source, genuine, request)
            case Answer(status, headers, body):
                return Reply(status, headers, body)
            case Unknown():
                return refusal(404)
            case Unproven(reason, has_proof):
                log.info("a request to the hooks of '%s' is refused: %s", source.name, reason)
                return refusal(401, reason if has_proof else None)
            case never:
                assert_never(never)

    async def _take(self, snapshot: Snapshot, source: Source, genuine: Genuine, request: Request) -> Reply | None:
        endpoint = genuine.endpoint
        headers = stored_headers(source, request, settings=endpoint.settings)
        found = Found(source.name, endpoint.connection, genuine.envelope, headers, request.body, self._now())
        try:
            delivery = new_delivery(found, snapshot.hooks)
            accepted = await self._gathering.accept(delivery, revision=snapshot.revision)
        except PayloadTooLarge as error:
            return refusal(413, f"an execution's input may take {error.limit_bytes:,} bytes, compressed")
        except InvalidValue:
            return refusal(400)
        return None if accepted is None else _accepted(accepted)


def _accepted(one: Accepted) -> Reply:
    failpoint("before_webhook_answer")
    said = {"delivery": one.id, "executions": one.executions, "duplicate": not one.is_new}
    return Reply(202, _JSON, msgspec.json.encode(said))
