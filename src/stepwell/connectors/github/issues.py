"""Issues, and comments on issues and pull requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stepwell.connectors.base import action, action_key, may_be_a_repeat, not_before
from stepwell.connectors.github.marks import first_with, marked
from stepwell.connectors.github.protocol import GitHubProtocol, next_page, place
from stepwell.connectors.github.types import Comment, CommentPage, Issue, IssuePage, comment, issue

PAGE = 100  # the most that the vendor gives at once


class IssueActions(GitHubProtocol):
    """Source: docs.github.com/rest/issues."""

    @action(repeat="safe")
    async def get_issue(self, repository: str, number: int) -> Issue:
        """The issue with that number. Pull requests are issues too."""
        path = f"{place(repository)}/issues/{number}"
        return issue((await self.api("GET", path, operation=f"get issue {number}")).json())

    @action(repeat="safe")
    async def list_issues(
        self,
        repository: str,
        *,
        state: str = "open",
        labels: Sequence[str] = (),
        since: datetime | None = None,
        page: int = 1,
        limit: int = PAGE,
    ) -> IssuePage:
        """A page of issues, the newest first, without pull requests; `next_page` of a page leads to the next one.

        `state`: `open`, `closed`, `all`. `since`: only those changed since then. A page may hold fewer than `limit`.
        """
        answer = await self.api(
            "GET",
            f"{place(repository)}/issues",
            operation="list issues",
            query={
                "state": state,
                "labels": ",".join(labels) or None,
                "since": _text(since),
                "sort": "created",
                "direction": "desc",
                "page": page,
                "per_page": limit,
            },
        )
        return IssuePage([issue(raw) for raw in answer.json() if "pull_request" not in raw], next_page(answer))

    @action(repeat="verify")
    async def create_issue(
        self,
        repository: str,
        title: str,
        *,
        body: str | None = None,
        labels: Sequence[str] = (),
        assignees: Sequence[str] = (),
    ) -> Issue:
        """A new issue; `body` is Markdown.

        Our key stands in it as a comment that nobody sees; a repeat looks for it.
        """
        key = action_key("create issue")
        if may_be_a_repeat() and (found := await self._issue_with(key, repository)) is not None:
            return found
        wanted = {"title": title, "body": marked(body, key), "labels": list(labels), "assignees": list(assignees)}
        answer = await self.api("POST", f"{place(repository)}/issues", operation="create issue", json=wanted)
        return issue(answer.json())

    async def _issue_with(self, key: str, repository: str) -> Issue | None:
        """What an earlier attempt has made: among the issues changed since our execution began, the newest first."""

        async def read(number: int) -> tuple[Sequence[Issue], int | None]:
            page = await self.list_issues(repository, state="all", since=not_before(), page=number)
            return page.issues, page.next_page

        return await first_with(key, read)

    @action(repeat="safe")
    async def update_issue(
        self,
        repository: str,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        state: str | None = None,
        state_reason: str | None = None,
        labels: Sequence[str] | None = None,
        assignees: Sequence[str] | None = None,
    ) -> Issue:
        """The issue with these values; what is None stays. `labels` and `assignees` replace those that are there.

        `state`: `open`, `closed`; `state_reason`: `completed`, `not_planned`, `reopened`.
        """
        given: dict[str, Any] = {"title": title, "body": body, "state": state, "state_reason": state_reason}
        given |= {"labels": None if labels is None else list(labels)}
        given |= {"assignees": None if assignees is None else list(assignees)}
        answer = await self.api(
            "PATCH",
            f"{place(repository)}/issues/{number}",
            operation=f"update issue {number}",
            json={name: value for name, value in given.items() if value is not None},
        )
        return issue(answer.json())

    @action(repeat="verify")
    async def add_comment(self, repository: str, number: int, body: str) -> Comment:
        """A new comment on an issue or pull request, in Markdown.

        Our key stands in it as a comment that nobody sees; a repeat looks for it.
        """
        key = action_key("add comment")
        if may_be_a_repeat() and (found := await self._comment_with(key, repository, number)) is not None:
            return found
        path = f"{place(repository)}/issues/{number}/comments"
        answer = await self.api("POST", path, operation=f"comment on {number}", json={"body": marked(body, key)})
        return comment(answer.json())

    async def _comment_with(self, key: str, repository: str, number: int) -> Comment | None:
        """What an earlier attempt has made: among the comments changed since our execution began."""

        async def read(place: int) -> tuple[Sequence[Comment], int | None]:
            page = await self.list_comments(repository, number, since=not_before(), page=place)
            return page.comments, page.next_page

        return await first_with(key, read)

    @action(repeat="safe")
    async def list_comments(
        self, repository: str, number: int, *, since: datetime | None = None, page: int = 1, limit: int = PAGE
    ) -> CommentPage:
        """A page of comments, oldest first; `since`: only those changed since then."""
        answer = await self.api(
            "GET",
            f"{place(repository)}/issues/{number}/comments",
            operation=f"list comments on {number}",
            query={"since": _text(since), "page": page, "per_page": limit},
        )
        return CommentPage([comment(raw) for raw in answer.json()], next_page(answer))


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
