"""ClickUp, version 2: tasks, comments, custom fields, places, webhooks."""

from __future__ import annotations

from typing import TypeAlias

from stepwell.connectors.base import Setting
from stepwell.connectors.clickup import triggers, types
from stepwell.connectors.clickup.actions import ClickUpActions
from stepwell.connectors.clickup.triggers import PlaceTriggers, TaskTriggers


class ClickUp(ClickUpActions, TaskTriggers, PlaceTriggers):
    """One account at ClickUp, through the stored connection of that name.

    `ClickUp("acme")`; give its methods to `step.run`, and its triggers to `@app.workflow`.
    """

    name = "clickup"
    title = "ClickUp"
    base_url = "https://api.clickup.com/api/v2"
    settings = (
        Setting("token", "a personal token (pk_...) or an OAuth access token", is_secret=True),
        Setting("team", "the id of the Workspace of actions that name none", is_required=False),
        Setting("key_field", "the id of a text custom field for our keys in new tasks", is_required=False),
        Setting("requests_per_minute", "how many the plan allows; 100 without it", is_required=False),
        Setting("base_url", "another address of the API", is_required=False),
    )

    Task: TypeAlias = types.Task
    TaskPage: TypeAlias = types.TaskPage
    Comment: TypeAlias = types.Comment
    CustomField: TypeAlias = types.CustomField
    Place: TypeAlias = types.Place
    Webhook: TypeAlias = types.Webhook

    TaskEvent: TypeAlias = triggers.TaskEvent
    TaskCreated: TypeAlias = triggers.TaskCreated
    TaskUpdated: TypeAlias = triggers.TaskUpdated
    TaskDeleted: TypeAlias = triggers.TaskDeleted
    TaskStatusUpdated: TypeAlias = triggers.TaskStatusUpdated
    TaskCommented: TypeAlias = triggers.TaskCommented
    ListEvent: TypeAlias = triggers.ListEvent
    FolderEvent: TypeAlias = triggers.FolderEvent
    SpaceEvent: TypeAlias = triggers.SpaceEvent
    GoalEvent: TypeAlias = triggers.GoalEvent
    KeyResultEvent: TypeAlias = triggers.KeyResultEvent

    async def check(self) -> str:
        """Who the connection's token belongs to. Raises what any action does when it is refused."""
        user = (await self.api("GET", "/user", operation="say who we are"))["user"]
        return str(user.get("username") or user["id"])
