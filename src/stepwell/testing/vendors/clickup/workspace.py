"""What all parts of the fake Workspace share: places, people, refusals, the minute's allowance."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stepwell.testing.vendors.clickup.records import FakeField, FakePlace, FakeTask, Json, stamp
from stepwell.testing.vendors.fake import FakeVendor
from stepwell.testing.vendors.switches import Fail, Limit, Trouble

Endpoint = Callable[[Request], Awaitable[Response]]

TOKEN_PATH = "/api/v2/oauth/token"  # noqa: S105 - no secret
SPACE, FOLDER = "790", "456"


class Refusal(Exception):
    """A request is answered with an error in the vendor's shape."""

    def __init__(self, status: int, message: str, code: str) -> None:
        self.status, self.message, self.code = status, message, code

    def answer(self) -> Response:
        """The error as the API writes it."""
        return JSONResponse({"err": self.message, "ECODE": self.code}, self.status)


NOT_THERE = Refusal(401, "Team not authorized", "OAUTH_027")  # also for what does not exist


class Workspace(FakeVendor):
    """One Workspace with a space, a folder, some lists and one user."""

    name = "clickup"

    def __init__(
        self,
        *,
        team: str = "9001",
        lists: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        tokens: Sequence[str] = ("pk_1",),
        user: str = "Ada Example",
        client_id: str = "client-1",
        client_secret: str = "secret-1",  # noqa: S107 - of a fake
        first_id: int = 1,
        requests_per_minute: int = 100,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.team, self.now, self.requests_per_minute = team, now, requests_per_minute
        self.user: Json = {
            "id": 183,
            "username": user,
            "email": "ada@example.com",
            "color": "#7b68ee",
            "initials": "AE",
        }
        self.space = FakePlace(SPACE, "Shop")
        self.folder = FakePlace(FOLDER, "Sprints", space=SPACE)
        self.lists = {
            id: FakePlace(id, name, space=SPACE, folder=FOLDER) for id, name in (lists or {"901": "Inbox"}).items()
        }
        self.fields = [FakeField(id, name) for id, name in (fields or {}).items()]
        self.tasks: dict[str, FakeTask] = {}
        self.deleted: set[str] = set()
        self.client, self._codes = (client_id, client_secret), set[str]()
        self._ids = count(first_id)
        self._minute, self._asked_in_minute = 0, 0
        super().__init__(tokens=tokens)

    def next_id(self) -> int:
        """A number that nothing has yet."""
        return next(self._ids)

    def time(self) -> str:
        """Now, as the API writes it."""
        return stamp(self.now())

    def list_of(self, id: str) -> FakePlace:
        """The list with that id. Raises Refusal."""
        if id not in self.lists:
            raise NOT_THERE
        return self.lists[id]

    def task_of(self, id: str) -> FakeTask:
        """The task with that id. Raises Refusal."""
        if id in self.deleted:
            raise Refusal(404, "Task not found, deleted", "ITEM_013")
        if id not in self.tasks:
            raise NOT_THERE
        return self.tasks[id]

    def shown(self, task: FakeTask) -> Json:
        """The task as the API answers it."""
        return task.shown(self.user, self.fields, self.lists[task.list_id], self.team)

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with errors in the vendor's shape, and what is left of the minute."""

        async def answer(request: Request) -> Response:
            try:
                response = await endpoint(request)
            except Refusal as refusal:
                response = refusal.answer()
            response.headers.update(self._allowance(self.requests_per_minute - self._asked_in_minute))
            return response

        return answer

    def allow(self) -> str:
        """Somebody lets the app in: the code that the browser brings back, which works once."""
        code = secrets.token_hex(8).upper()
        self._codes.add(code)
        return code

    async def _token(self, request: Request) -> Response:
        """A token for a code: all three come in the query, and the token does not end."""
        given = request.query_params
        if (given.get("client_id"), given.get("client_secret")) != self.client:
            raise Refusal(401, "Client not found", "OAUTH_010")
        if given.get("code") not in self._codes:
            raise Refusal(400, "Code already used", "OAUTH_014")
        self._codes.remove(given["code"])
        token = f"{self.user['id']}_{secrets.token_hex(16)}"
        self.tokens.add(token)
        return JSONResponse({"access_token": token, "token_type": "Bearer"})

    def refused(self, request: Request) -> Response | None:
        """401 in the vendor's shape for bad credentials, 429 when the minute's requests are used up."""
        if request.url.path == TOKEN_PATH:
            return None
        given = request.headers.get("authorization", "")
        if given.removeprefix("Bearer ") not in self.tokens or given.startswith("Bearer pk_"):
            return Refusal(401, "Token invalid", "OAUTH_025").answer()
        minute = int(self.now().timestamp()) // 60
        if minute != self._minute:
            self._minute, self._asked_in_minute = minute, 0
        if self._asked_in_minute >= self.requests_per_minute:
            return self._limited(60 - int(self.now().timestamp()) % 60)
        self._asked_in_minute += 1
        return None

    def refusal(self, trouble: Trouble) -> Response:
        """How ClickUp says that something went wrong."""
        match trouble:
            case Limit(retry_after=retry_after):
                return self._limited(round(float(retry_after)))
            case Fail(status=status):
                return Refusal(status, "Internal server error", "APP_001").answer()
        return super().refusal(trouble)

    def limits(self, retry_after: str) -> dict[str, str]:
        """The headers of an answer to the last request of a minute."""
        return self._headers(0, round(float(retry_after)))

    def _limited(self, seconds: int) -> Response:
        answer = Refusal(429, "Rate limit reached", "APP_002").answer()
        answer.headers.update(self._headers(0, seconds))
        return answer

    def _allowance(self, left: int) -> dict[str, str]:
        return self._headers(left, 60 - int(self.now().timestamp()) % 60)

    def _headers(self, left: int, seconds: int) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.requests_per_minute),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(int(self.now().timestamp()) + seconds),
        }

    @abstractmethod
    def happened(self, event: str, *, task: FakeTask | None = None, items: Sequence[Json] = (), **ids: Any) -> None:
        """Something has happened that webhooks tell of; `ids` name the object if it is no task."""
