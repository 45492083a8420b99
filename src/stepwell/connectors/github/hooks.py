"""Webhooks of repositories, and what they have sent."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.connectors.base import action
from stepwell.connectors.github.protocol import GitHubProtocol, links, place
from stepwell.connectors.github.types import DeliveryPage, Webhook, delivery, webhook


class HookActions(GitHubProtocol):
    """Source: docs.github.com/rest/repos/webhooks."""

    @action(repeat="verify")
    async def create_webhook(
        self, repository: str, url: str, *, secret: str, events: Sequence[str] = ("push",)
    ) -> Webhook:
        """A webhook that sends these events to the URL, signed with the secret; `*` stands for all events.

        The one that is already there for this URL is given back as it is, if it sends these events: the vendor refuses
        a second one.
        """
        for known in await self.list_webhooks(repository):
            if known.url == url and set(events) <= set(known.events):
                return known
        wanted = {
            "name": "web",
            "active": True,
            "events": list(events),
            "config": {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"},
        }
        answer = await self.api("POST", f"{place(repository)}/hooks", operation="create webhook", json=wanted)
        return webhook(answer.json())

    @action(repeat="safe")
    async def list_webhooks(self, repository: str) -> list[Webhook]:
        """The webhooks of a repository; it can have 20 for each event, and no more than the first 100 are read."""
        path = f"{place(repository)}/hooks"
        answer = await self.api("GET", path, operation="list webhooks", query={"per_page": 100})
        return [webhook(raw) for raw in answer.json()]

    @action(repeat="safe")
    async def list_deliveries(
        self, repository: str, webhook_id: int, *, cursor: str | None = None, limit: int = 100
    ) -> DeliveryPage:
        """A page of what a webhook has sent in the last days, the newest first, without bodies."""
        path = f"{place(repository)}/hooks/{webhook_id}/deliveries"
        query = {"per_page": limit, "cursor": cursor}
        answer = await self.api("GET", path, operation="list deliveries", query=query)
        return DeliveryPage([delivery(raw) for raw in answer.json()], links(answer).get("next", {}).get("cursor"))

    @action(repeat="safe")
    async def redeliver(self, repository: str, webhook_id: int, delivery_id: int) -> None:
        """Let a delivery be sent again, with the same id: who has taken it once takes it for the same one."""
        path = f"{place(repository)}/hooks/{webhook_id}/deliveries/{delivery_id}/attempts"
        await self.api("POST", path, operation=f"send delivery {delivery_id} again")
