"""Everything that ClickUp does for workflows."""

from __future__ import annotations

from stepwell.connectors.clickup.hooks import HookActions
from stepwell.connectors.clickup.places import PlaceActions
from stepwell.connectors.clickup.tasks import TaskActions


class ClickUpActions(TaskActions, PlaceActions, HookActions):
    """Tasks, the places they are in, and webhooks."""
