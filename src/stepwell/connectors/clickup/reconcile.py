"""New tasks that no webhook has told of: ClickUp tries five times, and keeps nothing for later.

Source: developer.clickup.com/reference (get filtered team tasks), version 2.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from stepwell.connectors.clickup.tasks import TaskActions
from stepwell.connectors.clickup.types import Task, in_milliseconds
from stepwell.core.webhooks import Envelope, Found, FoundEvent
from stepwell.sources import subjects

CREATED = "taskCreated"
OVERLAP = timedelta(minutes=5)  # what is looked at again: lists lag behind, and clocks differ
MAX_PAGES = 10  # 1,000 tasks in one look; the next one goes on at once


class FoundTasks(TaskActions):
    """Looks for what deliveries should have told. Changes have ids in deliveries only, so no look can find them."""

    async def find_created_tasks(self, cursor: str | None) -> Found:
        """Tasks of the connection's Workspace that were created since. The first look only finds out where to begin."""
        since = datetime.fromisoformat(cursor) if cursor else datetime.now(UTC)
        tasks, is_all = await self._created_after(since - OVERLAP)
        latest = max([since, *(task.created_at for task in tasks if task.created_at)])
        found = [_event(task) for task in tasks] if cursor else []
        return Found(found, latest.isoformat(), has_more=not is_all and latest - OVERLAP > since)

    async def _created_after(self, moment: datetime) -> tuple[list[Task], bool]:
        """The oldest of them first, and whether these are all."""
        path, tasks = f"/team/{await self.needed_team(None)}/task", list[Task]()
        for number in range(MAX_PAGES):
            query = [
                ("page", number),
                ("order_by", "created"),
                ("reverse", True),
                ("include_closed", True),
                ("subtasks", True),
                ("date_created_gt", in_milliseconds(moment)),
            ]
            page = await self.tasks(path, number, query, operation="look for new tasks")
            tasks += page.tasks
            if page.next_page is None:
                return tasks, True
        return tasks, False


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
