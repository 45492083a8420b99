"""The body of a request: bounded in size, time and depth, and strict JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NoReturn

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive

from stepwell.core.payload import refuse_deep
from stepwell.errors import InvalidValue
from stepwell.server.problems import Refusal, invalid

BODY_BYTES = 1024 * 1024 + 16 * 1024  # a value of the largest size that is stored as it is, and what is around it
LARGE_BODY_BYTES = 16 * 1024 * 1024  # of a request that starts many executions
BODY_SECONDS = 20.0  # for the whole of a body: a sender of a byte a minute holds memory of ours
MAX_DIGITS = 4_300  # of a number: more of them take Python time that grows with their square (F71)


async def read_body(headers: Headers, receive: Receive, *, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """All of it. Raises Refusal: it is too large (413), too slow (408) or compressed (415)."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "unsupported-media-type", "send the body as it is, not compressed")
    declared = headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _received(receive, limit)
    except TimeoutError:
        raise Refusal(
            408, "timeout", f"the body did not arrive within {seconds:g} s", headers={"Connection": "close"}
        ) from None


async def _received(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(408, "timeout", "the client left before the body was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large(limit: int) -> Refusal:
    # what is still under way is not read: the connection cannot be used for another request
    return Refusal(
        413,
        "too-large",
        f"the body is larger than {limit:,} bytes",
        headers={"Connection": "close"},
        limit_bytes=limit,
    )


def decoded(headers: Headers, body: bytes, kind: type[Any]) -> Any:
    """The body as this type. Raises Refusal: no JSON (415), or what does not fit, with its path (422)."""
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise Refusal(415, "unsupported-media-type", "send JSON, with `Content-Type: application/json`")
    try:
        refuse_deep(body)
        _refuse_lax(body)
        return msgspec.json.decode(body, type=kind)
    except InvalidValue as error:
        raise invalid([(f"body{error.path.removeprefix('$')}", error.reason)]) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise invalid([fault_of("body", error)]) from error


def fault_of(where: str, error: Exception) -> tuple[str, str]:
    """(place, what is wrong) of what msgspec says."""
    message, _, place = str(error).partition(" - at `")
    return where + place.rstrip("`").removeprefix("$"), _in_words(message)


def _in_words(message: str) -> str:
    """A regular expression tells nobody what to write."""
    if "matching regex" not in message:
        return message
    if "ms|s|m" in message:
        return "Expected a duration, such as 30s or 10m"
    return f"Expected text without NUL{' and line breaks' if 'n]' in message else ''}"


def _refuse_lax(body: bytes) -> None:
    """Raise ValueError for what readers of JSON understand differently: a member given twice, NaN, endless numbers.

    Who checks a request and who carries it out must not see two different ones.
    """
    json.loads(body, object_pairs_hook=_once, parse_int=_number, parse_float=_number, parse_constant=_constant)


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r:.100} is given twice in one object")


def _number(digits: str) -> None:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits is too long; use at most {MAX_DIGITS:,}, or text")


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON; use null or text")
