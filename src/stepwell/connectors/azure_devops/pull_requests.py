"""Pull requests: read, listed, commented on."""

from __future__ import annotations

from typing import Any

from stepwell.connectors.azure_devops.protocol import AzureDevOpsProtocol
from stepwell.connectors.azure_devops.types import PullRequest, PullRequestPage, Thread, pull_request, thread
from stepwell.connectors.base import action, action_key, may_be_a_repeat
from stepwell.connectors.http import segment

KEY_PROPERTY = "stepwell.key"


class PullRequestActions(AzureDevOpsProtocol):
    """Source: learn.microsoft.com/rest/api/azure/devops/git (pull-requests, pull-request-threads), version 7.1."""

    @action(repeat="safe")
    async def get_pull_request(self, id: int, *, project: str | None = None) -> PullRequest:
        """The pull request with that number, in whichever repository it is."""
        place = project or await self.default_project()
        answer = await self.api("GET", f"/git/pullrequests/{id}", operation=f"get pull request {id}", project=place)
        return pull_request(answer.json())

    @action(repeat="safe")
    async def list_pull_requests(
        self,
        *,
        repository: str | None = None,
        status: str = "active",
        target: str | None = None,
        skip: int = 0,
        limit: int = 100,
        project: str | None = None,
    ) -> PullRequestPage:
        """A page of pull requests, the newest first; `next_skip` of a page leads to the next one.

        `repository` is a name or id, `target` a full name such as `refs/heads/main`. `status`: `active`, `abandoned`,
        `completed`, `all`.
        """
        within = f"/git/repositories/{segment(repository)}/pullrequests" if repository else "/git/pullrequests"
        filters = {"searchCriteria.status": status, "searchCriteria.targetRefName": target or ""}
        answer = await self.api(
            "GET",
            within,
            operation="list pull requests",
            project=await self.needed_project(project),
            query={"$top": limit, "$skip": skip, **{name: text for name, text in filters.items() if text}},
        )
        found = [pull_request(raw) for raw in answer.json()["value"]]
        return PullRequestPage(found, skip + len(found) if len(found) >= limit else None)

    @action(repeat="verify")
    async def add_pull_request_comment(
        self,
        repository: str,
        id: int,
        text: str,
        *,
        path: str | None = None,
        line: int | None = None,
        status: str = "active",
        project: str | None = None,
    ) -> Thread:
        """A new thread on a pull request with this comment, in Markdown; on a line of a file, if they are given.

        `status` of the thread: `active`, `closed`, `fixed` and others. It carries our key as a property, which people
        do not see; a repeat looks for it.
        """
        place = project or await self.default_project()
        threads = f"/git/repositories/{segment(repository)}/pullRequests/{id}/threads"
        key = action_key("add pull request comment")
        if may_be_a_repeat():
            answer = await self.api("GET", threads, operation=f"read threads of pull request {id}", project=place)
            for raw in answer.json()["value"]:
                if _property(raw) == key:
                    return thread(raw)
        answer = await self.api(
            "POST",
            threads,
            operation=f"comment on pull request {id}",
            project=place,
            json={
                "comments": [{"parentCommentId": 0, "content": text, "commentType": "text"}],
                "status": status,
                "properties": {KEY_PROPERTY: {"$type": "System.String", "$value": key}},
                **({"threadContext": _place_in(path, line)} if path else {}),
            },
        )
        return thread(answer.json())


def _place_in(path: str, line: int | None) -> dict[str, Any]:
    """A place in a file as it is after the change."""
    at = {} if line is None else {"line": line, "offset": 1}
    name = path if path.startswith("/") else f"/{path}"
    return {"filePath": name, **({"rightFileStart": at, "rightFileEnd": at} if at else {})}


def _property(raw: dict[str, Any]) -> Any:
    return ((raw.get("properties") or {}).get(KEY_PROPERTY) or {}).get("$value")
