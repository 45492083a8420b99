"""The fake's releases, pushes, and runs of workflows."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.fake import body_of
from stepwell.testing.vendors.github.issues import REPOSITORY
from stepwell.testing.vendors.github.records import Json, release, run, stamp
from stepwell.testing.vendors.github.site import Refusal, Site, paged


class Releases(Site):
    """Releases, and workflows with the inputs that they declare: `workflows["deploy.yml"] = {"stepwell_key"}`.

    Every workflow shows its inputs in the title of its runs, as with `run-name`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.releases: dict[str, list[Json]] = {}
        self.runs: dict[int, tuple[str, Json]] = {}
        self.workflows: dict[str, set[str]] = {"deploy.yml": {"stepwell_key", "environment"}}

    def release_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        workflow = f"{REPOSITORY}/actions/workflows/{{workflow}}"
        return [
            Route(f"{REPOSITORY}/releases", self.guarded(self._list_releases), methods=["GET"]),
            Route(f"{REPOSITORY}/releases", self.guarded(self._create_release), methods=["POST"]),
            Route(f"{REPOSITORY}/releases/tags/{{tag:path}}", self.guarded(self._release_of_tag)),
            Route(f"{workflow}/dispatches", self.guarded(self._dispatch), methods=["POST"]),
            Route(f"{workflow}/runs", self.guarded(self._list_runs)),
            Route(f"{REPOSITORY}/actions/runs/{{id:int}}", self.guarded(self._get_run)),
        ]

    def push(self, where: str, *, branch: str = "main") -> Json:
        """A person pushes a commit."""
        sha = secrets.token_hex(20)
        commit = {"id": sha, "message": "A meaningful commit message", "timestamp": stamp(self.now())}
        pushed = {"ref": f"refs/heads/{branch}", "before": "0" * 40, "after": sha, "commits": [commit]}
        flags = {"created": False, "deleted": False, "forced": False, "base_ref": None, "head_commit": commit}
        self.happened("push", where, **pushed, **flags)
        return pushed

    def publish_release(self, where: str, tag: str, **asked: Any) -> Json:
        """A person makes a release, which is published unless it is a draft."""
        made = release(where, self.next_id(), self.login, self.now(), {"tag_name": tag, **asked})
        self.releases.setdefault(where, []).append(made)
        self.ledger.record("release created", tag)
        self.happened("release.created" if made["draft"] else "release.published", where, release=made)
        return made

    def finish_run(self, id: int, *, conclusion: str = "success") -> Json:
        """A run of a workflow ends."""
        where, made = self.runs[id]
        made.update(status="completed", conclusion=conclusion, updated_at=stamp(self.now()))
        self.happened("workflow_run.completed", where, workflow_run=made)
        return made

    async def _list_releases(self, request: Request) -> Response:
        return paged(request, self.releases.get(self.where(request), [])[::-1])

    async def _release_of_tag(self, request: Request) -> Response:
        for one in self.releases.get(self.where(request), []):
            if one["tag_name"] == request.path_params["tag"] and not one["draft"]:
                return JSONResponse(one)
        raise Refusal(404, "Not Found")

    async def _create_release(self, request: Request) -> Response:
        asked, where = await body_of(request), self.where(request)
        tag = asked.pop("tag_name")
        if any(one["tag_name"] == tag and not one["draft"] for one in self.releases.get(where, [])):
            wrong = {"resource": "Release", "code": "already_exists", "field": "tag_name"}
            raise Refusal(422, "Validation Failed", [wrong])
        return JSONResponse(self.publish_release(where, tag, **asked), 201)

    async def _dispatch(self, request: Request) -> Response:
        asked, where = await body_of(request), self.where(request)
        workflow = request.path_params["workflow"]
        if workflow not in self.workflows:
            raise Refusal(404, "Not Found")
        inputs = asked.get("inputs") or {}
        if unknown := sorted(set(inputs) - self.workflows[workflow]):
            raise Refusal(422, f"Unexpected inputs provided: {unknown}")
        id, title = self.next_id(), f"{workflow} {' '.join(map(str, inputs.values()))}".strip()
        made = run(where, id, self.login, self.now(), workflow=workflow, ref=asked["ref"], title=title)
        self.runs[id] = where, made
        self.ledger.record("workflow dispatched", id)
        if not asked.get("return_run_details"):
            return Response(status_code=204)
        return JSONResponse({"workflow_run_id": id, "run_url": made["url"], "html_url": made["html_url"]})

    async def _list_runs(self, request: Request) -> Response:
        workflow, where = request.path_params["workflow"], self.where(request)
        since = request.query_params.get("created", ">=").removeprefix(">=")
        found = [
            made
            for place, made in reversed(self.runs.values())
            if place == where and made["name"] == workflow and made["created_at"] >= since
        ]
        return JSONResponse({"total_count": len(found), "workflow_runs": found[:100]})

    async def _get_run(self, request: Request) -> Response:
        where, made = self.runs.get(request.path_params["id"], ("", {}))
        if where != self.where(request):
            raise Refusal(404, "Not Found")
        return JSONResponse(made)
