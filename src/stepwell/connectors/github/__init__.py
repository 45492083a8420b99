"""GitHub: issues and comments, pull requests, releases, workflow runs, webhooks."""

from __future__ import annotations

from typing import TypeAlias

from stepwell.connectors.base import Setting
from stepwell.connectors.errors import VendorRejected
from stepwell.connectors.github import triggers, types
from stepwell.connectors.github.actions import GitHubActions
from stepwell.connectors.github.triggers import GitHubTriggers


class GitHub(GitHubActions, GitHubTriggers):
    """One account at GitHub, through the stored connection of that name.

    `GitHub("acme")`; give its methods to `step.run`, and its triggers to `@app.workflow`. Repositories are written as
    `owner/name`.
    """

    name = "github"
    title = "GitHub"
    base_url = "https://api.github.com"
    settings = (
        Setting("token", "a personal access token, or one of an app", is_secret=True),
        Setting("requests_per_hour", "how many requests are allowed; 5000 without it", is_required=False),
        Setting(
            "webhook_id", "with reconcile: the number of the webhook whose lost deliveries count", is_required=False
        ),
        Setting("repository", "with reconcile: the webhook's repository, as owner/name", is_required=False),
        Setting("organization", "with reconcile: the organization of a webhook that belongs to one", is_required=False),
        Setting("base_url", "with GitHub Enterprise Server: https://host/api/v3", is_required=False),
    )

    Issue: TypeAlias = types.Issue
    IssuePage: TypeAlias = types.IssuePage
    Comment: TypeAlias = types.Comment
    CommentPage: TypeAlias = types.CommentPage
    PullRequest: TypeAlias = types.PullRequest
    PullRequestPage: TypeAlias = types.PullRequestPage
    Release: TypeAlias = types.Release
    ReleasePage: TypeAlias = types.ReleasePage
    WorkflowRun: TypeAlias = types.WorkflowRun
    Dispatched: TypeAlias = types.Dispatched
    Webhook: TypeAlias = types.Webhook
    Delivery: TypeAlias = types.Delivery
    DeliveryPage: TypeAlias = types.DeliveryPage

    IssueEvent: TypeAlias = triggers.IssueEvent
    IssueCommentEvent: TypeAlias = triggers.IssueCommentEvent
    PullRequestEvent: TypeAlias = triggers.PullRequestEvent
    PushEvent: TypeAlias = triggers.PushEvent
    ReleaseEvent: TypeAlias = triggers.ReleaseEvent
    WorkflowRunEvent: TypeAlias = triggers.WorkflowRunEvent

    async def check(self) -> str:
        """Whose token it is: a user's, or an app's installation. Raises what any action does when it is refused."""
        try:
            return str((await self.api("GET", "/user", operation="say who we are")).json()["login"])
        except VendorRejected as rejected:
            if rejected.status != 403:  # what is answered to an installation
                raise
        path, query = "/installation/repositories", {"per_page": 1}
        answer = await self.api("GET", path, operation="say who we are", query=query)
        return f"an installation (repositories: {answer.json()['total_count']})"
