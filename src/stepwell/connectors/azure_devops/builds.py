"""Builds: read, and queued."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.connectors.azure_devops.protocol import AzureDevOpsProtocol
from stepwell.connectors.azure_devops.types import Build, BuildPage, build
from stepwell.connectors.base import action, action_key, may_be_a_repeat

KEY_VARIABLE = "stepwell_key"
LOOKED_THROUGH = 200  # of a definition's latest builds, for one that an earlier attempt has queued
CONTINUATION = "x-ms-continuationtoken"


class BuildActions(AzureDevOpsProtocol):
    """Source: learn.microsoft.com/rest/api/azure/devops/build/builds, version 7.1."""

    @action(repeat="safe")
    async def get_build(self, id: int, *, project: str | None = None) -> Build:
        """The build with that number."""
        place = await self.needed_project(project)
        answer = await self.api("GET", f"/build/builds/{id}", operation=f"get build {id}", project=place)
        return build(answer.json())

    @action(repeat="safe")
    async def list_builds(
        self,
        *,
        definitions: Sequence[int] | None = None,
        branch: str | None = None,
        status: str | None = None,
        result: str | None = None,
        limit: int = 50,
        continuation: str | None = None,
        project: str | None = None,
    ) -> BuildPage:
        """A page of builds, the latest queued first; `continuation` of a page leads to the next one.

        `branch` is a full name, `refs/heads/main`. `status`: `inProgress`, `completed`, `notStarted` and others;
        `result`: `succeeded`, `partiallySucceeded`, `failed`, `canceled`.
        """
        filters = {
            "definitions": ",".join(map(str, definitions or ())),
            "branchName": branch,
            "statusFilter": status,
            "resultFilter": result,
            "continuationToken": continuation,
        }
        answer = await self.api(
            "GET",
            "/build/builds",
            operation="list builds",
            project=await self.needed_project(project),
            query={"$top": limit, "queryOrder": "queueTimeDescending", **_given(filters)},
        )
        builds = [build(raw) for raw in answer.json()["value"]]
        return BuildPage(builds, answer.headers.get(CONTINUATION) or None)

    @action(repeat="verify")
    async def queue_build(
        self,
        definition: int,
        *,
        branch: str | None = None,
        commit: str | None = None,
        variables: Mapping[str, str] | None = None,
        project: str | None = None,
    ) -> Build:
        """A new build of a definition, queued with these variables.

        Our key is one more variable, `stepwell_key`, by which a repeat finds the build. Where the organization limits
        variables that can be set at queue time, declare it in the pipeline as settable, like those of your own.
        """
        place = await self.needed_project(project)
        key = action_key("queue build")
        if may_be_a_repeat():
            page = await self.list_builds(definitions=[definition], limit=LOOKED_THROUGH, project=place)
            for known in page.builds:
                if _variables(known).get(KEY_VARIABLE) == key:
                    return known
        wanted: dict[str, Any] = {
            "definition": {"id": definition},
            "parameters": json.dumps({**(variables or {}), KEY_VARIABLE: key}),
            **_given({"sourceBranch": branch, "sourceVersion": commit}),
        }
        answer = await self.api(
            "POST", "/build/builds", operation=f"queue build of definition {definition}", project=place, json=wanted
        )
        return build(answer.json())


def _variables(known: Build) -> dict[str, Any]:
    """What a build was queued with: a JSON text in its answer."""
    try:
        found = json.loads(known.raw.get("parameters") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _given(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
