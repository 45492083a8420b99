"""Everything that GitHub does for workflows."""

from __future__ import annotations

from stepwell.connectors.github.hooks import HookActions
from stepwell.connectors.github.issues import IssueActions
from stepwell.connectors.github.pull_requests import PullRequestActions
from stepwell.connectors.github.releases import ReleaseActions


class GitHubActions(IssueActions, PullRequestActions, ReleaseActions, HookActions):
    """Issues, pull requests, releases, workflow runs and webhooks."""
