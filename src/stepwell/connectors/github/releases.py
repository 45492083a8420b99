"""Releases, and runs of GitHub Actions workflows."""

from __future__ import annotations

from collections.abc import Mapping

from stepwell.connectors.base import action, action_key, may_be_a_repeat, not_before
from stepwell.connectors.github.marks import mark, marked
from stepwell.connectors.github.protocol import GitHubProtocol, next_page, place
from stepwell.connectors.github.types import Dispatched, Release, ReleasePage, WorkflowRun, release, workflow_run
from stepwell.connectors.http import segment
from stepwell.errors import InvalidOption

KEY_INPUT = "stepwell_key"


class ReleaseActions(GitHubProtocol):
    """Sources: docs.github.com/rest/releases and /rest/actions (workflows, workflow-runs)."""

    @action(repeat="safe")
    async def get_release(self, repository: str, tag: str) -> Release:
        """The published release of a tag."""
        path = f"{place(repository)}/releases/tags/{segment(tag)}"
        return release((await self.api("GET", path, operation=f"get release {tag}")).json())

    @action(repeat="safe")
    async def list_releases(self, repository: str, *, page: int = 1, limit: int = 100) -> ReleasePage:
        """A page of releases, the newest first, drafts included; `next_page` of a page leads to the next one."""
        path, query = f"{place(repository)}/releases", {"page": page, "per_page": limit}
        answer = await self.api("GET", path, operation="list releases", query=query)
        return ReleasePage([release(raw) for raw in answer.json()], next_page(answer))

    @action(repeat="verify")
    async def create_release(
        self,
        repository: str,
        tag: str,
        *,
        name: str | None = None,
        body: str | None = None,
        target: str | None = None,
        is_draft: bool = False,
        is_prerelease: bool = False,
    ) -> Release:
        """A new release; the tag is made at `target` (a branch or commit) if it is not there. `body` is Markdown.

        Our key stands in the body as a comment that nobody sees; a repeat looks for it among the latest 100.
        """
        key = action_key("create release")
        if may_be_a_repeat():
            for one in (await self.list_releases(repository)).releases:
                if mark(key) in one.body:
                    return one
        wanted = {
            "tag_name": tag,
            "name": name or tag,
            "body": marked(body, key),
            "draft": is_draft,
            "prerelease": is_prerelease,
            **({"target_commitish": target} if target else {}),
        }
        path = f"{place(repository)}/releases"
        return release((await self.api("POST", path, operation=f"create release {tag}", json=wanted)).json())

    @action(repeat="verify")
    async def dispatch_workflow(
        self, repository: str, workflow: str, *, ref: str, inputs: Mapping[str, str] | None = None
    ) -> Dispatched:
        """Run a workflow, by the name of its file, at a branch or tag.

        Our key is the input `stepwell_key`, which the workflow has to declare and to show in its `run-name`: by that a
        repeat finds the run.
        """
        if KEY_INPUT in (inputs or {}):
            raise InvalidOption(f"the input {KEY_INPUT} is where our key goes; name yours otherwise")
        key = action_key("dispatch workflow")
        path = f"{place(repository)}/actions/workflows/{segment(workflow)}"
        if may_be_a_repeat() and (run := await self._run_with(key, path)) is not None:
            return Dispatched(run.id, run.raw)
        answer = await self.api(
            "POST",
            f"{path}/dispatches",
            operation=f"dispatch {workflow}",
            json={"ref": ref, "inputs": {**(inputs or {}), KEY_INPUT: key}, "return_run_details": True},
        )
        told = answer.json() or {}
        return Dispatched(told.get("workflow_run_id"), told)

    async def _run_with(self, key: str, path: str) -> WorkflowRun | None:
        since = not_before()
        query: dict[str, str | int | None] = {"event": "workflow_dispatch", "per_page": 100}
        query["created"] = None if since is None else f">={since:%Y-%m-%dT%H:%M:%SZ}"
        answer = await self.api("GET", f"{path}/runs", operation="look for our run", query=query)
        runs = map(workflow_run, answer.json()["workflow_runs"])
        return next((run for run in runs if key in run.title), None)

    @action(repeat="safe")
    async def get_workflow_run(self, repository: str, id: int) -> WorkflowRun:
        """The run with that id."""
        path = f"{place(repository)}/actions/runs/{id}"
        return workflow_run((await self.api("GET", path, operation=f"get workflow run {id}")).json())
