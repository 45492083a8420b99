"""What GitHub answers, as far as it has a name here; `raw` has everything.

Source: docs.github.com/rest, version 2022-11-28.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Issue:
    """An issue. `state`: `open`, `closed`; `updated_at` tells which of two answers is the later one."""

    id: int
    number: int
    title: str
    body: str
    state: str
    labels: list[str]
    author: str | None
    url: str
    created_at: datetime | None
    updated_at: datetime | None
    raw: Json


def issue(raw: Json) -> Issue:
    """An issue as the API answers it."""
    return Issue(
        id=raw["id"],
        number=raw["number"],
        title=raw.get("title") or "",
        body=raw.get("body") or "",
        state=raw.get("state") or "",
        labels=[label if isinstance(label, str) else label["name"] for label in raw.get("labels") or []],
        author=login(raw.get("user")),
        url=raw.get("html_url") or "",
        created_at=moment(raw.get("created_at")),
        updated_at=moment(raw.get("updated_at")),
        raw=raw,
    )


@dataclass(frozen=True)
class IssuePage:
    """Some of the issues asked for. `next_page` is None on the last page."""

    issues: list[Issue]
    next_page: int | None


@dataclass(frozen=True)
class Comment:
    """A comment on an issue or a pull request, in Markdown."""

    id: int
    body: str
    author: str | None
    url: str
    created_at: datetime | None
    raw: Json


def comment(raw: Json) -> Comment:
    """A comment as the API answers it."""
    author, created_at = login(raw.get("user")), moment(raw.get("created_at"))
    return Comment(raw["id"], raw.get("body") or "", author, raw.get("html_url") or "", created_at, raw)


@dataclass(frozen=True)
class CommentPage:
    """Some of the comments, oldest first. `next_page` is None on the last page."""

    comments: list[Comment]
    next_page: int | None


@dataclass(frozen=True)
class PullRequest:
    """A pull request. `state`: `open`, `closed`; a closed one is merged, or not."""

    id: int
    number: int
    title: str
    body: str
    state: str
    is_merged: bool
    is_draft: bool
    head: str
    base: str
    author: str | None
    url: str
    updated_at: datetime | None
    raw: Json


def pull_request(raw: Json) -> PullRequest:
    """A pull request as the API answers it."""
    return PullRequest(
        id=raw["id"],
        number=raw["number"],
        title=raw.get("title") or "",
        body=raw.get("body") or "",
        state=raw.get("state") or "",
        is_merged=bool(raw.get("merged_at")),
        is_draft=bool(raw.get("draft")),
        head=(raw.get("head") or {}).get("ref") or "",
        base=(raw.get("base") or {}).get("ref") or "",
        author=login(raw.get("user")),
        url=raw.get("html_url") or "",
        updated_at=moment(raw.get("updated_at")),
        raw=raw,
    )


@dataclass(frozen=True)
class PullRequestPage:
    """Some of the pull requests asked for. `next_page` is None on the last page."""

    pull_requests: list[PullRequest]
    next_page: int | None


@dataclass(frozen=True)
class Release:
    """A release."""

    id: int
    tag: str
    name: str
    body: str
    is_draft: bool
    is_prerelease: bool
    url: str
    published_at: datetime | None
    raw: Json


def release(raw: Json) -> Release:
    """A release as the API answers it."""
    return Release(
        id=raw["id"],
        tag=raw.get("tag_name") or "",
        name=raw.get("name") or "",
        body=raw.get("body") or "",
        is_draft=bool(raw.get("draft")),
        is_prerelease=bool(raw.get("prerelease")),
        url=raw.get("html_url") or "",
        published_at=moment(raw.get("published_at")),
        raw=raw,
    )


@dataclass(frozen=True)
class ReleasePage:
    """Some of the releases, the newest first. `next_page` is None on the last page."""

    releases: list[Release]
    next_page: int | None


@dataclass(frozen=True)
class WorkflowRun:
    """A run of a GitHub Actions workflow. `conclusion` is None until it has ended: `success`, `failure` and others."""

    id: int
    title: str
    status: str
    conclusion: str | None
    branch: str | None
    url: str
    raw: Json


def workflow_run(raw: Json) -> WorkflowRun:
    """A run as the API answers it."""
    return WorkflowRun(
        id=raw["id"],
        title=raw.get("display_title") or raw.get("name") or "",
        status=raw.get("status") or "",
        conclusion=raw.get("conclusion"),
        branch=raw.get("head_branch"),
        url=raw.get("html_url") or "",
        raw=raw,
    )


@dataclass(frozen=True)
class Dispatched:
    """A workflow was told to run. `run_id` is None where the vendor does not say which run that is."""

    run_id: int | None
    raw: Json


@dataclass(frozen=True)
class Webhook:
    """A webhook of a repository. The secret is masked by the vendor."""

    id: int
    url: str | None
    events: list[str]
    is_active: bool
    raw: Json


def webhook(raw: Json) -> Webhook:
    """A webhook as the API answers it."""
    url = (raw.get("config") or {}).get("url")
    return Webhook(raw["id"], url, list(raw.get("events") or []), bool(raw.get("active")), raw)


@dataclass(frozen=True)
class Delivery:
    """One time that a webhook was sent. `guid` is the same for all of one event; 0 is the status of no answer."""

    id: int
    guid: str
    event: str
    action: str | None
    status: int
    is_redelivery: bool
    delivered_at: datetime | None
    raw: Json

    @property
    def is_good(self) -> bool:
        """Whether it was answered with success."""
        return 200 <= self.status < 300


def delivery(raw: Json) -> Delivery:
    """A delivery as the API answers it."""
    return Delivery(
        id=raw["id"],
        guid=raw["guid"],
        event=raw.get("event") or "",
        action=raw.get("action"),
        status=raw.get("status_code") or 0,
        is_redelivery=bool(raw.get("redelivery")),
        delivered_at=moment(raw.get("delivered_at")),
        raw=raw,
    )


@dataclass(frozen=True)
class DeliveryPage:
    """Some of the deliveries of a webhook, the newest first. `next_cursor` is None on the last page."""

    deliveries: list[Delivery]
    next_cursor: str | None


def login(user: Any) -> str | None:
    """Whose account it is; None for one that was deleted."""
    return user.get("login") if isinstance(user, dict) else None


def moment(text: str | None) -> datetime | None:
    """A time of the vendor's."""
    return datetime.fromisoformat(text) if text else None
