"""The connector for any HTTP API, against a small one on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stepwell import App, InvalidOption, InvalidValue, Step
from stepwell.connectors import HTTP
from stepwell.connectors.http_api import actions
from stepwell.connectors.http_api.types import next_link
from stepwell.testing import running
from stepwell.testing.connections import GivenConnections, connection, lent_connections
from stepwell.testing.serving import served

THINGS = [{"id": 2**60 + n} for n in range(7)]


class Api:
    """Keeps what it was sent; lists things in three ways; makes a thing once for each idempotency key."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.made: dict[str, Any] = {}
        self.lost_answers = 0
        self.elsewhere = ""

    async def anything(self, request: Request) -> Response:
        self.asked.append(request)
        match request.method, request.url.path:
            case "GET", "/v1/linked":
                return self.linked(int(request.query_params.get("after", 0)))
            case "GET", "/v1/cursors":
                at = int(request.query_params.get("cursor", 0))
                page = {"data": {"things": THINGS[at : at + 3]}, "meta": {"next": at + 3 if at + 3 < 7 else None}}
                return JSONResponse(page)
            case "GET", "/v1/numbered":
                size, at = int(request.query_params["per_page"]), int(request.query_params["page"])
                return JSONResponse({"items": THINGS[(at - 1) * size : at * size]})
            case "GET", "/v1/endless":
                return JSONResponse([1], headers={"Link": '</v1/endless>; rel="next"'})
            case "POST", _:
                self.made.setdefault(request.headers["idempotency-key"], await request.json())
                if self.lost_answers:
                    self.lost_answers -= 1
                    return Response(status_code=502)
                return JSONResponse({"id": 1}, 201, {"Location": "/v1/things/1", "X-Odd": "not kept"})
            case "DELETE", "/v1/gone":
                return Response(status_code=404)
            case "GET", "/v1/text":
                return Response("plain", media_type="text/plain")
        return JSONResponse({"ok": request.method})

    def linked(self, at: int) -> Response:
        link = f'<{self.elsewhere}/v1/linked?after={at + 3}>; rel="next", </first>; rel="first"'
        return JSONResponse(THINGS[at : at + 3], headers={"Link": link} if at + 3 < 7 else {})


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def lent(api: Api) -> AsyncIterator[GivenConnections]:
    async with served(
        Starlette(routes=[Route("/{path:path}", api.anything, methods=["GET", "POST", "PUT", "DELETE"])])
    ) as url:
        api.elsewhere = url
        async with lent_connections(connection("crm", "http", settings={"base_url": f"{url}/v1"})) as given:
            yield given


@pytest.mark.parametrize("pages", [
    ("/linked", None), ("/linked", HTTP.LinkHeader()),
    ("/cursors", HTTP.Cursor("meta.next", items="data.things")), ("/numbered", HTTP.Numbered(size=3)),
])  # fmt: skip
async def test_list_comes_page_after_page_whichever_way_the_api_counts_them(lent: GivenConnections, pages: Any) -> None:
    path, how = pages

    assert [item async for item in HTTP("crm").all_items(path, pages=how)] == THINGS


async def test_page_is_a_step_that_says_how_to_go_on(lent: GivenConnections) -> None:
    first = await HTTP("crm").get_page("/linked")
    second = await HTTP("crm").get_page("/linked", next=first.next)

    assert [item["id"] for item in second.items] == [2**60 + 3, 2**60 + 4, 2**60 + 5]


async def test_page_that_points_to_another_place_is_not_followed(lent: GivenConnections, api: Api) -> None:
    api.elsewhere = "http://127.0.0.1:1"
    first = await HTTP("crm").get_page("/linked")

    with pytest.raises(InvalidOption, match="is not at http"):
        await HTTP("crm").get_page("/linked", next=first.next)


async def test_list_that_never_ends_is_an_error(lent: GivenConnections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MAX_PAGES", 20)

    with pytest.raises(InvalidValue, match="more than 20 pages"):
        [item async for item in HTTP("crm").all_items("/endless")]


async def test_answer_without_a_list_says_where_it_was_looked_for(lent: GivenConnections) -> None:
    with pytest.raises(InvalidValue, match=r"\$\.data\.rows is no list"):
        await HTTP("crm").get_page("/cursors", pages=HTTP.Cursor(items="data.rows"))


async def test_what_was_made_although_the_answer_was_lost_is_made_once(lent: GivenConnections, api: Api) -> None:
    app, api.lost_answers = App(), 2

    @app.workflow
    async def flow(step: Step) -> HTTP.Answer:
        return await step.run("make", HTTP("crm").post, "/things", {"n": 1})

    async with running(app):
        answer = await (await app.start(flow)).result()

    assert list(api.made.values()) == [{"n": 1}]
    assert len(api.asked) == 3
    assert answer == HTTP.Answer(201, {"id": 1}, {"content-type": "application/json", "location": "/v1/things/1"})


async def test_what_is_gone_already_counts_as_deleted(lent: GivenConnections) -> None:
    assert (await HTTP("crm").delete("/gone")).status == 404


async def test_answer_that_is_no_json_is_text(lent: GivenConnections) -> None:
    assert (await HTTP("crm").get("/text")).body == "plain"


@pytest.mark.parametrize(
    ("settings", "secrets", "header"),
    [
        ({}, {"token": "t"}, ("authorization", "Bearer t")),
        ({"user": "u"}, {"password": "p"}, ("authorization", "Basic dTpw")),
        ({}, {"key": "k"}, ("x-api-key", "k")),
        ({"key_header": "X-Crm"}, {"key": "k"}, ("x-crm", "k")),
    ],
)
async def test_request_is_authorised_as_the_connection_says(
    lent: GivenConnections, api: Api, settings: dict[str, str], secrets: dict[str, str], header: tuple[str, str]
) -> None:
    base = lent.given["crm"].settings
    lent.given["crm"] = connection("crm", "http", settings={**base, **settings}, **secrets)

    await HTTP("crm").put("/x", {})

    assert api.asked[0].headers[header[0]] == header[1]


async def test_rate_of_the_connection_is_kept(lent: GivenConnections, api: Api) -> None:
    given = lent.given["crm"]
    lent.given["crm"] = connection("crm", "http", settings={**given.settings, "rate": "3/hour"})
    app = App()

    @app.workflow
    async def flow(step: Step) -> None:
        for _ in range(4):
            await step.run("ask", HTTP("crm").get, "/x")

    async with running(app) as lab:
        handle = await app.start(flow)
        await lab.settle()
        seen = await app.get(handle.id)

    assert seen.why is not None
    assert "the rate limit is used up" in seen.why
    assert len(api.asked) == 3


async def test_rate_that_means_nothing_is_refused(lent: GivenConnections) -> None:
    lent.given["crm"] = connection("crm", "http", settings={**lent.given["crm"].settings, "rate": "many"})

    with pytest.raises(InvalidOption, match="write it like 100/min"):
        await HTTP("crm").get("/x")


async def test_check_says_who_answered(lent: GivenConnections) -> None:
    assert (await HTTP("crm").check()).endswith("answered 200")


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://x/a?page=2>; rel="next", <https://x/a?page=9>; rel="last"', "https://x/a?page=2"),
        ('<https://x/a>; title="next"; rel=next', "https://x/a"),
        ('<https://x/a>; rel="prev"', None),
        ("", None),
        ("rubbish, <", None),
    ],
)
def test_link_header_names_the_next_page(header: str, target: str | None) -> None:
    assert next_link(header) == target
