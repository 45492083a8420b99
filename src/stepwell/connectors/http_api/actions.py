"""Requests to any HTTP API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from stepwell.connectors.base import action, action_key
from stepwell.connectors.http import HttpConnector, same_origin
from stepwell.connectors.http_api.types import (
    KEPT_HEADERS,
    HttpAnswer,
    HttpPage,
    LinkHeader,
    Pagination,
    items_of,
)
from stepwell.connectors.outcome import Answer
from stepwell.errors import InvalidValue

Query = Mapping[str, str | int]
MAX_PAGES = 1_000  # a vendor whose last page names a next one must not keep a step for ever


class HttpActions(HttpConnector):
    """GET, POST, PUT, PATCH and DELETE, and lists that come in pages."""

    @action(repeat="safe")
    async def get(self, path: str, query: Query | None = None) -> HttpAnswer:
        """What GET answers. `path` is below the connection's base URL."""
        return _answered(await self.request("GET", path, operation=f"GET {path}", query=query))

    @action(repeat="keyed")
    async def post(self, path: str, json: Any = None, query: Query | None = None) -> HttpAnswer:
        """What POST answers, sent with an `Idempotency-Key` that is the same however often the step is tried.

        It is done once where the API knows that header (draft-ietf-httpapi-idempotency-key-header); where it does not,
        write a step that looks first whether it was done.
        """
        headers = {"Idempotency-Key": action_key(f"POST {path}")}
        return _answered(
            await self.request("POST", path, operation=f"POST {path}", query=query, json=json, headers=headers)
        )

    @action(repeat="safe")
    async def put(self, path: str, json: Any, query: Query | None = None) -> HttpAnswer:
        """What PUT answers: idempotent by RFC 9110, section 9.2.2."""
        return _answered(await self.request("PUT", path, operation=f"PUT {path}", query=query, json=json))

    @action(repeat="keyed")
    async def patch(self, path: str, json: Any, query: Query | None = None) -> HttpAnswer:
        """What PATCH answers, sent with an `Idempotency-Key` as `post` does."""
        headers = {"Idempotency-Key": action_key(f"PATCH {path}")}
        return _answered(
            await self.request("PATCH", path, operation=f"PATCH {path}", query=query, json=json, headers=headers)
        )

    @action(repeat="safe")
    async def delete(self, path: str, query: Query | None = None) -> HttpAnswer:
        """What DELETE answers; what is gone already (404, 410) counts as deleted."""
        return _answered(await self.request("DELETE", path, operation=f"DELETE {path}", query=query, accept=(404, 410)))

    @action(repeat="safe")
    async def get_page(
        self, path: str, query: Query | None = None, *, pages: Pagination | None = None, next: str | None = None
    ) -> HttpPage:
        """One page of a list: the first, or the one that `next` of the page before asks for.

        A step for each page keeps what was read when a later one fails. `pages` says how the API counts them: by
        `LinkHeader()`, `Cursor()` or `Numbered()`. Raises InvalidValue when the answer has no list there.
        """
        how, given = pages or LinkHeader(), query or {}
        asked = how.first(given) if next is None else how.query(given, next)
        target = path
        if next is not None and isinstance(how, LinkHeader):
            target = same_origin(self.address(await self.connection()), next)
        answer = await self.request("GET", target, operation=f"GET {path}", query=asked)
        items = items_of(answer, how.items)
        return HttpPage(items, how.after(answer, items, next))

    async def all_items(
        self, path: str, query: Query | None = None, *, pages: Pagination | None = None
    ) -> AsyncIterator[Any]:
        """Every item of a list, page after page, within one step; at most 1,000 pages."""
        page = await self.get_page(path, query, pages=pages)
        for _ in range(MAX_PAGES):
            for item in page.items:
                yield item
            if page.next is None:
                return
            page = await self.get_page(path, query, pages=pages, next=page.next)
        raise InvalidValue(path="$", reason=f"does not end: {path} has more than {MAX_PAGES:,} pages")


def _answered(answer: Answer) -> HttpAnswer:
    kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    try:
        body = answer.json()
    except InvalidValue:
        body = answer.body.decode(errors="replace")
    return HttpAnswer(answer.status, body, kept)


def seconds_of(rate: str) -> tuple[float, timedelta]:
    """How many requests in which time: "100/min" is (100.0, one minute). Raises ValueError."""
    count, _, unit = rate.partition("/")
    lengths = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "day": 86_400}
    number = float(count)
    if unit.strip() not in lengths or not 0 < number < 1e9:
        raise ValueError(rate)
    return number, timedelta(seconds=lengths[unit.strip()])
