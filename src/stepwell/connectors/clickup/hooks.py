"""ClickUp's webhooks: made, looked after, and woken up when ClickUp has given up on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepwell.connectors.base import action, may_be_a_repeat
from stepwell.connectors.clickup.protocol import ClickUpProtocol
from stepwell.connectors.clickup.types import Webhook, webhook
from stepwell.connectors.http import segment
from stepwell.core.connections import Secret
from stepwell.errors import InvalidOption

SUSPENDED = "suspended"


class HookActions(ClickUpProtocol):
    """Sources: developer.clickup.com/reference (webhooks), developer.clickup.com/docs/webhookhealth."""

    @action(repeat="verify")
    async def create_webhook(
        self,
        endpoint: str,
        events: Sequence[str] = ("*",),
        *,
        space_id: str | None = None,
        folder_id: str | None = None,
        list_id: str | None = None,
        task_id: str | None = None,
        team: str | None = None,
    ) -> Webhook:
        """A new webhook that sends these events of a Workspace, or of one place in it, to `endpoint`.

        A repeat finds it by its endpoint, events and place. `webhook_secret` gives the secret of its signatures.
        """
        workspace = await self.needed_team(team)
        places = {"space_id": space_id, "folder_id": folder_id, "list_id": list_id, "task_id": task_id}
        wanted: dict[str, Any] = {name: id for name, id in places.items() if id is not None}
        if may_be_a_repeat():
            for known in await self.list_webhooks(team=team):
                if known.endpoint == endpoint and set(known.events) == set(events) and _is_of(known, wanted):
                    return known
        sent = {"endpoint": endpoint, "events": list(events), **{name: _number(id) for name, id in wanted.items()}}
        made = await self.api("POST", f"/team/{workspace}/webhook", operation="create a webhook", json=sent)
        return webhook(made["webhook"])

    @action(repeat="safe")
    async def list_webhooks(self, *, team: str | None = None) -> list[Webhook]:
        """The webhooks that this token has made in a Workspace, with their health."""
        return [webhook(raw) for raw in await self._webhooks(team)]

    async def _webhooks(self, team: str | None) -> list[dict[str, Any]]:
        path = f"/team/{await self.needed_team(team)}/webhook"
        found: list[dict[str, Any]] = (await self.api("GET", path, operation="list webhooks"))["webhooks"]
        return found

    async def webhook_secret(self, id: str, *, team: str | None = None) -> Secret:
        """The secret that a webhook signs with. It cannot be the result of a step: that would be stored.

        Raises InvalidOption when this token has made no such webhook.
        """
        for raw in await self._webhooks(team):
            if raw["id"] == id and raw.get("secret"):
                return Secret(raw["secret"])
        raise InvalidOption(f"this token has made no webhook {id}; `list_webhooks` gives those that it has made")

    @action(repeat="safe")
    async def update_webhook(
        self, id: str, *, endpoint: str, events: Sequence[str] = ("*",), status: str = "active"
    ) -> Webhook:
        """The webhook sends these events to `endpoint`. With `active` a suspended one begins anew."""
        everything = "*" in events
        sent = {"endpoint": endpoint, "events": "*" if everything else list(events), "status": status}
        path = f"/webhook/{segment(id)}"
        return webhook((await self.api("PUT", path, operation=f"update webhook {id}", json=sent))["webhook"])

    @action(repeat="safe")
    async def delete_webhook(self, id: str) -> None:
        """The webhook is gone, also if it was gone before."""
        await self.gone(f"/webhook/{segment(id)}", operation=f"delete webhook {id}")

    @action(repeat="safe")
    async def revive_webhooks(self, *, endpoint: str | None = None, team: str | None = None) -> list[Webhook]:
        """Re-activate the suspended webhooks (those to `endpoint`, if given) and return them.

        ClickUp suspends a webhook after 100 events that were not answered, and tells nobody: run this on a schedule.
        What was not sent meanwhile is not sent later either; a trigger with `reconcile=` finds it.
        """
        known = await self.list_webhooks(team=team)
        asleep = [one for one in known if one.status == SUSPENDED and endpoint in (None, one.endpoint)]
        return [await self.update_webhook(one.id, endpoint=one.endpoint, events=one.events) for one in asleep]


def _is_of(known: Webhook, places: dict[str, Any]) -> bool:
    """Whether the webhook is for these places: the vendor keeps the narrowest one only."""
    narrowest = list(places)[-1:]
    return all(str(known.raw.get(name)) == places[name] for name in narrowest)


def _number(id: str) -> int | str:
    """Ids of places are numbers here, though texts elsewhere; those of tasks are none."""
    return int(id) if id.isdecimal() else id
