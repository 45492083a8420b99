"""What the fake Workspace keeps, and how ClickUp's API shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stepwell.connectors.clickup.types import in_milliseconds

Json = dict[str, Any]

STATUSES: list[Json] = [
    {"status": "to do", "type": "open", "orderindex": 0, "color": "#d3d3d3"},
    {"status": "in progress", "type": "custom", "orderindex": 1, "color": "#4194f6"},
    {"status": "complete", "type": "closed", "orderindex": 2, "color": "#6bc950"},
]
PRIORITIES: dict[int, Json] = {
    number: {"id": str(number), "priority": name, "orderindex": str(number), "color": color}
    for number, name, color in (
        (1, "urgent", "#f50000"),
        (2, "high", "#f8ae00"),
        (3, "normal", "#6fddff"),
        (4, "low", "#d8d8d8"),
    )
}


def stamp(at: datetime) -> str:
    """A time as the API writes it."""
    return str(in_milliseconds(at))


@dataclass
class FakePlace:
    """A space, folder or list: `space` and `folder` are those it is in."""

    id: str
    name: str
    space: str | None = None
    folder: str | None = None

    def shown(self) -> Json:
        """As the API answers it."""
        return {"id": self.id, "name": self.name, "archived": False, "statuses": STATUSES}


@dataclass
class FakeField:
    """A custom field that all lists have."""

    id: str
    name: str
    type: str = "short_text"

    def shown(self) -> Json:
        """As the API answers it, without a value."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "type_config": {},
            "date_created": "1622176979540",
            "hide_from_guests": False,
            "required": False,
        }


@dataclass
class FakeTask:
    """A task and its comments. `values` are as the API takes them: numbers for times and priorities."""

    id: str
    list_id: str
    values: Json
    created: str
    updated: str
    closed: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    comments: list[Json] = field(default_factory=list)

    @property
    def status(self) -> Json:
        """The status it is in."""
        return next(one for one in STATUSES if one["status"] == self.values["status"])

    def shown(self, user: Json, fields: list[FakeField], place: FakePlace, team: str) -> Json:
        """As the API answers it."""
        values, text = self.values, self.values.get("markdown_content") or self.values.get("description") or ""
        priority = values.get("priority")
        return {
            "id": self.id,
            "custom_id": None,
            "custom_item_id": 0,
            "name": values["name"],
            "text_content": text,
            "description": text,
            "markdown_description": text,
            "status": self.status,
            "orderindex": "1.00000000000000000000000000000000",
            "date_created": self.created,
            "date_updated": self.updated,
            "date_closed": self.closed,
            "date_done": self.closed,
            "archived": values.get("archived", False),
            "creator": user,
            "assignees": [{**user, "id": id} for id in values.get("assignees", [])],
            "group_assignees": [],
            "watchers": [],
            "checklists": [],
            "tags": [{"name": tag, "tag_fg": "#000000", "tag_bg": "#000000"} for tag in values.get("tags", [])],
            "parent": values.get("parent"),
            "priority": PRIORITIES[priority] if priority else None,
            **{name: _text(values.get(name)) for name in ("due_date", "start_date")},
            "points": values.get("points"),
            "time_estimate": values.get("time_estimate"),
            "custom_fields": [
                {**one.shown(), **({"value": self.fields[one.id]} if one.id in self.fields else {})} for one in fields
            ],
            "team_id": team,
            "url": f"https://app.clickup.com/t/{self.id}",
            "list": {"id": place.id, "name": place.name, "access": True},
            "folder": {"id": place.folder, "name": "hidden", "hidden": True, "access": True},
            "space": {"id": place.space},
        }


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
