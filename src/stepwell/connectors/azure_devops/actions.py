"""Everything that Azure DevOps does for workflows."""

from __future__ import annotations

from stepwell.connectors.azure_devops.builds import BuildActions
from stepwell.connectors.azure_devops.hooks import HookActions
from stepwell.connectors.azure_devops.pull_requests import PullRequestActions
from stepwell.connectors.azure_devops.work_items import WorkItemActions


class AzureDevOpsActions(WorkItemActions, HookActions, BuildActions, PullRequestActions):
    """Work items, service hooks, builds and pull requests."""
