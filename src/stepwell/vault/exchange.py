"""Requests to token endpoints: one sent, one answer, nothing repeated by itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stepwell.egress import EgressRefused
from stepwell.vault.oauth import TokenAnswer, TokenRequest, Trouble, read_answer

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger("stepwell.vault")

ANSWER_SECONDS = 20.0  # longer than any vendor takes; other processes wait for the row meanwhile
MAX_ANSWER_BYTES = 256 * 1024


class Exchange:
    """Sends token requests, by a transport: a client of the library would log addresses, and some hold secrets."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(self, request: TokenRequest) -> TokenAnswer:
        """The vendor's answer. What goes wrong on the way is Trouble, whose reason shows nothing of the request."""
        import httpx2

        asked = httpx2.Request(
            "POST",
            request.url,
            params=request.query or None,
            data=dict(request.form),
            headers=request.headers,
            extensions={"timeout": httpx2.Timeout(ANSWER_SECONDS).as_dict()},
        )
        try:
            answer = await self._transport.handle_async_request(asked)
            try:
                body = await _read(answer)
            finally:
                await answer.aclose()
        except httpx2.HTTPError as error:
            log.info("a token endpoint does not answer: %s", type(error).__name__)
            return Trouble(f"the vendor does not answer ({type(error).__name__})")
        except EgressRefused as error:
            return Trouble(str(error))
        if body is None:
            return Trouble(f"the vendor's answer is larger than {MAX_ANSWER_BYTES:,} bytes")
        return read_answer(answer.status_code, body)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


async def _read(answer: httpx2.Response) -> bytes | None:
    """The body; None: it is too large."""
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            return None
    return bytes(body)
