"""uvicorn's HTTP protocol with a limit on the time that the head of a request may take (slow loris)."""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0  # from the connection, or the first byte of a later request, to the end of its headers
ARRIVING_SECONDS = 0.2  # between the two a client's first bytes are under way


class HurriedProtocol(HttpToolsProtocol):
    """Closes a connection whose next request does not get through its headers in time."""

    _timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._hurry()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._hurry()

    def on_headers_complete(self) -> None:
        self._relax()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """The server is about to end. A request that is just arriving on a new connection is still answered."""
        request: object = self.cycle  # None before the first one, whatever its annotation says
        if request is None:
            self.loop.call_later(ARRIVING_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        super().connection_lost(exc)

    def _hurry(self) -> None:
        self._relax()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _relax(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
