"""The HTTP API of an App, as an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.server.access import Who as Who
    from stepwell.server.application import Application
    from stepwell.server.guards import Actor as Actor

__all__ = ["Actor", "asgi"]


def asgi(app: App, *, public_url: str | None = None, who: Who | None = None) -> Application:
    """The HTTP API of the App: serve it as it is, or mount it in a FastAPI or Starlette application.

    Requests need a token as soon as there is one; until then only those of this machine are served. `public_url` is
    under which URL others reach it. `who`, if given, takes the place of tokens: it is called with the ASGI scope of
    each request, plain or async, and answers with an `Actor`, or None for nobody.
    """
    from stepwell.server.application import Application

    return Application(app, public_url=public_url, who=who)


def __getattr__(name: str) -> Any:
    if name == "Actor":
        from stepwell.server.guards import Actor

        return Actor
    raise AttributeError(f"module 'stepwell.server' has no attribute '{name}'")
