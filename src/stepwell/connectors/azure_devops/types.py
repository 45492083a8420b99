"""What Azure DevOps answers, as far as it has a name here; `raw` has everything.

Sources: learn.microsoft.com/rest/api/azure/devops (wit, hooks, build, git; version 7.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class WorkItem:
    """A work item at one revision. `rev` grows by one with each change."""

    id: int
    rev: int
    type: str
    title: str
    state: str
    project: str
    assigned_to: str | None
    changed_at: datetime | None
    raw: Json

    @property
    def fields(self) -> Json:
        """Every field that was asked for, by reference name such as `System.Tags`."""
        found: Json = self.raw.get("fields") or {}
        return found

    @property
    def description(self) -> str:
        """The description, as HTML; empty if there is none."""
        return str(self.fields.get("System.Description") or "")

    @property
    def tags(self) -> list[str]:
        """The tags, in the vendor's order."""
        return [tag.strip() for tag in str(self.fields.get("System.Tags") or "").split(";") if tag.strip()]

    @property
    def web_url(self) -> str | None:
        """Where people see it."""
        return ((self.raw.get("_links") or {}).get("html") or {}).get("href")


def work_item(raw: Json) -> WorkItem:
    """A work item as the API answers it. Fields that were not asked for are empty."""
    fields = raw.get("fields") or {}
    return WorkItem(
        id=raw["id"],
        rev=raw.get("rev") or 0,
        type=fields.get("System.WorkItemType") or "",
        title=fields.get("System.Title") or "",
        state=fields.get("System.State") or "",
        project=fields.get("System.TeamProject") or "",
        assigned_to=person(fields.get("System.AssignedTo")),
        changed_at=moment(fields.get("System.ChangedDate")),
        raw=raw,
    )


@dataclass(frozen=True)
class Comment:
    """A comment on a work item. `text` is HTML."""

    id: int
    work_item_id: int
    text: str
    author: str | None
    created_at: datetime | None
    raw: Json


def comment(raw: Json) -> Comment:
    """A comment as the API answers it: its number is `id`, in recorded examples also `commentId`."""
    return Comment(
        id=raw.get("id") or raw["commentId"],
        work_item_id=raw["workItemId"],
        text=raw.get("text") or "",
        author=person(raw.get("createdBy")),
        created_at=moment(raw.get("createdDate")),
        raw=raw,
    )


@dataclass(frozen=True)
class QueryResult:
    """The ids that a WIQL query has found, in its order; of a query for links, the work items that they lead to."""

    ids: list[int]
    as_of: datetime | None
    raw: Json


def query_result(raw: Json) -> QueryResult:
    """The answer to a query."""
    links = raw.get("workItemRelations")
    items = raw.get("workItems") or [] if links is None else [link["target"] for link in links if link.get("target")]
    return QueryResult(list(dict.fromkeys(item["id"] for item in items)), moment(raw.get("asOf")), raw)


@dataclass(frozen=True)
class Subscription:
    """A subscription of a service hook. `status`: `enabled`, `onProbation`, `disabledBySystem`, and others."""

    id: str
    event_type: str
    status: str
    url: str | None
    raw: Json


def subscription(raw: Json) -> Subscription:
    """A subscription as the API answers it: passwords in it are masked by the vendor."""
    url = (raw.get("consumerInputs") or {}).get("url")
    return Subscription(raw["id"], raw.get("eventType") or "", raw.get("status") or "enabled", url, raw)


@dataclass(frozen=True)
class Notification:
    """One event that a subscription has sent, or tried to. `result`: `pending`, `succeeded`, `failed`, `filtered`."""

    id: int
    event_id: str
    event_type: str | None
    status: str
    result: str
    created_at: datetime | None
    attempts: int
    error: str | None
    raw: Json


def notification(raw: Json) -> Notification:
    """An entry of a subscription's history."""
    details = raw.get("details") or {}
    return Notification(
        id=raw["id"],
        event_id=raw.get("eventId") or "",
        event_type=details.get("eventType"),
        status=raw.get("status") or "",
        result=raw.get("result") or "",
        created_at=moment(raw.get("createdDate")),
        attempts=details.get("requestAttempts") or 0,
        error=details.get("errorMessage") or None,
        raw=raw,
    )


@dataclass(frozen=True)
class Build:
    """A build. `result` is None until it has ended: `succeeded`, `partiallySucceeded`, `failed`, `canceled`."""

    id: int
    number: str
    status: str
    result: str | None
    definition: str
    branch: str | None
    finished_at: datetime | None
    raw: Json


def build(raw: Json) -> Build:
    """A build as the API answers it."""
    return Build(
        id=raw["id"],
        number=raw.get("buildNumber") or "",
        status=raw.get("status") or "",
        result=raw.get("result"),
        definition=(raw.get("definition") or {}).get("name") or "",
        branch=raw.get("sourceBranch"),
        finished_at=moment(raw.get("finishTime")),
        raw=raw,
    )


@dataclass(frozen=True)
class BuildPage:
    """Some of the builds asked for. `continuation` is None on the last page."""

    builds: list[Build]
    continuation: str | None


@dataclass(frozen=True)
class PullRequest:
    """A pull request. `status`: `active`, `completed`, `abandoned`."""

    id: int
    title: str
    status: str
    repository: str
    repository_id: str
    source: str
    target: str
    author: str | None
    created_at: datetime | None
    raw: Json


def pull_request(raw: Json) -> PullRequest:
    """A pull request as the API answers it."""
    repository = raw.get("repository") or {}
    return PullRequest(
        id=raw["pullRequestId"],
        title=raw.get("title") or "",
        status=raw.get("status") or "",
        repository=repository.get("name") or "",
        repository_id=repository.get("id") or "",
        source=raw.get("sourceRefName") or "",
        target=raw.get("targetRefName") or "",
        author=person(raw.get("createdBy")),
        created_at=moment(raw.get("creationDate")),
        raw=raw,
    )


@dataclass(frozen=True)
class PullRequestPage:
    """Some of the pull requests asked for. `next_skip` is None on the last page."""

    pull_requests: list[PullRequest]
    next_skip: int | None


@dataclass(frozen=True)
class Thread:
    """A thread of comments on a pull request. `comments` are the texts, oldest first."""

    id: int
    status: str | None
    comments: list[str]
    raw: Json


def thread(raw: Json) -> Thread:
    """A thread as the API answers it."""
    return Thread(raw["id"], raw.get("status"), [one.get("content") or "" for one in raw.get("comments") or []], raw)


def person(value: Any) -> str | None:
    """Who it is, for people: identities are objects in answers, and texts in webhooks of old resource versions."""
    if isinstance(value, dict):
        return value.get("displayName") or value.get("uniqueName")
    return str(value) if value else None


def moment(text: str | None) -> datetime | None:
    """A time of the vendor's, with up to seven digits of a second. None for none, and for 0001-01-01, its null."""
    if not text or text.startswith("0001-"):
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
