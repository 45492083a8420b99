"""The fake's builds: queued, and ended when a test says so."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.azure_devops.organization import Organization, Refusal, listed
from stepwell.testing.vendors.azure_devops.records import Json, Project, identity, text_of
from stepwell.testing.vendors.fake import body_of


class Builds(Organization):
    """Builds of definitions, which need not be made first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.builds: dict[int, Json] = {}
        self._build_ids = count(1)

    def build_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        api = "/{organization}/{project}/_apis/build/builds"
        return [
            Route(api, self.guarded(self._list_builds), methods=["GET"]),
            Route(api, self.guarded(self._queue_build), methods=["POST"]),
            Route(f"{api}/{{id:int}}", self.guarded(self._get_build), methods=["GET"]),
        ]

    def queue_build(self, definition: int, *, project: str | None = None, **more: Any) -> Json:
        """A person queues a build."""
        place = self.project(project or next(iter(self.projects.values())).name)
        id, now = next(self._build_ids), text_of(self.now())
        somebody = identity(self.user, self.base)
        self.builds[id] = {
            "id": id,
            "buildNumber": f"{self.now():%Y%m%d}.{id}",
            "status": "notStarted",
            "queueTime": now,
            "url": f"{self.base}/{place.id}/_apis/build/Builds/{id}",
            "definition": {
                "id": definition,
                "name": f"definition-{definition}",
                "type": "build",
                "queueStatus": "enabled",
            },
            "project": place.answer(self.base),
            "uri": f"vstfs:///Build/Build/{id}",
            "sourceBranch": "refs/heads/main",
            "priority": "normal",
            "reason": "manual",
            "requestedFor": somebody,
            "requestedBy": somebody,
            "lastChangedDate": now,
            **more,
        }
        self.ledger.record("build queued", id)
        return self.builds[id]

    def finish_build(self, id: int, *, result: str = "succeeded") -> Json:
        """A build ends."""
        now = text_of(self.now())
        build = self.builds[id]
        build.update(status="completed", result=result, startTime=build["queueTime"], finishTime=now)
        self.happened("build.complete", dict(build), self.project(build["project"]["name"]))
        return build

    async def _get_build(self, request: Request) -> Response:
        project, id = self.project(request.path_params["project"]), request.path_params["id"]
        build = self.builds.get(id)
        if build is None or build["project"]["id"] != project.id:
            raise Refusal(404, f"The requested build {id} could not be found.", "BuildNotFoundException")
        return JSONResponse(build)

    async def _queue_build(self, request: Request) -> Response:
        asked = await body_of(request)
        definition = (asked.get("definition") or {}).get("id")
        if not isinstance(definition, int):
            raise Refusal(400, "Value cannot be null. Parameter name: definition", "ArgumentNullException")
        if not isinstance(asked.get("parameters", "{}"), str):
            raise Refusal(400, "parameters is a JSON text", "VssPropertyValidationException")
        more = {name: asked[name] for name in ("parameters", "sourceBranch", "sourceVersion") if name in asked}
        return JSONResponse(self.queue_build(definition, project=request.path_params["project"], **more))

    async def _list_builds(self, request: Request) -> Response:
        query = request.query_params
        found = [build for build in self._newest(self.project(request.path_params["project"])) if _fits(build, query)]
        if query.get("queryOrder") == "finishTimeAscending":
            found.sort(key=lambda build: (str(build.get("finishTime") or ""), build["id"]))
        start, top = int(query.get("continuationToken", 0)), int(query.get("$top", 1000))
        more = {"x-ms-continuationtoken": str(start + top)} if start + top < len(found) else {}
        return JSONResponse(listed(found[start : start + top]), headers=more)

    def _newest(self, project: Project) -> list[Json]:
        return [build for build in reversed(self.builds.values()) if build["project"]["id"] == project.id]


def _fits(build: Json, query: Any) -> bool:
    definitions = [int(id) for id in query.get("definitions", "").split(",") if id]
    wanted = {"sourceBranch": "branchName", "status": "statusFilter", "result": "resultFilter"}
    since = query.get("minTime")
    if since and datetime.fromisoformat(build.get("finishTime") or build["queueTime"]) < datetime.fromisoformat(since):
        return False
    return (not definitions or build["definition"]["id"] in definitions) and all(
        query.get(parameter) in (None, build.get(name)) for name, parameter in wanted.items()
    )
