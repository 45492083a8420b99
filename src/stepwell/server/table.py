"""All routes of the API, under `/api/v1`."""

from __future__ import annotations

from stepwell.server import (
    asking,
    changes,
    connections,
    events,
    executions,
    fleet,
    histories,
    hooks,
    schedules,
    streams,
    tokens,
)
from stepwell.server.routes import Route

PREFIX = "/api/v1"

TABLE: tuple[Route, ...] = (
    *executions.ROUTES,
    *streams.ROUTES,
    *changes.ROUTES,
    *histories.ROUTES,
    *events.ROUTES,
    *asking.ROUTES,
    *schedules.ROUTES,
    *fleet.ROUTES,
    *hooks.ROUTES,
    *connections.ROUTES,
    *tokens.ROUTES,
)


def by_path(table: tuple[Route, ...]) -> dict[str, list[Route]]:
    """The routes of each path. Paths without parameters come first: `/executions/count` is no execution."""
    paths = sorted({route.path for route in table}, key=lambda path: (path.count("{"), path))
    return {path: [route for route in table if route.path == path] for path in paths}
