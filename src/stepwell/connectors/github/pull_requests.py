"""Pull requests: read, listed, opened."""

from __future__ import annotations

from stepwell.connectors.base import action, action_key, may_be_a_repeat
from stepwell.connectors.github.marks import mark, marked
from stepwell.connectors.github.protocol import GitHubProtocol, next_page, place
from stepwell.connectors.github.types import PullRequest, PullRequestPage, pull_request


class PullRequestActions(GitHubProtocol):
    """Source: docs.github.com/rest/pulls."""

    @action(repeat="safe")
    async def get_pull_request(self, repository: str, number: int) -> PullRequest:
        """The pull request with that number."""
        path = f"{place(repository)}/pulls/{number}"
        return pull_request((await self.api("GET", path, operation=f"get pull request {number}")).json())

    @action(repeat="safe")
    async def list_pull_requests(
        self,
        repository: str,
        *,
        state: str = "open",
        head: str | None = None,
        base: str | None = None,
        page: int = 1,
        limit: int = 100,
    ) -> PullRequestPage:
        """A page of pull requests, the newest first; `next_page` of a page leads to the next one.

        `state`: `open`, `closed`, `all`. `head` is `owner:branch`, `base` the name of a branch.
        """
        answer = await self.api(
            "GET",
            f"{place(repository)}/pulls",
            operation="list pull requests",
            query={
                "state": state,
                "head": head,
                "base": base,
                "sort": "created",
                "direction": "desc",
                "page": page,
                "per_page": limit,
            },
        )
        return PullRequestPage([pull_request(raw) for raw in answer.json()], next_page(answer))

    @action(repeat="verify")
    async def create_pull_request(
        self,
        repository: str,
        title: str,
        *,
        head: str,
        base: str,
        body: str | None = None,
        is_draft: bool = False,
    ) -> PullRequest:
        """A new pull request from the branch `head` (of a fork: `owner:branch`) into `base`; `body` is Markdown.

        Our key stands in the body as a comment that nobody sees; a repeat looks for it among those of the two branches.
        """
        key = action_key("create pull request")
        if may_be_a_repeat():
            whose = head if ":" in head else f"{repository.partition('/')[0]}:{head}"
            known = await self.list_pull_requests(repository, state="all", head=whose, base=base)
            for one in known.pull_requests:
                if mark(key) in one.body:
                    return one
        wanted = {"title": title, "head": head, "base": base, "body": marked(body, key), "draft": is_draft}
        answer = await self.api("POST", f"{place(repository)}/pulls", operation="create pull request", json=wanted)
        return pull_request(answer.json())
