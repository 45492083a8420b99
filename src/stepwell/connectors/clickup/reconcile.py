"""New tasks that no webhook has told of: ClickUp tries five times, and keeps nothing for later.

Source: developer.clickup.com/reference (get filtered team tasks), version 2.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from stepwell.connectors.clickup.tasks import TaskActions
from stepwell.connectors.clickup.types import Task, in_milliseconds
from stepwell.connectors.looking import Look, beginning
from stepwell.core.webhooks import Envelope, Found, FoundEvent
from stepwell.sources import subjects

CREATED = "taskCreated"
OVERLAP = timedelta(minutes=5)  # what is looked at again: lists lag behind, and clocks differ


class FoundTasks(TaskActions):
    """Looks for what deliveries should have told. Changes have ids in deliveries only, so no look can find them."""

    async def find_created_tasks(self, cursor: str | None) -> Found:
        """Tasks of the connection's Workspace that were created since. The first look only finds out where to begin."""
        if cursor is None:
            return beginning()
        look = Look.at(cursor, overlap=OVERLAP)
        path = f"/team/{await self.needed_team(None)}/task"
        query = [
            ("page", look.after or "0"),
            ("order_by", "created"),
            ("reverse", True),
            ("include_closed", True),
            ("subtasks", True),
            ("date_created_gt", in_milliseconds(look.since)),
        ]
        page = await self.tasks(path, int(look.after or 0), query, operation="look for new tasks")
        moments = (task.created_at for task in page.tasks if task.created_at)
        after = None if page.next_page is None else str(page.next_page)
        return look.found([_event(task) for task in page.tasks], moments, after=after)


def _event(task: Task) -> FoundEvent:
    """The task as the body of its webhook, with what that has of it."""
    item: dict[str, Any] = {
        "id": "",
        "type": 1,
        "date": task.raw.get("date_created"),
        "field": "task_creation",
        "parent_id": task.list_id,
        "data": {},
        "source": None,
        "user": task.raw.get("creator"),
        "before": None,
        "after": None,
    }
    subject = subjects.clickup_once(CREATED, task.id)
    body = msgspec.json.encode({"event": CREATED, "history_items": [item], "task_id": task.id, "webhook_id": None})
    return FoundEvent(Envelope(CREATED, f"found:{subject}", subject), body)
