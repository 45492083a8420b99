"""An application is served on a real socket without delay, and ends at once."""

from __future__ import annotations

import asyncio
import socket

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stepwell.testing import serving
from stepwell.testing.serving import listening, served


class Slow:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()
        self.app = Starlette(routes=[Route("/", self.answer)])

    async def answer(self, _: Request) -> PlainTextResponse:
        self.asked.set()
        await self.let_go.wait()
        return PlainTextResponse("done")


def test_connections_send_small_pieces_at_once() -> None:
    with listening() as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_request_under_way_is_answered_although_the_block_has_ended() -> None:
    slow = Slow()

    async with httpx2.AsyncClient() as client:
        async with served(slow.app) as url:
            asking = asyncio.create_task(client.get(url))
            await slow.asked.wait()
            asyncio.get_running_loop().call_soon(slow.let_go.set)

        assert (await asking).text == "done"


async def test_request_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 0.01)
    slow = Slow()

    async with httpx2.AsyncClient() as client:
        async with served(slow.app) as url:
            asking = asyncio.create_task(client.get(url))
            await slow.asked.wait()

        assert (await asking).status_code == 500
