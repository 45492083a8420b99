"""Events of ClickUp webhooks, and the triggers for them.

Sources: developer.clickup.com/docs/webhooks, /webhooktaskpayloads, /webhooklistpayloads. A delivery names the object
and what has changed (`history_items`), not what the object is now: a step reads that. Deletions name the object only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from stepwell.connectors.base import Connector
from stepwell.connectors.clickup.reconcile import FoundTasks
from stepwell.connectors.clickup.types import moment
from stepwell.connectors.events import ConnectorEvent
from stepwell.core.duration import DurationLike
from stepwell.core.triggers import WebhookTrigger

Json = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One thing that has changed. `before` and `after` are as the vendor writes them for that field."""

    id: str
    field: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class ObjectPayload:
    """What has happened to an object. `changed_at` tells which of two deliveries is the later one."""

    id: str
    changes: list[Change] = field(default_factory=list)
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True)
class TaskPayload(ObjectPayload):
    """What has happened to a task. `list_id` is its list, which deletions do not name."""

    list_id: str | None = None


@dataclass(frozen=True)
class StatusPayload(TaskPayload):
    """The statuses of a task, before and after."""

    old_status: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class CommentPayload(TaskPayload):
    """A comment on a task, as plain text."""

    comment_id: str | None = None
    comment: str | None = None


def _items(raw: Any) -> list[Json]:
    items = raw.get("history_items") if isinstance(raw, dict) else None
    return [item for item in items or [] if isinstance(item, dict)]


def _facts(raw: Any, id_field: str) -> Json:
    items = _items(raw)
    last = items[-1] if items else {}
    return {
        "id": None if not isinstance(raw, dict) or raw.get(id_field) is None else str(raw[id_field]),
        "changes": [
            {
                "id": str(item.get("id") or ""),
                "field": str(item.get("field") or ""),
                "before": item.get("before"),
                "after": item.get("after"),
            }
            for item in items
        ],
        "changed_at": moment(last.get("date")),
        "changed_by": (last.get("user") or {}).get("username"),
    }


def _task_facts(raw: Any) -> Json:
    lists = [str(item["parent_id"]) for item in _items(raw) if item.get("parent_id")]
    return {**_facts(raw, "task_id"), "list_id": lists[0] if lists else None}


@dataclass(frozen=True)
class TaskEvent(ConnectorEvent[TaskPayload]):
    """Something has happened to a task; `type` says what."""

    payload_type: ClassVar[Any] = TaskPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        return _task_facts(raw)


@dataclass(frozen=True)
class TaskCreated(TaskEvent):
    """A task was created."""


@dataclass(frozen=True)
class TaskUpdated(TaskEvent):
    """A task was changed in any way; there may be another, special event for the same change."""


@dataclass(frozen=True)
class TaskDeleted(TaskEvent):
    """A task was deleted."""


@dataclass(frozen=True)
class TaskStatusUpdated(ConnectorEvent[StatusPayload]):
    """A task has gone from one status to another."""

    payload_type: ClassVar[Any] = StatusPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        changes = [item for item in _items(raw) if item.get("field") == "status"]
        change = changes[-1] if changes else {}
        return {
            **_task_facts(raw),
            "old_status": (change.get("before") or {}).get("status"),
            "status": (change.get("after") or {}).get("status"),
        }


@dataclass(frozen=True)
class TaskCommented(ConnectorEvent[CommentPayload]):
    """A comment on a task was written, or changed."""

    payload_type: ClassVar[Any] = CommentPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        comments = [item["comment"] for item in _items(raw) if isinstance(item.get("comment"), dict)]
        comment = comments[-1] if comments else {}
        return {
            **_task_facts(raw),
            "comment_id": None if comment.get("id") is None else str(comment["id"]),
            "comment": comment.get("text_content"),
        }


@dataclass(frozen=True)
class ListEvent(ConnectorEvent[ObjectPayload]):
    """Something has happened to a list; `type` says what."""

    payload_type: ClassVar[Any] = ObjectPayload
    id_field: ClassVar[str] = "list_id"

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        return _facts(raw, cls.id_field)


@dataclass(frozen=True)
class FolderEvent(ListEvent):
    """Something has happened to a folder; `type` says what."""

    id_field: ClassVar[str] = "folder_id"


@dataclass(frozen=True)
class SpaceEvent(ListEvent):
    """Something has happened to a space; `type` says what."""

    id_field: ClassVar[str] = "space_id"


@dataclass(frozen=True)
class GoalEvent(ListEvent):
    """Something has happened to a goal; `type` says what."""

    id_field: ClassVar[str] = "goal_id"


