"""What all parts of the fake GitHub share: repositories, numbers, refusals, pages, the hour's allowance, events."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stepwell.testing.vendors.fake import FakeVendor
from stepwell.testing.vendors.github.records import Json, account, repository
from stepwell.testing.vendors.switches import Fail, Limit, Trouble

Endpoint = Callable[[Request], Awaitable[Response]]

DOCUMENTATION = "https://docs.github.com/rest"
HOUR = 3600


class Refusal(Exception):
    """A request is answered with an error in the vendor's shape."""

    def __init__(self, status: int, message: str, errors: Sequence[Json] = ()) -> None:
        self.status, self.message, self.errors = status, message, list(errors)

    def answer(self) -> Response:
        """The error as the API writes it."""
        told: Json = {"message": self.message, "documentation_url": DOCUMENTATION, "status": str(self.status)}
        return JSONResponse(told | ({"errors": self.errors} if self.errors else {}), self.status)


class Site(FakeVendor):
    """Some repositories and one user."""

    name = "github"

    def __init__(
        self,
        *,
        repositories: Sequence[str] = ("octo-org/shop",),
        tokens: Sequence[str] = ("ghp_1",),
        login: str = "octocat",
        first_id: int = 1,
        requests_per_hour: int = 5000,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.login, self.now, self.requests_per_hour = login, now, requests_per_hour
        self.is_app = False  # whether its tokens are those of an app's installation
        self.repositories = {name.lower(): repository(name) for name in repositories}
        self._ids = count(first_id)
        self._numbers = {name: count(1) for name in self.repositories}
        super().__init__(tokens=tokens)

    def next_id(self) -> int:
        """An id that nothing has yet."""
        return next(self._ids)

    def next_number(self, where: str) -> int:
        """The next number of a repository: issues and pull requests share them."""
        return next(self._numbers[where.lower()])

    @abstractmethod
    def happened(self, event: str, where: str, **parts: Any) -> None:
        """Something has happened that webhooks tell of."""

    def told_by_all(self, where: str) -> Json:
        """What every webhook says beside its event."""
        home = self.repositories[where.lower()]
        return {"repository": home, "organization": home["owner"], "sender": account(self.login)}

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with errors in the vendor's shape, and what is left of the hour in every answer."""

        async def answer(request: Request) -> Response:
            try:
                self.where(request)
                response = await endpoint(request)
            except Refusal as refusal:
                response = refusal.answer()
            response.headers.update(self._allowance(self.requests_per_hour - len(self.asked)))
            return response

        return answer

    def where(self, request: Request) -> str:
        """The repository of a request, by its full name. Raises Refusal for one that is not there."""
        parts = request.path_params
        if "owner" not in parts:
            return ""
        known = self.repositories.get(f"{parts['owner']}/{parts['repo']}".lower())
        if known is None:
            raise Refusal(404, "Not Found")
        return str(known["full_name"])

    def refused(self, request: Request) -> Response | None:
        """Bad credentials, and requests that do not say who sends them."""
        if not request.headers.get("user-agent"):
            return Response("Request forbidden by administrative rules.", 403)
        token = request.headers.get("authorization", "").partition(" ")[2]
        return None if token in self.tokens else Refusal(401, "Bad credentials").answer()

    def refusal(self, trouble: Trouble) -> Response:
        """How GitHub says that something went wrong: a limit is a 403, with what is left of the hour or Retry-After."""
        match trouble:
            case Limit(retry_after=""):
                refused = Refusal(403, f"API rate limit exceeded for user ID {account(self.login)['id']}.").answer()
                refused.headers.update(self._allowance(0))
                return refused
            case Limit(retry_after=retry_after):
                refused = Refusal(403, "You have exceeded a secondary rate limit.").answer()
                refused.headers["Retry-After"] = retry_after
                return refused
            case Fail(status=status):
                return Refusal(status, "Server Error").answer()
        return super().refusal(trouble)

    def _allowance(self, left: int) -> dict[str, str]:
        now = int(self.now().timestamp())
        return {
            "X-RateLimit-Limit": str(self.requests_per_hour),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Used": str(min(len(self.asked), self.requests_per_hour)),
            "X-RateLimit-Reset": str(now - now % HOUR + HOUR),
            "X-RateLimit-Resource": "core",
            "X-GitHub-Request-Id": f"{len(self.asked):04X}:1",
        }


def paged(request: Request, values: Sequence[Json]) -> Response:
    """One page of a list, and in the header Link where the others are."""
    query = request.query_params
    page, size = int(query.get("page", 1)), min(int(query.get("per_page", 30)), 100)
    last = max(-(-len(values) // size), 1)
    relations = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    wanted = {"prev": page > 1, "next": page < last, "last": page < last, "first": page > 1}
    links = [
        f'<{request.url.include_query_params(page=number)}>; rel="{relation}"'
        for relation, number in relations.items()
        if wanted[relation]
    ]
    chosen = list(values[(page - 1) * size : page * size])
    return JSONResponse(chosen, headers={"Link": ", ".join(links)} if links else {})
