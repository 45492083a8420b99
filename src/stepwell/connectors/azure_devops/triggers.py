"""Events of Azure DevOps service hooks, and the triggers for them.

Sources: learn.microsoft.com/azure/devops/service-hooks/events, and recorded deliveries: the number of a work item is
`resource.id`, but in updates `resource.workItemId`, which test deliveries leave at 0. What a resource has depends on
its version and on the subscription (`resourceDetailsToSend`), so all but the number may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from stepwell.connectors.azure_devops.reconcile import AzureDevOpsReconcile
from stepwell.connectors.azure_devops.types import moment, person
from stepwell.connectors.events import ConnectorEvent
from stepwell.core.duration import DurationLike
from stepwell.core.triggers import WebhookTrigger
from stepwell.errors import InvalidValue

Json = dict[str, Any]


@dataclass(frozen=True)
class WorkItemPayload:
    """A work item that something has happened to. `rev` tells which of two deliveries is the later one."""

    id: int
    rev: int | None = None
    type: str | None = None
    title: str | None = None
    state: str | None = None
    project: str | None = None
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True)
class CommentPayload(WorkItemPayload):
    """A work item with a new comment. `comment` is its text, as HTML."""

    comment: str | None = None


@dataclass(frozen=True)
class Change:
    """What became of a field."""

    old: Any = None
    new: Any = None


@dataclass(frozen=True)
class UpdatePayload(WorkItemPayload):
    """A work item as it is after an update. `changes` are by the fields' reference names."""

    changes: dict[str, Change] = field(default_factory=dict)


@dataclass(frozen=True)
class PushPayload:
    """A push. `refs` are the full names of the branches and tags that it has moved, `commits` at most some of them."""

    id: int
    repository: str
    repository_id: str
    project: str | None
    refs: list[str]
    commits: list[str]
    pushed_by: str | None
    pushed_at: datetime | None


@dataclass(frozen=True)
class PullRequestPayload:
    """A pull request. `status`: `active`, `completed`, `abandoned`."""

    id: int
    title: str | None
    status: str | None
    repository: str | None
    repository_id: str | None
    project: str | None
    source: str | None
    target: str | None
    author: str | None
    closed_at: datetime | None


@dataclass(frozen=True)
class BuildPayload:
    """A build that has ended. `result`: `succeeded`, `partiallySucceeded`, `failed`, `canceled`."""

    id: int
    number: str | None
    result: str | None
    definition: str | None
    project: str | None
    finished_at: datetime | None


def _resource(raw: Any) -> Json:
    """What has changed. Raises InvalidValue when the subscription does not send it."""
    resource = raw.get("resource") if isinstance(raw, dict) else None
    if not isinstance(resource, dict):
        raise InvalidValue(
            path="$.raw.resource",
            reason="is not there; let the subscription send all details of the resource (resourceDetailsToSend)",
        )
    return resource


def _item_facts(item: Json) -> Json:
    fields = item.get("fields") or {}
    return {
        "rev": item.get("rev"),
        "type": fields.get("System.WorkItemType"),
        "title": fields.get("System.Title"),
        "state": fields.get("System.State"),
        "project": fields.get("System.TeamProject"),
        "changed_at": moment(fields.get("System.ChangedDate")),
        "changed_by": person(fields.get("System.ChangedBy")),
    }


def _repository_facts(resource: Json) -> Json:
    repository = resource.get("repository") or {}
    return {
        "repository": repository.get("name"),
        "repository_id": repository.get("id"),
        "project": (repository.get("project") or {}).get("name"),
    }


@dataclass(frozen=True)
class WorkItemEvent(ConnectorEvent[WorkItemPayload]):
    """Something has happened to a work item."""

    payload_type: ClassVar[Any] = WorkItemPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        resource = _resource(raw)
        return {"id": resource.get("id"), **_item_facts(resource)}


@dataclass(frozen=True)
class WorkItemCreated(WorkItemEvent):
    """A work item was created."""


@dataclass(frozen=True)
class WorkItemDeleted(WorkItemEvent):
    """A work item was put into the recycle bin."""


@dataclass(frozen=True)
class WorkItemRestored(WorkItemEvent):
    """A work item was taken out of the recycle bin."""


@dataclass(frozen=True)
class WorkItemCommented(ConnectorEvent[CommentPayload]):
    """A work item was commented on."""

    payload_type: ClassVar[Any] = CommentPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        resource = _resource(raw)
        comment = (resource.get("fields") or {}).get("System.History")
        return {"id": resource.get("id"), "comment": comment, **_item_facts(resource)}


