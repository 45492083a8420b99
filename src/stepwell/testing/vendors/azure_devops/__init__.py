"""A fake organization of Azure DevOps."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.azure_devops.builds import Builds
from stepwell.testing.vendors.azure_devops.hooks import Hooks
from stepwell.testing.vendors.azure_devops.records import identity
from stepwell.testing.vendors.azure_devops.repositories import Repositories
from stepwell.testing.vendors.azure_devops.work_items import WorkItems


class FakeAzureDevOps(WorkItems, Builds, Repositories, Hooks):
    """An organization in memory that answers version 7.1 at `/{organization}/...`.

    A connection for it has the settings `organization` and `base_url`, the served URL with `/fabrikam`. What people do
    there are its methods, such as `create_work_item`; subscriptions then send what dev.azure.com sends.
    """

    def routes(self) -> list[BaseRoute]:
        """Every address that it answers."""
        return [
            Route("/{organization}/_apis/connectionData", self.guarded(self._connection_data)),
            Route("/{organization}/_apis/projects/{project}", self.guarded(self._project)),
            *self.work_item_routes(),
            *self.build_routes(),
            *self.repository_routes(),
            *self.hook_routes(),
        ]

    async def _connection_data(self, _: Request) -> Response:
        somebody = identity(self.user, self.base)
        user = {"id": somebody["id"], "descriptor": somebody["descriptor"], "providerDisplayName": self.user}
        return JSONResponse({"authenticatedUser": user, "authorizedUser": user, "deploymentType": "hosted"})

    async def _project(self, request: Request) -> Response:
        return JSONResponse(self.project(request.path_params["project"]).answer(self.base))
