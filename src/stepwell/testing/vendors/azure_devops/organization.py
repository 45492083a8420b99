"""What all parts of the fake organization share: projects, numbers, refusals, and the events that happen."""

from __future__ import annotations

import base64
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from stepwell.testing.vendors.azure_devops.records import Item, Json, Project
from stepwell.testing.vendors.fake import FakeVendor
from stepwell.testing.vendors.switches import Fail, Limit, SignInPage, Trouble

Endpoint = Callable[[Request], Awaitable[Response]]

SIGN_IN = "<!DOCTYPE html><html><head><title>Azure DevOps Services | Sign In</title></head><body>Sign in</body></html>"


class Refusal(Exception):
    """A request is answered with an error in the vendor's shape."""

    def __init__(self, status: int, message: str, kind: str = "VssServiceException") -> None:
        self.status, self.message, self.kind = status, message, kind


class Organization(FakeVendor):
    """One organization, its projects and its one user."""

    name = "azure-devops"

    def __init__(
        self,
        *,
        organization: str = "fabrikam",
        projects: Sequence[str] = ("Shop",),
        tokens: Sequence[str] = ("pat-1",),
        user: str = "Jamal Hartnett",
        first_id: int = 1,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.organization, self.user, self.now = organization, user, now
        self.base = f"https://dev.azure.com/{organization}"
        self.projects = {name.lower(): Project(name) for name in projects}
        self.items: dict[int, Item] = {}
        self.log: list[tuple[int, int]] = []  # every revision of every work item
        self._ids = count(first_id)
        super().__init__(tokens=tokens)

    def next_id(self) -> int:
        """A number that nothing has yet."""
        return next(self._ids)

    def project(self, name_or_id: str) -> Project:
        """The project of that name or id. Raises Refusal."""
        for project in self.projects.values():
            if name_or_id.lower() in (project.name.lower(), project.id):
                return project
        raise Refusal(404, f"TF200016: The following project does not exist: {name_or_id}.", "ProjectDoesNotExist")

    @abstractmethod
    def happened(self, event_type: str, resource: Json, project: Project) -> None:
        """Something has happened that service hooks tell of."""

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with errors in the vendor's shape."""

        async def answer(request: Request) -> Response:
            try:
                if request.path_params["organization"].lower() != self.organization.lower():
                    raise Refusal(404, "TF400813: The organization does not exist.", "HostDoesNotExist")
                return await endpoint(request)
            except Refusal as refusal:
                return JSONResponse(_error(refusal.message, refusal.kind), refusal.status)

        return answer

    def refused(self, request: Request) -> Response | None:
        """Bad credentials: 401 for PATCH and DELETE, else a sign-in page that looks like success."""
        if _credential(request.headers.get("authorization", "")) in self.tokens:
            return None
        if request.method in ("GET", "POST"):
            return HTMLResponse(SIGN_IN, 203)
        return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="https://dev.azure.com/"'})

    def refusal(self, trouble: Trouble) -> Response:
        """How Azure DevOps says that something went wrong."""
        match trouble:
            case SignInPage():
                return HTMLResponse(SIGN_IN, 203)
            case Limit(retry_after=retry_after):
                told = _error("TF400733: The request has been canceled: Request was blocked.", "RequestBlocked")
                return JSONResponse(told, 429, self.limits(retry_after))
            case Fail(status=status):
                return JSONResponse(_error("TF400898: An Internal Error Occurred.", "InternalError"), status)
        return super().refusal(trouble)

    def limits(self, retry_after: str) -> dict[str, str]:
        """The headers of a request that was slowed down or blocked."""
        return {
            "Retry-After": retry_after,
            "X-RateLimit-Resource": "perfconsumption/core",
            "X-RateLimit-Delay": "1.5",
            "X-RateLimit-Limit": "200",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int(self.now().timestamp()) + 300),
        }


def listed(values: Sequence[Any]) -> Json:
    """A list as the API answers it."""
    return {"count": len(values), "value": list(values)}


def _credential(header: str) -> str:
    """The token of a header: of Basic it is the password."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return text
    try:
        return base64.b64decode(text).decode().partition(":")[2]
    except ValueError:
        return ""


def _error(message: str, kind: str) -> Json:
    return {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"Microsoft.TeamFoundation.{kind}, Microsoft.TeamFoundation",
        "typeKey": kind,
        "errorCode": 0,
        "eventId": 3000,
    }
