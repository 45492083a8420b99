"""How an answer leaves: the messages of ASGI."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Send


async def begin(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the status and the headers."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_whole(
    send: Send, status: int, headers: Mapping[str, str], body: bytes, *, is_head: bool = False
) -> None:
    """Send all of it. To a HEAD the body is not sent, but told how long it is."""
    await begin(send, status, {**headers, "Content-Length": str(len(body))})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
