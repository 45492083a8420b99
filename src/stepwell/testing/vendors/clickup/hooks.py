"""The fake's webhooks: what they send, and what becomes of those that are not answered."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.sources import sign, source_named
from stepwell.testing.vendors.clickup.records import FakeTask, Json
from stepwell.testing.vendors.clickup.workspace import NOT_THERE, Refusal, Workspace
from stepwell.testing.vendors.fake import body_of
from stepwell.testing.vendors.outgoing import Outgoing

MAX_FAILURES = 100  # then a webhook is suspended, and nobody is told
LOCATIONS = ("space_id", "folder_id", "list_id", "task_id")


@dataclass
class FakeWebhook:
    """A webhook. `location` is the narrowest place it was made for, if any."""

    id: str
    endpoint: str
    events: list[str]
    location: tuple[str, str] | None
    secret: str
    status: str = "active"
    fail_count: int = 0

    def wants(self, event: str, places: dict[str, str | None]) -> bool:
        """Whether it sends an event that happens in these places."""
        if self.status == "suspended" or not {event, "*"} & set(self.events):
            return False
        return self.location is None or places.get(self.location[0]) == self.location[1]

    def answered(self, status: int | None, _attempts: int) -> None:
        """An event was sent, for the last time if it did not get through. What is suspended does not wake by itself."""
        if self.status == "suspended":
            return
        if status is not None and 200 <= status < 300:
            self.status, self.fail_count = "active", 0
            return
        self.fail_count += 1
        self.status = "suspended" if status == 410 or self.fail_count >= MAX_FAILURES else "failing"

    def shown(self, team: str, user: int) -> Json:
        """As the API answers it."""
        places: Json = dict.fromkeys(LOCATIONS)
        if self.location:
            places[self.location[0]] = self.location[1]
        return {
            "id": self.id,
            "userid": user,
            "team_id": int(team),
            "endpoint": self.endpoint,
            "client_id": "",
            "events": self.events,
            **places,
            "health": {"status": self.status, "fail_count": self.fail_count},
            "secret": self.secret,
        }


class Hooks(Workspace):
    """Webhooks of the Workspace."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.webhooks: dict[str, FakeWebhook] = {}

    def hook_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        return [
            Route("/api/v2/team/{team}/webhook", self.guarded(self._list_webhooks), methods=["GET"]),
            Route("/api/v2/team/{team}/webhook", self.guarded(self._create_webhook), methods=["POST"]),
            Route("/api/v2/webhook/{id}", self.guarded(self._update_webhook), methods=["PUT"]),
            Route("/api/v2/webhook/{id}", self.guarded(self._delete_webhook), methods=["DELETE"]),
        ]

    def add_webhook(self, endpoint: str, *events: str, secret: str | None = None, **location: str) -> FakeWebhook:
        """A webhook for these events (all without any), of one place if `list_id=`, `space_id=` ... names it."""
        places = [(name, str(location[name])) for name in LOCATIONS if location.get(name) is not None]
        made = FakeWebhook(
            id=str(uuid4()),
            endpoint=endpoint,
            events=list(events) or ["*"],
            location=places[-1] if places else None,
            secret=secret or secrets.token_hex(32).upper(),
        )
        self.webhooks[made.id] = made
        self.ledger.record("webhook created", made.id)
        return made

    def happened(self, event: str, *, task: FakeTask | None = None, items: Sequence[Json] = (), **ids: Any) -> None:
        """Every webhook that wants the event sends it."""
        about: Json = {"task_id": task.id} if task else ids
        place = self.lists[task.list_id] if task else None
        where = {"list_id": place.id, "folder_id": place.folder, "space_id": place.space} if place else {}
        for webhook in self.webhooks.values():
            if webhook.wants(event, {**where, **about}):
                told = {"history_items": list(items)} if items else {}
                self._send(webhook, event, {"event": event, **told, **about, "webhook_id": webhook.id})

    def _send(self, webhook: FakeWebhook, event: str, content: Json) -> None:
        body = json.dumps(content, separators=(",", ":")).encode()
        id = str(uuid4())  # for the test's eyes: the vendor sends none
        headers = sign(
            source_named(self.name), body, webhook.secret.encode(), type=event, id=id, now=self.now(), tenant=webhook.id
        )
        self.outgoing.put(
            Outgoing(
                source=self.name,
                type=event,
                id=id,
                url=webhook.endpoint,
                headers=headers,
                body=body,
                answered=webhook.answered,
            )
        )

    def _shown(self, webhook: FakeWebhook) -> Json:
        return webhook.shown(self.team, self.user["id"])

    def _webhook(self, request: Request) -> FakeWebhook:
        made = self.webhooks.get(request.path_params["id"])
        if made is None:
            raise Refusal(404, "Webhook not found", "WEBHOOK_005")
        return made

    def _check_team(self, request: Request) -> None:
        if request.path_params["team"] != self.team:
            raise NOT_THERE

    async def _list_webhooks(self, request: Request) -> Response:
        self._check_team(request)
        return JSONResponse({"webhooks": [self._shown(one) for one in self.webhooks.values()]})

    async def _create_webhook(self, request: Request) -> Response:
        self._check_team(request)
        asked = await body_of(request)
        if not asked.get("endpoint"):
            raise Refusal(400, "Webhook endpoint required", "WEBHOOK_001")
        if not isinstance(asked.get("events"), list):
            raise Refusal(400, "Webhook events required", "WEBHOOK_002")
        location = {name: str(asked[name]) for name in LOCATIONS if asked.get(name) is not None}
        made = self.add_webhook(asked["endpoint"], *asked["events"], **location)
        return JSONResponse({"id": made.id, "webhook": self._shown(made)})

    async def _update_webhook(self, request: Request) -> Response:
        made, asked = self._webhook(request), await body_of(request)
        made.endpoint = asked.get("endpoint", made.endpoint)
        events = asked.get("events", made.events)
        made.events = [events] if isinstance(events, str) else events
        if asked.get("status") == "active":
            made.status, made.fail_count = "active", 0
        self.ledger.record("webhook updated", made.id)
        return JSONResponse({"id": made.id, "webhook": self._shown(made)})

    async def _delete_webhook(self, request: Request) -> Response:
        made = self._webhook(request)
        del self.webhooks[made.id]
        self.ledger.record("webhook deleted", made.id)
        return JSONResponse({})
