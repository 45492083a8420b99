"""Events whose webhooks were lost: GitHub never sends again by itself, but remembers what it sent, and the answer.

Source: docs.github.com/webhooks/using-webhooks/handling-failed-webhook-deliveries.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from stepwell.connectors.github.protocol import GitHubProtocol, links, place
from stepwell.connectors.github.types import Delivery, delivery
from stepwell.connectors.http import segment
from stepwell.core.dispatching import matches
from stepwell.core.webhooks import Envelope, Found, FoundEvent
from stepwell.errors import InvalidOption
from stepwell.sources import Request, classify, source_named

OVERLAP = timedelta(minutes=10)  # a delivery is listed some time after it was sent
PAGE = 100
MAX_PAGES = 100  # in one look, newest first: 10,000 deliveries between two looks


class GitHubReconcile(GitHubProtocol):
    """Looks for deliveries that nobody has answered well."""

    def finder(self, *types: str) -> Callable[[str | None], Awaitable[Found]]:
        """What finds lost deliveries of these types, for the connection's own webhook."""

        async def find(cursor: str | None) -> Found:
            found = await self.find_lost(cursor)
            events = [one for one in found.events if any(matches(type, one.envelope.type) for type in types)]
            return Found(events, found.cursor)

        return find

    async def find_lost(self, cursor: str | None) -> Found:
        """Events since that no delivery has brought: those without any delivery that was answered with success.

        The connection says which webhook is meant: `webhook_id`, with `repository` or `organization`. The vendor's own
        delivery id is the identity, so that a redelivery by hand is the same.
        """
        since = datetime.fromisoformat(cursor) if cursor else datetime.now(UTC)
        if cursor is None:
            return Found(cursor=since.isoformat())
        path = await self._webhook_path()
        sent = await self._sent_since(path, since - OVERLAP)
        good = {one.guid for one in sent if one.is_good}
        lost = {one.guid: one for one in sent if one.guid not in good}
        events = [await self._event(path, one) for one in sorted(lost.values(), key=lambda one: one.id)]
        latest = max([since, *(one.delivered_at for one in sent if one.delivered_at)])
        return Found([one for one in events if one is not None], latest.isoformat())

    async def _webhook_path(self) -> str:
        settings = (await self.connection()).settings
        id, repository, organization = (settings.get(name) for name in ("webhook_id", "repository", "organization"))
        if not id or not id.isdigit() or not (repository or organization):
            raise InvalidOption(
                f"connection '{self.connection_name()}' does not say which webhook to ask for lost deliveries: give it"
                " the settings webhook_id, and repository or organization"
            )
        owner = place(repository) if repository else f"/orgs/{segment(str(organization))}"
        return f"{owner}/hooks/{id}/deliveries"

    async def _sent_since(self, path: str, since: datetime) -> list[Delivery]:
        sent: list[Delivery] = []
        page: str | None = None
        for _ in range(MAX_PAGES):
            query: dict[str, str | int | None] = {"per_page": PAGE, "cursor": page}
            answer = await self.api("GET", path, operation="look for lost deliveries", query=query)
            found = [delivery(raw) for raw in answer.json()]
            recent = [one for one in found if one.delivered_at is None or one.delivered_at >= since]
            sent += recent
            page = links(answer).get("next", {}).get("cursor")
            if page is None or len(recent) < len(found):
                break
        return sent

    async def _event(self, path: str, lost: Delivery) -> FoundEvent | None:
        """The event with its body, as the vendor has kept it; None for one that is no event, such as a ping."""
        raw = (await self.api("GET", f"{path}/{lost.id}", operation=f"read delivery {lost.id}")).json()
        payload = (raw.get("request") or {}).get("payload")
        if payload is None:
            return None
        body = json.dumps(payload).encode()
        request = Request.post({"X-GitHub-Event": lost.event, "X-GitHub-Delivery": lost.guid}, body)
        envelope = classify(source_named("github"), request)
        return FoundEvent(envelope, body) if isinstance(envelope, Envelope) else None
