"""The fake's service hooks: subscriptions, what they send, and the history of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.connectors.http import basic
from stepwell.testing.vendors.azure_devops.organization import Organization, Refusal, listed
from stepwell.testing.vendors.azure_devops.records import ORGANIZATION_ID, Json, Project, identity, text_of
from stepwell.testing.vendors.fake import body_of
from stepwell.testing.vendors.outgoing import Outgoing

RESOURCE_VERSION = "1.0"
MASK = "********"


@dataclass
class Subscribed:
    """A subscription as it was made, and what became of its events."""

    id: str
    asked: Json
    created: str
    status: str = "enabled"
    notifications: list[Json] = field(default_factory=list)

    @property
    def inputs(self) -> Json:
        """What the consumer was told: the URL, credentials, how much to send."""
        inputs: Json = self.asked["consumerInputs"]
        return inputs

    def wants(self, event_type: str, resource: Json, project: Project) -> bool:
        """Whether it sends such an event. An empty filter lets everything through."""
        filters = self.asked.get("publisherInputs") or {}
        kind = (resource.get("fields") or {}).get("System.WorkItemType")
        return (
            self.status == "enabled"
            and self.asked["eventType"] == event_type
            and filters.get("projectId") in (None, "", project.id)
            and (not filters.get("workItemType") or filters["workItemType"] == kind)
        )

    def headers(self) -> dict[str, str]:
        """What it sends along: lines of `Name:value`, and a user with a password."""
        lines = [line.partition(":") for line in str(self.inputs.get("httpHeaders") or "").splitlines() if line]
        sent = {name.strip(): value.strip() for name, _, value in lines}
        if self.inputs.get("basicAuthUsername"):
            user, password = str(self.inputs["basicAuthUsername"]), str(self.inputs.get("basicAuthPassword") or "")
            sent["Authorization"] = basic(user, password)
        return {"Content-Type": "application/json; charset=utf-8", **sent}

    def body(self, event: Json) -> bytes:
        """The event with this much of its resource and messages."""
        details, messages = self.inputs.get("resourceDetailsToSend"), self.inputs.get("messagesToSend")
        resource = event["resource"]
        if details == "minimal":
            resource = {name: resource[name] for name in ("id", "workItemId", "rev", "url") if name in resource}
        sent = {
            "subscriptionId": self.id,
            "notificationId": len(self.notifications) + 1,
            **event,
            "message": None if messages == "none" else event["message"],
            "resource": None if details == "none" else resource,
        }
        return json.dumps(sent).encode()


class Hooks(Organization):
    """Service hooks with the consumer `webHooks`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.subscriptions: dict[str, Subscribed] = {}

    def hook_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        api = "/{organization}/_apis/hooks/subscriptions"
        return [
            Route(api, self.guarded(self._list_subscriptions), methods=["GET"]),
            Route(api, self.guarded(self._subscribe), methods=["POST"]),
            Route(f"{api}/{{id}}", self.guarded(self._subscription), methods=["GET"]),
            Route(f"{api}/{{id}}", self.guarded(self._unsubscribe), methods=["DELETE"]),
            Route(f"{api}/{{id}}/notifications", self.guarded(self._notifications), methods=["GET"]),
        ]

    def subscribe(
        self, event_type: str, url: str, *, user: str = "", password: str = "", project: str | None = None
    ) -> Subscribed:
        """A person makes a subscription."""
        filters = {"projectId": self.project(project).id} if project else {}
        inputs = {"url": url, **({"basicAuthUsername": user, "basicAuthPassword": password} if user else {})}
        return self._subscribed({"eventType": event_type, "publisherInputs": filters, "consumerInputs": inputs})

    def happened(self, event_type: str, resource: Json, project: Project) -> None:
        """Every subscription that wants the event sends it."""
        containers = {"collection": ORGANIZATION_ID, "account": ORGANIZATION_ID, "project": project.id}
        text = f"{event_type} in {project.name} by {self.user}"
        event = {
            "id": str(uuid4()),
            "eventType": event_type,
            "publisherId": "tfs",
            "message": {"text": text, "html": text, "markdown": text},
            "detailedMessage": None,
            "resource": resource,
            "resourceVersion": RESOURCE_VERSION,
            "resourceContainers": {name: {"id": id, "baseUrl": f"{self.base}/"} for name, id in containers.items()},
            "createdDate": text_of(self.now()),
        }
        for subscribed in self.subscriptions.values():
            if subscribed.wants(event_type, resource, project):
                self._send(subscribed, event)

    def _send(self, subscribed: Subscribed, event: Json) -> None:
        body = subscribed.body(event)
        notification: Json = {
            "id": len(subscribed.notifications) + 1,
            "subscriptionId": subscribed.id,
            "eventId": event["id"],
            "status": "queued",
            "result": "pending",
            "createdDate": text_of(self.now()),
            "modifiedDate": text_of(self.now()),
            "details": {"eventType": event["eventType"], "requestAttempts": 0, "errorMessage": None, "event": event},
        }
        subscribed.notifications.append(notification)

        def answered(status: int | None, attempts: int) -> None:
            is_good = status is not None and 200 <= status < 300
            notification.update(status="completed", result="succeeded" if is_good else "failed")
            notification["details"]["requestAttempts"] = attempts
            if not is_good:
                notification["details"]["errorMessage"] = f"({status or 'no answer'})"
            if status == 410:
                subscribed.status = "disabledBySystem"

        self.outgoing.put(
            Outgoing(
                source=self.name,
                type=event["eventType"],
                id=event["id"],
                url=subscribed.inputs["url"],
                headers=subscribed.headers(),
                body=body,
                answered=answered,
            )
        )

    def _subscribed(self, asked: Json) -> Subscribed:
        made = Subscribed(str(uuid4()), asked, text_of(self.now()))
        self.subscriptions[made.id] = made
        self.ledger.record("subscription created", made.id)
        return made

    def _shown(self, made: Subscribed) -> Json:
        inputs = {name: MASK if name == "basicAuthPassword" else value for name, value in made.inputs.items()}
        somebody = identity(self.user, self.base)
        return {
            "publisherId": "tfs",
            "consumerId": "webHooks",
            "consumerActionId": "httpRequest",
            "resourceVersion": RESOURCE_VERSION,
            **made.asked,
            "id": made.id,
            "url": f"{self.base}/_apis/hooks/subscriptions/{made.id}",
            "status": made.status,
            "eventDescription": "",
            "actionDescription": f"To host {inputs['url']}",
            "createdBy": somebody,
            "createdDate": made.created,
            "modifiedBy": somebody,
            "modifiedDate": made.created,
            "publisherInputs": {
                "hostId": ORGANIZATION_ID,
                "tfsSubscriptionId": made.id,
                **(made.asked.get("publisherInputs") or {}),
            },
            "consumerInputs": inputs,
        }

    def _found(self, request: Request) -> Subscribed:
        made = self.subscriptions.get(request.path_params["id"])
        if made is None:
            raise Refusal(404, "VS402905: The subscription cannot be found.", "SubscriptionNotFoundException")
        return made

    async def _subscribe(self, request: Request) -> Response:
        asked = await body_of(request)
        if not (asked.get("consumerInputs") or {}).get("url"):
            raise Refusal(400, "Subscription input 'url' is required.", "SubscriptionInputException")
        return JSONResponse(self._shown(self._subscribed(asked)))

    async def _list_subscriptions(self, request: Request) -> Response:
        wanted = request.query_params.get("eventType")
        made = [one for one in self.subscriptions.values() if wanted in (None, one.asked["eventType"])]
        return JSONResponse(listed([self._shown(one) for one in made]))

    async def _subscription(self, request: Request) -> Response:
        return JSONResponse(self._shown(self._found(request)))

    async def _unsubscribe(self, request: Request) -> Response:
        made = self._found(request)
        del self.subscriptions[made.id]
        self.ledger.record("subscription deleted", made.id)
        return Response(status_code=204)

    async def _notifications(self, request: Request) -> Response:
        result = request.query_params.get("result")
        found = [one for one in self._found(request).notifications if result in (None, one["result"])]
        return JSONResponse(listed(found[::-1][: int(request.query_params.get("maxResults", 100))]))
