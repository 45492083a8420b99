"""What a fake organization of Azure DevOps consists of, in the shapes of the vendor's recorded answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

Json = dict[str, Any]

ORGANIZATION_ID = str(uuid5(NAMESPACE_URL, "organization"))


def text_of(at: datetime) -> str:
    """A time as the vendor writes it."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def identity(name: str, base: str) -> Json:
    """A person, as an object."""
    id = str(uuid5(NAMESPACE_URL, name))
    return {
        "displayName": name,
        "url": f"{base}/_apis/Identities/{id}",
        "_links": {"avatar": {"href": f"{base}/_apis/GraphProfile/MemberAvatars/aad.{id}"}},
        "id": id,
        "uniqueName": f"{name.split()[0].lower()}@example.com",
        "imageUrl": f"{base}/_api/_common/identityImage?id={id}",
        "descriptor": f"aad.{id}",
    }


@dataclass
class Project:
    """A project, by its name and id."""

    name: str
    id: str = field(default_factory=lambda: str(uuid4()))

    def answer(self, base: str) -> Json:
        """As the API answers it."""
        return {
            "id": self.id,
            "name": self.name,
            "url": f"{base}/_apis/projects/{self.id}",
            "state": "wellFormed",
            "revision": 11,
            "visibility": "private",
        }


@dataclass
class Item:
    """A work item: its fields at each revision, its links and its comments."""

    id: int
    project: Project
    revisions: list[Json]
    relations: list[Json] = field(default_factory=list)
    comments: list[Json] = field(default_factory=list)
    is_deleted: bool = False

    @property
    def rev(self) -> int:
        return len(self.revisions)

    @property
    def fields(self) -> Json:
        return self.revisions[-1]

    def answer(self, base: str, *, rev: int | None = None, names: list[str] | None = None) -> Json:
        """As the API answers it. Comments are told of in the revision that they make, and in no later one."""
        at = rev or self.rev
        fields = {name: value for name, value in self.revisions[at - 1].items() if not names or name in names}
        place = f"{base}/{self.project.id}/_apis/wit"
        url = f"{place}/{'recyclebin' if self.is_deleted else 'workItems'}/{self.id}"
        return {
            "id": self.id,
            "rev": at,
            "fields": fields,
            **({"relations": self.relations} if self.relations and not names else {}),
            "_links": {
                "self": {"href": url},
                "workItemUpdates": {"href": f"{url}/updates"},
                "workItemRevisions": {"href": f"{url}/revisions"},
                "workItemHistory": {"href": f"{url}/history"},
                "html": {"href": f"{base}/{self.project.id}/_workitems/edit/{self.id}"},
                "workItemType": {"href": f"{place}/workItemTypes/{fields.get('System.WorkItemType', '')}"},
                "fields": {"href": f"{place}/fields"},
            },
            "url": url,
        }

    def update(self, base: str, *, rev: int | None = None) -> Json:
        """One of its revisions, the latest by default, as an update: what was before and what is after it."""
        at = rev or self.rev
        before, after = (self.revisions[at - 2] if at > 1 else {}), self.revisions[at - 1]
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        return {
            "id": at,
            "workItemId": self.id,
            "rev": at,
            "revisedBy": after["System.ChangedBy"],
            "revisedDate": "9999-01-01T00:00:00Z",
            "fields": {
                "System.Rev": {"oldValue": at - 1, "newValue": at},
                **{name: _change(before, after, name) for name in changed},
            },
            "url": f"{base}/{self.project.id}/_apis/wit/workItems/{self.id}/updates/{at}",
        }

    def reported(self, rev: int) -> Json:
        """A revision as the log for reports has it: people as texts, and no long texts."""
        fields = {
            name: f"{value['displayName']} <{value['uniqueName']}>" if isinstance(value, dict) else value
            for name, value in self.revisions[rev - 1].items()
            if name not in ("System.History", "System.Description")
        }
        return {"id": self.id, "rev": rev, "fields": {**fields, "System.Rev": rev}}


def _change(before: Json, after: Json, name: str) -> Json:
    sides = (("oldValue", before), ("newValue", after))
    return {side: fields[name] for side, fields in sides if name in fields}
