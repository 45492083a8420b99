"""URLs that answer waits. They need no token: whoever has the URL may answer. Looking at one changes nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from stepwell.app.application import App
from stepwell.core.callbacks import PATH, Callback
from stepwell.errors import (
    CallbackAnswered,
    CallbackClosed,
    InvalidAnswer,
    InvalidOption,
    InvalidValue,
    UnknownCallback,
)
from stepwell.schemas import faults_of
from stepwell.server import pages, problems
from stepwell.server.answers import send_whole
from stepwell.server.bodies import BODY_BYTES, decoded, read_body
from stepwell.server.entries import read_form
from stepwell.server.forms import fields_of
from stepwell.server.problems import Refusal, invalid

log = logging.getLogger("stepwell.http")

MAX_FIELDS = 1_000  # of a form
FORM = "application/x-www-form-urlencoded"
HTML, JSON = "text/html; charset=utf-8", "application/json"

_TITLES: Mapping[type[Exception], str] = {
    UnknownCallback: "Nothing to answer here",
    CallbackClosed: "Too late",
    CallbackAnswered: "Already answered",
}


class Asked(msgspec.Struct):
    """What a URL asks, for programs."""

    name: str
    prompt: str | None
    schema: msgspec.Raw
    expires_at: datetime


class Answered(msgspec.Struct):
    """What became of an answer."""

    name: str
    answered_by: str | None
    answered_at: datetime


class Reply:
    """A status with a page, or with JSON."""

    def __init__(self, status: int, body: str | msgspec.Struct, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, headers or {}
        self.media_type = HTML if isinstance(body, str) else JSON
        self.body = body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def callback_routes(app: App) -> Sequence[BaseRoute]:
    """The routes of an App."""
    return [Route(PATH + "{token}", _Endpoint(app))]


class _Endpoint:
    """An ASGI application. The path, which is the right to answer, is in no log."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            reply = await self._reply(scope, headers, receive)
        except Exception as error:  # noqa: BLE001 - the HTTP edge: whatever it is, the client gets an answer
            reply = _refused(error, is_page=_wants_page(scope, headers))
        await _send(scope, send, reply)

    async def _reply(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        token = scope["path_params"]["token"]
        match scope["method"]:
            case "GET" | "HEAD":
                return await self._show(token, is_page=_wants_page(scope, headers))
            case "POST" if _content_type(headers) == FORM:
                return await self._take_form(token, await read_body(headers, receive, limit=BODY_BYTES))
            case "POST":
                body = await read_body(headers, receive, limit=BODY_BYTES)
                return await self._take_json(token, headers, body, QueryParams(scope["query_string"]).get("by"))
        raise Refusal(405, "method-not-allowed", "use GET or POST", headers={"Allow": "GET, HEAD, POST"})

    async def _show(self, token: str, *, is_page: bool) -> Reply:
        callback = await self._app.callback(token)
        if is_page:
            return Reply(200, pages.form_page(callback, fields_of(msgspec.json.decode(callback.schema))))
        return Reply(200, Asked(callback.name, callback.prompt, msgspec.Raw(callback.schema), callback.expires_at))

    async def _take_json(self, token: str, headers: Headers, body: bytes, by: str | None) -> Reply:
        decoded(headers, body, Any)
        return Reply(200, _answered(await self._app.answer_callback_json(token, body, by=by or None)))

    async def _take_form(self, token: str, body: bytes) -> Reply:
        callback = await self._app.callback(token)
        schema, form = msgspec.json.decode(callback.schema), _form_of(body)
        fields, by = fields_of(schema), form.get("by", "").strip()[: pages.MAX_NAME]
        value, faults = read_form(fields, form, by=by)
        faults += [] if by else [("by", "must be given")]
        if faults:  # then all at once
            told = {path for path, _ in faults}
            faults += [fault for fault in faults_of(value, schema) if fault[0] not in told]
        else:
            try:
                answered = await self._app.answer_callback_json(token, json.dumps(value).encode(), by=by)
                return Reply(200, pages.thanks_page(answered))
            except InvalidAnswer as error:
                faults = list(error.faults)
            except InvalidValue as error:
                faults = [(error.path, error.reason)]
            except InvalidOption as error:
                faults = [("by", str(error))]
        return Reply(422, pages.form_page(callback, fields, entered=form, faults=faults))


def _form_of(body: bytes) -> dict[str, str]:
    """Raises Refusal."""
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise invalid([("body", "is no form in UTF-8")]) from error
    return {name: value.replace("\0", "") for name, value in pairs}


def _answered(callback: Callback) -> Answered:
    assert callback.answered_at is not None, "it has just been answered"
    return Answered(callback.name, callback.answered_by, callback.answered_at)


def _content_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _wants_page(scope: Scope, headers: Headers) -> bool:
    """Whether a browser asks; a program says that it takes JSON, or sends it."""
    if scope["method"] == "POST":
        return _content_type(headers) == FORM
    accepted = headers.get("accept", "")
    return "text/html" in accepted or "json" not in accepted


def _refused(error: Exception, *, is_page: bool) -> Reply:
    """What a client is told; of a failure of ours it gets the id under which the log has it, and nothing else."""
    kind, request_id = problems.kind_of(error), str(uuid4())
    if kind.status >= 500:
        is_known = kind is not problems.FAILURE
        log.error("request %s failed: a callback: %s", request_id, type(error).__name__, exc_info=not is_known)
    if not is_page:
        reply = Reply(kind.status, problems.problem_of(error, request_id=request_id), kind.headers)
        reply.media_type = problems.CONTENT_TYPE
        return reply
    title = _TITLES.get(type(error), HTTPStatus(kind.status).phrase)
    told = str(error) if kind.status < 500 else f"Please try again in a while. The log has it as {request_id}."
    return Reply(kind.status, pages.closed_page(title, told), kind.headers)


async def _send(scope: Scope, send: Send, reply: Reply) -> None:
    headers = {**pages.HEADERS, **reply.headers, "Content-Type": reply.media_type, "Vary": "Accept"}
    await send_whole(send, reply.status, headers, reply.body, is_head=scope["method"] == "HEAD")
