"""Events of GitHub's webhooks, and the triggers for them by event and action.

Source: docs.github.com/webhooks/webhook-events-and-payloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from stepwell.connectors.events import ConnectorEvent
from stepwell.connectors.github.reconcile import GitHubReconcile
from stepwell.connectors.github.types import login, moment
from stepwell.core.duration import DurationLike
from stepwell.core.triggers import WebhookTrigger

Json = dict[str, Any]


@dataclass(frozen=True)
class IssuePayload:
    """An issue that something has happened to. `updated_at` tells which of two deliveries is the later one."""

    action: str
    repository: str
    number: int
    id: int
    title: str
    state: str
    labels: list[str]
    author: str | None
    url: str | None
    updated_at: datetime | None
    sender: str | None


@dataclass(frozen=True)
class IssueCommentPayload:
    """A comment on an issue or a pull request. `number` is that of the issue."""

    action: str
    repository: str
    number: int
    is_pull_request: bool
    id: int
    body: str
    author: str | None
    url: str | None
    updated_at: datetime | None
    sender: str | None


@dataclass(frozen=True)
class PullRequestPayload:
    """A pull request that something has happened to. `head` and `base` are the names of its branches."""

    action: str
    repository: str
    number: int
    id: int
    title: str
    state: str
    is_merged: bool
    is_draft: bool
    head: str
    base: str
    author: str | None
    url: str | None
    updated_at: datetime | None
    sender: str | None


@dataclass(frozen=True)
class PushPayload:
    """A push. `ref` is the full name of the branch or tag, `commits` are at most 2,048 ids, oldest first."""

    repository: str
    ref: str
    before: str
    after: str
    commits: list[str]
    is_created: bool
    is_deleted: bool
    is_forced: bool
    sender: str | None


@dataclass(frozen=True)
class ReleasePayload:
    """A release that something has happened to."""

    action: str
    repository: str
    id: int
    tag: str
    name: str | None
    is_draft: bool
    is_prerelease: bool
    url: str | None
    sender: str | None


@dataclass(frozen=True)
class WorkflowRunPayload:
    """A run of a GitHub Actions workflow. `conclusion`: `success`, `failure` and others, when it has ended."""

    action: str
    repository: str
    id: int
    name: str | None
    title: str | None
    branch: str | None
    status: str | None
    conclusion: str | None
    url: str | None
    sender: str | None


def _part(raw: Any, name: str) -> Json:
    """One of the objects in the body; empty if it is not there, so that what is missing is named."""
    found = raw.get(name) if isinstance(raw, dict) else None
    return found if isinstance(found, dict) else {}


def _common(raw: Any) -> Json:
    return {
        "action": raw.get("action") if isinstance(raw, dict) else None,
        "repository": _part(raw, "repository").get("full_name"),
        "sender": login(_part(raw, "sender")),
    }


def _authorship(part: Json) -> Json:
    """Whose an issue, a comment or a pull request is, where it stands, and how new it is."""
    return {
        "author": login(part.get("user")),
        "url": part.get("html_url"),
        "updated_at": moment(part.get("updated_at")),
    }


@dataclass(frozen=True)
class IssueEvent(ConnectorEvent[IssuePayload]):
    """Something has happened to an issue."""

    payload_type: ClassVar[Any] = IssuePayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        issue = _part(raw, "issue")
        return {
            **_common(raw),
            **{name: issue.get(name) for name in ("number", "id", "title", "state")},
            "labels": [label.get("name") for label in issue.get("labels") or []],
            **_authorship(issue),
        }


@dataclass(frozen=True)
class IssueCommentEvent(ConnectorEvent[IssueCommentPayload]):
    """Something has happened to a comment on an issue or a pull request."""

    payload_type: ClassVar[Any] = IssueCommentPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        issue, comment = _part(raw, "issue"), _part(raw, "comment")
        return {
            **_common(raw),
            "number": issue.get("number"),
            "is_pull_request": "pull_request" in issue,
            "id": comment.get("id"),
            "body": comment.get("body"),
            **_authorship(comment),
        }


@dataclass(frozen=True)
class PullRequestEvent(ConnectorEvent[PullRequestPayload]):
    """Something has happened to a pull request."""

    payload_type: ClassVar[Any] = PullRequestPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        pull = _part(raw, "pull_request")
        return {
            **_common(raw),
            **{name: pull.get(name) for name in ("number", "id", "title", "state")},
            "is_merged": bool(pull.get("merged_at")),
            "is_draft": bool(pull.get("draft")),
            "head": _part(pull, "head").get("ref"),
            "base": _part(pull, "base").get("ref"),
            **_authorship(pull),
        }


@dataclass(frozen=True)
class PushEvent(ConnectorEvent[PushPayload]):
    """A branch or tag was moved, made or removed."""

    payload_type: ClassVar[Any] = PushPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        body = raw if isinstance(raw, dict) else {}
        return {
            "repository": _common(raw)["repository"],
            "sender": _common(raw)["sender"],
            **{name: body.get(name) for name in ("ref", "before", "after")},
            "commits": [commit.get("id") for commit in body.get("commits") or []],
            "is_created": bool(body.get("created")),
            "is_deleted": bool(body.get("deleted")),
            "is_forced": bool(body.get("forced")),
        }


@dataclass(frozen=True)
class ReleaseEvent(ConnectorEvent[ReleasePayload]):
    """Something has happened to a release."""

    payload_type: ClassVar[Any] = ReleasePayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        release = _part(raw, "release")
        return {
            **_common(raw),
            "id": release.get("id"),
            "tag": release.get("tag_name"),
            "name": release.get("name"),
            "is_draft": bool(release.get("draft")),
            "is_prerelease": bool(release.get("prerelease")),
            "url": release.get("html_url"),
        }


@dataclass(frozen=True)
class WorkflowRunEvent(ConnectorEvent[WorkflowRunPayload]):
    """A run of a GitHub Actions workflow was asked for, goes on or has ended."""

    payload_type: ClassVar[Any] = WorkflowRunPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        run = _part(raw, "workflow_run")
        return {
            **_common(raw),
            **{name: run.get(name) for name in ("id", "name", "status", "conclusion")},
            "title": run.get("display_title"),
            "branch": run.get("head_branch"),
            "url": run.get("html_url"),
        }


class GitHubTriggers(GitHubReconcile):
    """Triggers for deliveries by event and action. Annotate the workflow's parameter with the event that each names.

    Without actions, every action of the event. `id` names the trigger, by default as the workflow. `reconcile`, a
    duration such as "15m", lets it also look so often for deliveries that were lost.
    """

    def on_issue(self, *actions: str, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for `opened`, `closed`, `labeled` and other actions, with an `IssueEvent`."""
        return self._on("issues", actions, reconcile, id)

    def on_issue_opened(self, *, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new issue, with an `IssueEvent`."""
        return self._on("issues", ("opened",), reconcile, id)

    def on_issue_comment(
        self, *actions: str, reconcile: DurationLike | None = None, id: str | None = None
    ) -> WebhookTrigger:
        """Start an execution for `created`, `edited` and `deleted` comments, with an `IssueCommentEvent`."""
        return self._on("issue_comment", actions, reconcile, id)

    def on_pull_request(
        self, *actions: str, reconcile: DurationLike | None = None, id: str | None = None
    ) -> WebhookTrigger:
        """Start an execution for `opened`, `synchronize`, `closed` and other actions, with a `PullRequestEvent`."""
        return self._on("pull_request", actions, reconcile, id)

    def on_push(self, *, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each push, with a `PushEvent`."""
        return self._made(("push",), reconcile, id)

    def on_release(self, *actions: str, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for `published`, `created` and other actions, with a `ReleaseEvent`."""
        return self._on("release", actions, reconcile, id)

    def on_workflow_run(
        self, *actions: str, reconcile: DurationLike | None = None, id: str | None = None
    ) -> WebhookTrigger:
        """Start an execution for `requested`, `in_progress` and `completed` runs, with a `WorkflowRunEvent`."""
        return self._on("workflow_run", actions, reconcile, id)

    def on_event(
        self, event: str, *actions: str, reconcile: DurationLike | None = None, id: str | None = None
    ) -> WebhookTrigger:
        """Start an execution for any other event, such as `star`, with a plain `WebhookEvent`.

        Without actions it takes the event with any action, and without one.
        """
        types = tuple(f"{event}.{action}" for action in actions) or (event, f"{event}.*")
        return self._made(types, reconcile, id)

    def _on(
        self, event: str, actions: tuple[str, ...], reconcile: DurationLike | None, id: str | None
    ) -> WebhookTrigger:
        return self._made(tuple(f"{event}.{action}" for action in actions or ("*",)), reconcile, id)

    def _made(self, types: tuple[str, ...], reconcile: DurationLike | None, id: str | None) -> WebhookTrigger:
        return self.trigger(*types, id=id, reconcile=reconcile, find=self.finder(*types))