@dataclass(frozen=True)
class WorkItemUpdated(ConnectorEvent[UpdatePayload]):
    """A work item was changed. `payload.id` is the item's number, not that of the update."""

    payload_type: ClassVar[Any] = UpdatePayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        resource = _resource(raw)
        revision = resource.get("revision") or {}
        changes = {
            name: {"old": change.get("oldValue"), "new": change.get("newValue")}
            for name, change in (resource.get("fields") or {}).items()
            if isinstance(change, dict)
        }
        facts = {**_item_facts(revision), "rev": resource.get("rev") or revision.get("rev")}
        return {"id": resource.get("workItemId") or revision.get("id"), "changes": changes, **facts}


@dataclass(frozen=True)
class GitPush(ConnectorEvent[PushPayload]):
    """Commits were pushed to a repository."""

    payload_type: ClassVar[Any] = PushPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        resource = _resource(raw)
        return {
            "id": resource.get("pushId"),
            **_repository_facts(resource),
            "refs": [ref.get("name") for ref in resource.get("refUpdates") or []],
            "commits": [commit.get("commitId") for commit in resource.get("commits") or []],
            "pushed_by": person(resource.get("pushedBy")),
            "pushed_at": moment(resource.get("date")),
        }


@dataclass(frozen=True)
class PullRequestEvent(ConnectorEvent[PullRequestPayload]):
    """Something has happened to a pull request."""

    payload_type: ClassVar[Any] = PullRequestPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        resource = _resource(raw)
        return {
            "id": resource.get("pullRequestId"),
            "title": resource.get("title"),
            "status": resource.get("status"),
            **_repository_facts(resource),
            "source": resource.get("sourceRefName"),
            "target": resource.get("targetRefName"),
            "author": person(resource.get("createdBy")),
            "closed_at": moment(resource.get("closedDate")),
        }


@dataclass(frozen=True)
class PullRequestCreated(PullRequestEvent):
    """A pull request was opened."""


@dataclass(frozen=True)
class PullRequestUpdated(PullRequestEvent):
    """A pull request was completed, abandoned, voted on, pushed to or changed in another way."""


@dataclass(frozen=True)
class BuildCompleted(ConnectorEvent[BuildPayload]):
    """A build has ended, well or not."""

    payload_type: ClassVar[Any] = BuildPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        resource = _resource(raw)
        definition = resource.get("definition") or {}
        return {
            "id": resource.get("id"),
            "number": resource.get("buildNumber"),
            "result": resource.get("result") or resource.get("status"),  # old versions have it as the status
            "definition": definition.get("name"),
            "project": (resource.get("project") or definition.get("project") or {}).get("name"),
            "finished_at": moment(resource.get("finishTime")),
        }


class AzureDevOpsTriggers(AzureDevOpsReconcile):
    """Triggers for deliveries of service hooks. Annotate the workflow's parameter with the event that each one names.

    `id` names the trigger, by default as the workflow. `reconcile`, a duration such as "15m", lets it also ask the
    vendor so often for events whose deliveries were lost; each starts one execution, whichever way it comes.
    """

    def on_work_item_created(self, *, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new work item, with a `WorkItemCreated`."""
        return self.trigger("workitem.created", id=id, reconcile=reconcile, find=self.find_created)

    def on_work_item_updated(self, *, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each update of a work item, with a `WorkItemUpdated`."""
        return self.trigger("workitem.updated", id=id, reconcile=reconcile, find=self.find_updated)

    def on_work_item_commented(self, *, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each comment on a work item, with a `WorkItemCommented`."""
        return self.trigger("workitem.commented", id=id, reconcile=reconcile, find=self.find_commented)

    def on_work_item_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted work item, with a `WorkItemDeleted`."""
        return self.trigger("workitem.deleted", id=id)

    def on_work_item_restored(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each restored work item, with a `WorkItemRestored`."""
        return self.trigger("workitem.restored", id=id)

    def on_push(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each push, with a `GitPush`."""
        return self.trigger("git.push", id=id)

    def on_pull_request_created(
        self, *, reconcile: DurationLike | None = None, id: str | None = None
    ) -> WebhookTrigger:
        """Start an execution for each new pull request, with a `PullRequestCreated`."""
        return self.trigger("git.pullrequest.created", id=id, reconcile=reconcile, find=self.find_created_pull_requests)

    def on_pull_request_updated(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of a pull request, with a `PullRequestUpdated`."""
        return self.trigger("git.pullrequest.updated", id=id)

    def on_build_completed(self, *, reconcile: DurationLike | None = None, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each build that has ended, with a `BuildCompleted`."""
        return self.trigger("build.complete", id=id, reconcile=reconcile, find=self.find_completed_builds)
