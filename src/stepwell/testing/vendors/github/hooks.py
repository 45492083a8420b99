"""The fake's webhooks: what they send, signed, and the record of it."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.sources import sign, source_named
from stepwell.testing.vendors.fake import body_of
from stepwell.testing.vendors.github.issues import REPOSITORY
from stepwell.testing.vendors.github.records import API, Json, stamp
from stepwell.testing.vendors.github.site import Refusal, Site
from stepwell.testing.vendors.outgoing import Outgoing

MASK = "********"


@dataclass
class FakeHook:
    """A webhook of a repository, and what it has sent."""

    id: int
    where: str
    url: str
    secret: str
    events: list[str]
    created: str
    is_active: bool = True
    deliveries: list[Json] = field(default_factory=list)

    def shown(self) -> Json:
        """As the API answers it."""
        url = f"{API}/repos/{self.where}/hooks/{self.id}"
        code = self.deliveries[-1]["status_code"] if self.deliveries else None
        return {
            "type": "Repository",
            "id": self.id,
            "name": "web",
            "active": self.is_active,
            "events": self.events,
            "config": {"url": self.url, "content_type": "json", "insecure_ssl": "0", "secret": MASK},
            "updated_at": self.created,
            "created_at": self.created,
            "url": url,
            "test_url": f"{url}/test",
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
            "last_response": {"code": code, "status": "unused" if code is None else "active", "message": None},
        }


class Hooks(Site):
    """Webhooks of repositories."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hooks: dict[int, FakeHook] = {}

    def hook_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        deliveries = f"{REPOSITORY}/hooks/{{hook:int}}/deliveries"
        return [
            Route(f"{REPOSITORY}/hooks", self.guarded(self._list_hooks), methods=["GET"]),
            Route(f"{REPOSITORY}/hooks", self.guarded(self._create_hook), methods=["POST"]),
            Route(deliveries, self.guarded(self._list_deliveries)),
            Route(f"{deliveries}/{{id:int}}", self.guarded(self._get_delivery)),
            Route(f"{deliveries}/{{id:int}}/attempts", self.guarded(self._redeliver), methods=["POST"]),
        ]

    def add_webhook(self, where: str, url: str, *, secret: str, events: list[str] | None = None) -> FakeHook:
        """A person adds a webhook; for all events unless some are named."""
        made = FakeHook(self.next_id(), where, url, secret, events or ["*"], stamp(self.now()))
        self.hooks[made.id] = made
        self.ledger.record("webhook created", made.id)
        return made

    def happened(self, event: str, where: str, **parts: Any) -> None:
        """Every webhook that wants the event sends it."""
        name, _, action = event.partition(".")
        body = {**({"action": action} if action else {}), **deepcopy(parts), **self.told_by_all(where)}
        guid = str(uuid4())
        for hook in self.hooks.values():
            if hook.is_active and hook.where == where and {name, "*"} & set(hook.events):
                self._send(hook, event, guid, body, is_redelivery=False)

    def _send(self, hook: FakeHook, event: str, guid: str, payload: Json, *, is_redelivery: bool) -> None:
        body = json.dumps(payload).encode()
        signed = sign(source_named(self.name), body, hook.secret.encode(), type=event, id=guid, now=self.now())
        headers = {**signed, "X-GitHub-Hook-ID": str(hook.id), "User-Agent": "GitHub-Hookshot/fake"}
        name, _, action = event.partition(".")
        made: Json = {
            "id": self.next_id(),
            "guid": guid,
            "delivered_at": stamp(self.now()),
            "redelivery": is_redelivery,
            "duration": 0.01,
            "status": "failed to connect",
            "status_code": 0,
            "event": name,
            "action": action or None,
            "installation_id": None,
            "repository_id": self.repositories[hook.where.lower()]["id"],
            "url": hook.url,
            "throttled_at": None,
            "request": {"headers": headers, "payload": payload},
            "response": {"headers": {}, "payload": ""},
        }
        hook.deliveries.append(made)

        def answered(status: int | None, _attempts: int) -> None:
            if status is not None:
                made.update(status_code=status, status="OK" if 200 <= status < 300 else "Invalid HTTP Response")

        self.outgoing.put(Outgoing(self.name, event, guid, hook.url, headers, body, answered))

    def _hook(self, request: Request) -> FakeHook:
        found = self.hooks.get(request.path_params["hook"])
        if found is None or found.where != self.where(request):
            raise Refusal(404, "Not Found")
        return found

    def _delivery(self, request: Request) -> Json:
        for one in self._hook(request).deliveries:
            if one["id"] == request.path_params["id"]:
                return one
        raise Refusal(404, "Not Found")

    async def _list_hooks(self, request: Request) -> Response:
        where = self.where(request)
        return JSONResponse([one.shown() for one in self.hooks.values() if one.where == where])

    async def _create_hook(self, request: Request) -> Response:
        asked, where = await body_of(request), self.where(request)
        config, events = asked["config"], asked.get("events") or ["push"]
        for one in self.hooks.values():
            if one.where == where and one.url == config["url"] and set(events) & set(one.events):
                told = {"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"}
                raise Refusal(422, "Validation Failed", [told])
        made = self.add_webhook(where, config["url"], secret=config.get("secret") or "", events=events)
        return JSONResponse(made.shown(), 201)

    async def _list_deliveries(self, request: Request) -> Response:
        """The newest first; the cursor is the id before which the next page begins."""
        size, cursor = int(request.query_params.get("per_page", 30)), request.query_params.get("cursor")
        sent = [one for one in self._hook(request).deliveries[::-1] if cursor is None or one["id"] < int(cursor)]
        page = sent[:size]
        names = ("url", "request", "response")
        shown = [{name: value for name, value in one.items() if name not in names} for one in page]
        more: dict[str, str] = {}
        if len(sent) > size:
            more["Link"] = f'<{request.url.include_query_params(cursor=page[-1]["id"])}>; rel="next"'
        return JSONResponse(shown, headers=more)

    async def _get_delivery(self, request: Request) -> Response:
        return JSONResponse(self._delivery(request))

    async def _redeliver(self, request: Request) -> Response:
        hook, one = self._hook(request), self._delivery(request)
        event = f"{one['event']}.{one['action']}" if one["action"] else one["event"]
        self._send(hook, event, one["guid"], one["request"]["payload"], is_redelivery=True)
        self.ledger.record("delivery sent again", one["guid"])
        return JSONResponse({}, 202)
