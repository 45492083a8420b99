"""What ClickUp answers, as far as it has a name here; `raw` has everything.

Source: developer.clickup.com/reference (version 2). Ids are texts, times are texts of Unix milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stepwell.errors import InvalidOption

Json = dict[str, Any]

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Task:
    """A task as it is now. `updated_at` tells which of two answers is the later one."""

    id: str
    name: str
    status: str
    list_id: str
    url: str
    custom_id: str | None
    parent: str | None
    created_at: datetime | None
    updated_at: datetime | None
    closed_at: datetime | None
    raw: Json

    @property
    def description(self) -> str:
        """The description as plain text; empty if there is none."""
        return str(self.raw.get("description") or "")

    @property
    def tags(self) -> list[str]:
        """The names of its tags."""
        return [tag["name"] for tag in self.raw.get("tags") or []]

    @property
    def assignees(self) -> list[int]:
        """The numbers of the users it is assigned to."""
        return [user["id"] for user in self.raw.get("assignees") or []]

    def custom_field(self, name_or_id: str) -> Any:
        """The value of a custom field, as the vendor writes it; None if it has none."""
        for field in self.raw.get("custom_fields") or []:
            if name_or_id in (field.get("id"), field.get("name")):
                return field.get("value")
        return None


def task(raw: Json) -> Task:
    """A task as the API answers it."""
    return Task(
        id=raw["id"],
        name=raw.get("name") or "",
        status=(raw.get("status") or {}).get("status") or "",
        list_id=str((raw.get("list") or {}).get("id") or ""),
        url=raw.get("url") or "",
        custom_id=raw.get("custom_id"),
        parent=raw.get("parent"),
        created_at=moment(raw.get("date_created")),
        updated_at=moment(raw.get("date_updated")),
        closed_at=moment(raw.get("date_closed")),
        raw=raw,
    )


@dataclass(frozen=True)
class TaskPage:
    """Up to 100 tasks. `next_page` is None on the last page."""

    tasks: list[Task]
    next_page: int | None


@dataclass(frozen=True)
class Comment:
    """A comment on a task, as plain text."""

    id: str
    task_id: str
    text: str
    author: str | None
    created_at: datetime | None
    raw: Json


def comment(raw: Json, task_id: str) -> Comment:
    """A comment as the API lists it: the answer to a new one has neither text nor author."""
    return Comment(
        id=str(raw["id"]),
        task_id=task_id,
        text=raw.get("comment_text") or "",
        author=(raw.get("user") or {}).get("username"),
        created_at=moment(raw.get("date")),
        raw=raw,
    )


@dataclass(frozen=True)
class CustomField:
    """A custom field that tasks of a list can have. `type` is such as `short_text`, `drop_down`, `number`."""

    id: str
    name: str
    type: str
    raw: Json


def custom_field(raw: Json) -> CustomField:
    """A custom field as the API answers it."""
    return CustomField(raw["id"], raw.get("name") or "", raw.get("type") or "", raw)


@dataclass(frozen=True)
class Place:
    """A space, folder or list. `statuses` are those that its tasks can have, where the vendor tells."""

    id: str
    name: str
    is_archived: bool
    statuses: list[str]
    raw: Json


def place(raw: Json) -> Place:
    """A space, folder or list as the API answers it."""
    statuses = [one["status"] for one in raw.get("statuses") or []]
    return Place(str(raw["id"]), raw.get("name") or "", bool(raw.get("archived")), statuses, raw)


@dataclass(frozen=True)
class Webhook:
    """A webhook. `status` is `active`, `failing` or `suspended`: then nothing is sent until it is re-activated.

    Its secret is in none of the fields: what a step returns is stored. `webhook_secret` gives it.
    """

    id: str
    endpoint: str
    events: list[str]
    status: str
    fail_count: int
    raw: Json


def webhook(raw: Json) -> Webhook:
    """A webhook as the API answers it, without its secret."""
    health = raw.get("health") or {}
    events = raw.get("events") or []
    return Webhook(
        id=raw["id"],
        endpoint=raw.get("endpoint") or "",
        events=[events] if isinstance(events, str) else list(events),
        status=health.get("status") or "active",
        fail_count=health.get("fail_count") or 0,
        raw={name: value for name, value in raw.items() if name != "secret"},
    )


def moment(milliseconds: str | int | None) -> datetime | None:
    """A time of the vendor's; None for none."""
    return None if milliseconds in (None, "") else UNIX_EPOCH + timedelta(milliseconds=int(milliseconds))


def in_milliseconds(at: datetime) -> int:
    """A time as the vendor wants it. Raises InvalidOption for one without a time zone."""
    if at.tzinfo is None:
        raise InvalidOption(f"{at} has no time zone; give it one, such as tzinfo=UTC")
    return (at - UNIX_EPOCH) // timedelta(milliseconds=1)
