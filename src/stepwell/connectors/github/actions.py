"""Everything that GitHub does for workflows."""

from __future__ import annotations

from stepwell.connectors.github.issues import IssueActions
from stepwell.connectors.github.pull_requests import PullRequestActions
from stepwell.connectors.github.releases import ReleaseActions
from stepwell.connectors.github.webhooks import WebhookActions


class GitHubActions(IssueActions, PullRequestActions, ReleaseActions, WebhookActions):
    """Issues, pull requests, releases, workflow runs and webhooks."""
