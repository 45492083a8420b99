"""What events are about: texts that come out the same whether a webhook tells of an event or a poll has found it.

An execution is started once for a subject. So a subject says as much as is needed to tell two events apart, and nothing
that one of the two ways does not know. Connectors make theirs here, for their reconcile polls.
"""

from __future__ import annotations

from datetime import UTC, datetime


def work_item_created(id: int | str) -> str:
    """A work item of Azure DevOps is created once."""
    return f"workitem.created:{id}"


def work_item_changed(event: str, id: int | str, revision: int | str) -> str:
    """Everything else that becomes of a work item makes a revision. `event` is such as `workitem.updated`."""
    return f"{event}:{id}:{revision}"


def git_push(repository: str, push: int | str) -> str:
    """A push to a repository of Azure DevOps."""
    return f"git.push:{repository}:{push}"


def pull_request_created(repository: str, id: int | str) -> str:
    """A pull request of Azure DevOps. Its updates have no identity that a poll could know."""
    return f"git.pullrequest.created:{repository}:{id}"


def build_complete(id: int | str) -> str:
    """A build of Azure DevOps ends once."""
    return f"build.complete:{id}"


def clickup_once(event: str, id: str) -> str:
    """What happens once in the life of a task, list, folder, space, goal or key result, such as `taskCreated`."""
    return f"{event}:{id}"


def shopify_created(topic: str, gid: str) -> str:
    """An object of Shopify is created once. `topic` is such as `orders/create`, `gid` such as `gid://shopify/Order/1`."""
    return f"{topic}:{gid}"


def shopify_updated(topic: str, gid: str, updated_at: str) -> str | None:
    """A version of an object of Shopify: two within a second are one. None for a time that is none.

    Webhooks write `updated_at` in the shop's time, GraphQL in UTC; here it is the same moment.
    """
    try:
        moment = datetime.fromisoformat(updated_at)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return f"{topic}:{gid}:{(moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds():.0f}"


def github_once(event: str, action: str, id: int | str) -> str:
    """What happens once to an object of GitHub: `issues`, `opened`."""
    return f"{event}.{action}:{id}"


def github_at(event: str, action: str, id: int | str, time: str) -> str:
    """What can happen to an object of GitHub again, but not at the same time (as GitHub writes it)."""
    return f"{event}.{action}:{id}:{time}"
