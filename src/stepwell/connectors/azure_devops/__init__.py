"""Azure DevOps Services and Server, version 7.1: work items, service hooks, builds, pull requests."""

from __future__ import annotations

from typing import TypeAlias

from stepwell.connectors.azure_devops import triggers, types
from stepwell.connectors.azure_devops.actions import AzureDevOpsActions
from stepwell.connectors.azure_devops.triggers import AzureDevOpsTriggers
from stepwell.connectors.base import Setting
from stepwell.connectors.errors import VendorRejected

WHO_VERSION = "7.1-preview.1"


class AzureDevOps(AzureDevOpsActions, AzureDevOpsTriggers):
    """One organization of Azure DevOps, through the stored connection of that name.

    `AzureDevOps("acme")`; give its methods to `step.run`, and its triggers to `@app.workflow`.
    """

    name = "azure-devops"
    title = "Azure DevOps"
    base_url = "https://dev.azure.com/{organization}"
    settings = (
        Setting("organization", "the organization's name, as in https://dev.azure.com/{organization}"),
        Setting("project", "the project of actions that name none", is_required=False),
        Setting("pat", "a personal access token", is_secret=True, is_required=False),
        Setting("token", "a Microsoft Entra access token, used before a pat", is_secret=True, is_required=False),
        Setting("key_field", "a text field for our keys in new work items; a tag without it", is_required=False),
        Setting(
            "requests_per_minute", "how many requests all workers may send; no limit without it", is_required=False
        ),
        Setting("base_url", "with Azure DevOps Server: the address of the collection", is_required=False),
    )

    WorkItem: TypeAlias = types.WorkItem
    Comment: TypeAlias = types.Comment
    QueryResult: TypeAlias = types.QueryResult
    Subscription: TypeAlias = types.Subscription
    Notification: TypeAlias = types.Notification
    Build: TypeAlias = types.Build
    BuildPage: TypeAlias = types.BuildPage
    PullRequest: TypeAlias = types.PullRequest
    PullRequestPage: TypeAlias = types.PullRequestPage
    Thread: TypeAlias = types.Thread

    WorkItemCreated: TypeAlias = triggers.WorkItemCreated
    WorkItemUpdated: TypeAlias = triggers.WorkItemUpdated
    WorkItemCommented: TypeAlias = triggers.WorkItemCommented
    WorkItemDeleted: TypeAlias = triggers.WorkItemDeleted
    WorkItemRestored: TypeAlias = triggers.WorkItemRestored
    GitPush: TypeAlias = triggers.GitPush
    PullRequestCreated: TypeAlias = triggers.PullRequestCreated
    PullRequestUpdated: TypeAlias = triggers.PullRequestUpdated
    BuildCompleted: TypeAlias = triggers.BuildCompleted

    async def check(self) -> str:
        """Who the connection's credentials belong to. Raises what any action does when they are refused."""
        answer = await self.api("GET", "/connectionData", operation="say who we are", version=WHO_VERSION)
        user = answer.json().get("authenticatedUser") or {}
        if not user.get("providerDisplayName"):
            raise VendorRejected(
                connector=self.name,
                connection=self.connection_name(),
                operation="say who we are",
                reason="the vendor took the request for one of nobody",
                status=answer.status,
            )
        return str(user["providerDisplayName"])
