"""Service hooks: who is told of what, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from stepwell.connectors.azure_devops.protocol import AzureDevOpsProtocol
from stepwell.connectors.azure_devops.types import Notification, Subscription, notification, subscription
from stepwell.connectors.base import action
from stepwell.connectors.errors import VendorRejected
from stepwell.connectors.http import segment
from stepwell.errors import InvalidOption

MAX_NOTIFICATIONS = 1_000
_VENDORS_OWN = {"hostId", "subscriberId", "tfsSubscriptionId"}
RESULTS = ("pending", "succeeded", "failed", "filtered")


class HookActions(AzureDevOpsProtocol):
    """Source: learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions, version 7.1."""

    @action(repeat="verify")
    async def create_subscription(
        self,
        event_type: str,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        filters: Mapping[str, str] | None = None,
        project: str | None = None,
        resource_version: str = "1.0",
    ) -> Subscription:
        """A subscription that posts events of that type, such as `workitem.created`, to the URL.

        `user` and `password` are sent along, or `headers`: the vendor signs nothing. `filters` are inputs of the
        publisher, such as `workItemType`. The one that is already there for this type, URL, project and filters is
        given back as it is, whoever has made it: two would send everything twice. Loopback addresses are refused by
        the vendor.
        """
        place = project or await self.default_project()
        wanted = {**(filters or {}), **({"projectId": await self._project_id(place)} if place else {})}
        for known in await self.list_subscriptions(event_type=event_type, url=url):
            if _filters_of(known) == wanted:
                return known
        answer = await self.api(
            "POST",
            "/hooks/subscriptions",
            operation=f"subscribe to {event_type}",
            json={
                "publisherId": "tfs",
                "eventType": event_type,
                "resourceVersion": resource_version,
                "consumerId": "webHooks",
                "consumerActionId": "httpRequest",
                "publisherInputs": wanted,
                "consumerInputs": _consumer_inputs(url, user, password, headers or {}),
            },
        )
        return subscription(answer.json())

    @action(repeat="safe")
    async def list_subscriptions(self, *, event_type: str | None = None, url: str | None = None) -> list[Subscription]:
        """The subscriptions that post webhooks: all, or those for a type or to a URL."""
        query = {"consumerId": "webHooks", **({"eventType": event_type} if event_type else {})}
        answer = await self.api("GET", "/hooks/subscriptions", operation="list subscriptions", query=query)
        found = [subscription(raw) for raw in answer.json()["value"]]
        return [one for one in found if url in (None, one.url)]

    @action(repeat="safe")
    async def delete_subscription(self, id: str) -> None:
        """No such subscription any more, also if there was none."""
        try:
            await self.api("DELETE", f"/hooks/subscriptions/{UUID(id)}", operation=f"delete subscription {id}")
        except VendorRejected as rejected:
            if rejected.status != 404:
                raise

    @action(repeat="safe")
    async def list_notifications(
        self, subscription_id: str, *, result: str | None = None, limit: int = 100
    ) -> list[Notification]:
        """What a subscription has sent lately, the newest first; `result` is `failed`, for instance.

        `raw["details"]["event"]` is the event itself, where the vendor still has it.
        """
        if result is not None and result not in RESULTS:
            raise InvalidOption(f"result is {result!r:.40}, use {', '.join(RESULTS)}")
        if not 1 <= limit <= MAX_NOTIFICATIONS:
            raise InvalidOption(f"limit is {limit}, use 1 to {MAX_NOTIFICATIONS}")
        answer = await self.api(
            "GET",
            f"/hooks/subscriptions/{UUID(subscription_id)}/notifications",
            operation=f"list notifications of subscription {subscription_id}",
            query={"maxResults": limit, **({"result": result} if result else {})},
        )
        return [notification(raw) for raw in answer.json()["value"]]

    async def _project_id(self, project: str) -> str:
        """The id of a project that is known by its name, or by its id already."""
        try:
            return str(UUID(project))
        except ValueError:
            answer = await self.api("GET", f"/projects/{segment(project)}", operation=f"find project {project}")
            return str(answer.json()["id"])


def _filters_of(known: Subscription) -> dict[str, Any]:
    """What somebody has chosen of the publisher's inputs: neither the vendor's own, nor those left empty."""
    inputs = known.raw.get("publisherInputs") or {}
    return {name: value for name, value in inputs.items() if value and name not in _VENDORS_OWN}


def _consumer_inputs(url: str, user: str | None, password: str | None, headers: Mapping[str, str]) -> dict[str, Any]:
    inputs = {"url": url}
    if user is not None:
        inputs |= {"basicAuthUsername": user, "basicAuthPassword": password or ""}
    if headers:
        inputs["httpHeaders"] = "\n".join(f"{name}:{value}" for name, value in headers.items())
    return inputs
