"""A fake GitHub."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.github.hooks import Hooks
from stepwell.testing.vendors.github.issues import Issues
from stepwell.testing.vendors.github.records import BEGAN, account
from stepwell.testing.vendors.github.releases import Releases
from stepwell.testing.vendors.github.site import Refusal


class FakeGitHub(Issues, Releases, Hooks):
    """Repositories in memory that answer version 2022-11-28; a connection for it has the served URL as `base_url`.

    What people do there are its methods, such as `open_issue`; webhooks then send what github.com sends. The switch
    `limit` stands for a secondary limit; with `retry_after=""` the hour's requests are used up.
    """

    def routes(self) -> list[BaseRoute]:
        """Every address that it answers."""
        user = Route("/user", self.guarded(self._who))
        installation = Route("/installation/repositories", self.guarded(self._installation))
        return [user, installation, *self.issue_routes(), *self.release_routes(), *self.hook_routes()]

    async def _installation(self, _: Request) -> Response:
        if not self.is_app:
            raise Refusal(403, "You must authenticate with an installation access token")
        found = list(self.repositories.values())
        return JSONResponse({"total_count": len(found), "repositories": found})

    async def _who(self, _: Request) -> Response:
        if self.is_app:
            raise Refusal(403, "Resource not accessible by integration")
        unknown = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio"))
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        times = {"created_at": BEGAN, "updated_at": BEGAN}
        return JSONResponse({**account(self.login), **unknown, **counts, **times, "blog": ""})
