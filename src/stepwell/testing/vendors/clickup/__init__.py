"""A fake Workspace of ClickUp."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.clickup.comments import Comments
from stepwell.testing.vendors.clickup.hooks import Hooks
from stepwell.testing.vendors.clickup.workspace import NOT_THERE, TOKEN_PATH

PREFERENCES = {
    "profilePicture": None,
    "week_start_day": 1,
    "global_font_support": False,
    "timezone": "Europe/Brussels",
}


class FakeClickUp(Comments, Hooks):
    """A Workspace in memory that answers version 2 at `/api/v2/...`; `lists` and `fields` are names by id.

    A connection for it has the setting `base_url`, the served URL with `/api/v2`, and a token of `tokens`. What people
    do there are its methods, such as `create_task`; webhooks then send what ClickUp sends.
    """

    def routes(self) -> list[BaseRoute]:
        """Every address that it answers."""
        api = "/api/v2"
        return [
            Route(TOKEN_PATH, self.guarded(self._token), methods=["POST"]),
            Route(f"{api}/user", self.guarded(self._user)),
            Route(f"{api}/team", self.guarded(self._teams)),
            Route(f"{api}/team/{{team}}/space", self.guarded(self._spaces)),
            Route(f"{api}/space/{{space}}/folder", self.guarded(self._folders)),
            Route(f"{api}/space/{{space}}/list", self.guarded(self._folderless)),
            Route(f"{api}/folder/{{folder}}/list", self.guarded(self._lists)),
            Route(f"{api}/list/{{list}}", self.guarded(self._list)),
            Route(f"{api}/list/{{list}}/field", self.guarded(self._fields)),
            *self.task_routes(),
            *self.comment_routes(),
            *self.hook_routes(),
        ]

    async def _user(self, _: Request) -> Response:
        return JSONResponse({"user": {**self.user, **PREFERENCES}})

    async def _teams(self, _: Request) -> Response:
        team = {
            "id": self.team,
            "name": "Example",
            "color": "#000000",
            "avatar": None,
            "members": [{"user": self.user}],
        }
        return JSONResponse({"teams": [team]})

    async def _spaces(self, request: Request) -> Response:
        if request.path_params["team"] != self.team:
            raise NOT_THERE
        return JSONResponse({"spaces": [] if _archived(request) else [self.space.shown()]})

    async def _folders(self, request: Request) -> Response:
        is_there = request.path_params["space"] == self.space.id and not _archived(request)
        return JSONResponse({"folders": [self.folder.shown()] if is_there else []})

    async def _folderless(self, _: Request) -> Response:
        return JSONResponse({"lists": []})

    async def _lists(self, request: Request) -> Response:
        is_there = request.path_params["folder"] == self.folder.id and not _archived(request)
        return JSONResponse({"lists": [one.shown() for one in self.lists.values()] if is_there else []})

    async def _list(self, request: Request) -> Response:
        return JSONResponse(self.list_of(request.path_params["list"]).shown())

    async def _fields(self, request: Request) -> Response:
        self.list_of(request.path_params["list"])
        return JSONResponse({"fields": [one.shown() for one in self.fields]})


def _archived(request: Request) -> bool:
    return request.query_params.get("archived") == "true"
