"""One path of the API: from a request to its answer, by the table of routes."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from stepwell.server import problems, sse
from stepwell.server.answers import begin, send_whole
from stepwell.server.bodies import decoded, read_body
from stepwell.server.guards import refuse_beyond
from stepwell.server.presence import Presence
from stepwell.server.problems import Refusal
from stepwell.server.queries import path_part, query_of
from stepwell.server.routes import Answer, Call, Route
from stepwell.server.sse import Stream
from stepwell.server.surroundings import Surroundings

log = logging.getLogger("stepwell.http")

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

MAX_STREAMS = 200  # of a process: each looks into the database every two seconds at least

ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}  # answers hold what users have stored


class Endpoint:
    """An ASGI application for the routes of one path."""

    def __init__(self, routes: Sequence[Route], around: Surroundings) -> None:
        self._routes = {route.method: route for route in routes}
        self._around = around
        self._allow = {"Allow": ", ".join(sorted({*self._routes, *(["HEAD"] if "GET" in self._routes else [])}))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        try:
            answer = await self._answer(scope, headers, receive)
        except Exception as error:  # noqa: BLE001 - the HTTP edge: whatever it is, the client gets an answer
            await send_problem(error, scope, send, request_id=request_id)
            return
        always = {**ALWAYS, "X-Request-Id": request_id, **answer.headers}
        if isinstance(answer.value, Stream):
            await self._stream(answer.value, scope, send, always)
        else:
            await _send(send, answer.status or 200, always, answer.value)

    async def _stream(self, stream: Stream, scope: Scope, send: Send, headers: Mapping[str, str]) -> None:
        if scope["method"] == "HEAD":
            await _send(send, 200, {**headers, **sse.HEADERS}, b"")
            return
        self._around.streams.add(stream)
        try:
            await stream.send(send, headers)
        except Exception:
            log.exception("request %s failed: its stream was cut: %s", headers["X-Request-Id"], scope["path"])
        finally:
            self._around.streams.discard(stream)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> Answer[Any]:
        route = self._routes.get("GET" if scope["method"] == "HEAD" else scope["method"])
        actor = await self._around.access.actor(scope, headers)
        if route is None:
            raise Refusal(405, "method-not-allowed", f"use {self._allow['Allow']}", headers=self._allow)
        refuse_beyond(actor, route.scope)
        if route.media_type == sse.MEDIA_TYPE and len(self._around.streams) >= MAX_STREAMS:
            raise Refusal(503, "busy", "too many streams are open", headers={"Retry-After": "30"})
        arguments = _arguments(route, scope)
        if route.body is not None:
            body = await read_body(headers, receive, limit=route.max_body)
            if body or route.needs_body:
                arguments["body"] = decoded(headers, body, route.body)
        presence = Presence(receive, self._around.stopping)
        call = Call(self._around.app, actor.name, scope.get("root_path", ""), headers, presence, self._around.callback)
        given = await route.function(call, **arguments)
        answer = given if isinstance(given, Answer) else Answer(given)
        if not isinstance(answer.value, Stream):
            answer.value = msgspec.json.encode(answer.value)
        answer.status = answer.status or route.statuses[0]
        return answer


def _arguments(route: Route, scope: Scope) -> dict[str, Any]:
    parts = scope["path_params"]
    arguments = {name: path_part(name, parts[name], kind) for name, kind in route.parts.items()}
    if route.query is not None:
        arguments["query"] = query_of(scope["query_string"], route.query)
    elif scope["query_string"]:
        raise problems.invalid([("query", "is not understood here")])
    return arguments


def _request_id(headers: Headers) -> str:
    """That of the client, so that its log and ours meet, or a new one."""
    given = headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else str(uuid4())


async def send_problem(error: Exception, scope: Scope, send: Send, *, request_id: str) -> None:
    """Answer with a problem document; what is our own failure is in the log, under the id that the client gets."""
    kind = problems.kind_of(error)
    if kind.status >= 500:
        is_known = kind is not problems.FAILURE
        told = f"{type(error).__name__}: {error}" if is_known else type(error).__name__
        log.error(
            "request %s failed: %s %s: %s", request_id, scope["method"], scope["path"], told, exc_info=not is_known
        )
    problem = problems.problem_of(error, request_id=request_id)
    headers = {**ALWAYS, **kind.headers, "X-Request-Id": request_id, "Content-Type": problems.CONTENT_TYPE}
    await _send(send, kind.status, headers, msgspec.json.encode(problem))


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    if status == 204:  # which has no body, and says nothing about one
        await begin(send, status, headers)
        await send({"type": "http.response.body", "body": b""})
    else:
        await send_whole(send, status, {"Content-Type": "application/json", **headers}, body)