@dataclass(frozen=True)
class KeyResultEvent(ListEvent):
    """Something has happened to a key result of a goal; `type` says what."""

    id_field: ClassVar[str] = "key_result_id"


class TaskTriggers(FoundTasks):
    """Triggers for what happens to tasks. Annotate the workflow's parameter with the event that each one names.

    `id` names the trigger, by default as the workflow. ClickUp sends the status of a new task as an event of its own: a
    trigger for changes of status does not get it, and one for all events of tasks starts one execution for both.
    """

    def on_task_event(self, *types: str, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each event of tasks of these types (`task*`: of all), with a `TaskEvent`."""
        return self.trigger(*(types or ("task*",)), id=id)

    def on_task_created(self, *, id: str | None = None, reconcile: DurationLike | None = None) -> WebhookTrigger:
        """Start an execution for each new task, with a `TaskCreated`.

        `reconcile` is how often tasks of the connection's Workspace are looked for that no delivery has told of.
        """
        return self.trigger("taskCreated", id=id, reconcile=reconcile, find=self.find_created_tasks)

    def on_task_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a task, with a `TaskUpdated`."""
        return self.trigger("taskUpdated", id=id)

    def on_task_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted task, with a `TaskDeleted`."""
        return self.trigger("taskDeleted", id=id)

    def on_task_status_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a task's status, with a `TaskStatusUpdated`."""
        return self.trigger("taskStatusUpdated", id=id)

    def on_task_priority_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a task's priority, with a `TaskEvent`."""
        return self.trigger("taskPriorityUpdated", id=id)

    def on_task_assignee_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a task's assignees, with a `TaskEvent`."""
        return self.trigger("taskAssigneeUpdated", id=id)

    def on_task_due_date_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a task's due date, with a `TaskEvent`."""
        return self.trigger("taskDueDateUpdated", id=id)

    def on_task_tag_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a task's tags, with a `TaskEvent`."""
        return self.trigger("taskTagUpdated", id=id)

    def on_task_moved(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each task that is moved to another list, with a `TaskEvent`."""
        return self.trigger("taskMoved", id=id)

    def on_task_comment_posted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new comment on a task, with a `TaskCommented`."""
        return self.trigger("taskCommentPosted", id=id)

    def on_task_comment_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each changed comment on a task, with a `TaskCommented`."""
        return self.trigger("taskCommentUpdated", id=id)

    def on_task_time_estimate_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a task's time estimate, with a `TaskEvent`."""
        return self.trigger("taskTimeEstimateUpdated", id=id)

    def on_task_time_tracked_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of the time tracked for a task, with a `TaskEvent`."""
        return self.trigger("taskTimeTrackedUpdated", id=id)


class PlaceTriggers(Connector):
    """Triggers for what happens to lists, folders, spaces, goals and their key results."""

    def on_list_created(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new list, with a `ListEvent`."""
        return self.trigger("listCreated", id=id)

    def on_list_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a list, with a `ListEvent`."""
        return self.trigger("listUpdated", id=id)

    def on_list_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted list, with a `ListEvent`."""
        return self.trigger("listDeleted", id=id)

    def on_folder_created(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new folder, with a `FolderEvent`."""
        return self.trigger("folderCreated", id=id)

    def on_folder_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a folder, with a `FolderEvent`."""
        return self.trigger("folderUpdated", id=id)

    def on_folder_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted folder, with a `FolderEvent`."""
        return self.trigger("folderDeleted", id=id)

    def on_space_created(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new space, with a `SpaceEvent`."""
        return self.trigger("spaceCreated", id=id)

    def on_space_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a space, with a `SpaceEvent`."""
        return self.trigger("spaceUpdated", id=id)

    def on_space_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted space, with a `SpaceEvent`."""
        return self.trigger("spaceDeleted", id=id)

    def on_goal_created(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new goal, with a `GoalEvent`."""
        return self.trigger("goalCreated", id=id)

    def on_goal_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a goal, with a `GoalEvent`."""
        return self.trigger("goalUpdated", id=id)

    def on_goal_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted goal, with a `GoalEvent`."""
        return self.trigger("goalDeleted", id=id)

    def on_key_result_created(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new key result, with a `KeyResultEvent`."""
        return self.trigger("keyResultCreated", id=id)

    def on_key_result_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a key result, with a `KeyResultEvent`."""
        return self.trigger("keyResultUpdated", id=id)

    def on_key_result_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted key result, with a `KeyResultEvent`."""
        return self.trigger("keyResultDeleted", id=id)
