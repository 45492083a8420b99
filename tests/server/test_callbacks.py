"""Pages and requests that answer waits: by the URL alone, once, checked before they are stored, never by a look."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from html import escape
from typing import Annotated, Any, Literal

import httpx2
import msgspec
import pytest

from stepwell import App, Step
from stepwell.core.callbacks import PATH
from stepwell.server import asgi
from stepwell.server.bodies import BODY_BYTES
from stepwell.store.memory import MemoryStore
from stepwell.testing import Lab, running


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Approval:
    is_granted: Annotated[bool, msgspec.Meta(description="May it be delivered?")]
    comment: str = ""


@dataclass
class Everything:
    name: Annotated[str, msgspec.Meta(max_length=20)]
    count: Annotated[int, msgspec.Meta(ge=1, le=5)]
    ratio: float
    size: Size
    day: date
    clock: time
    at: datetime
    sizes: list[int]
    is_urgent: bool
    is_gift: bool = False
    colour: Literal["red", "blue"] | None = None
    note: str | None = None
    limit: int | None = None
    answered_by: str = ""
    more: dict[str, Any] = field(default_factory=dict)


class Asked:
    """An execution that waits, its URL, and a client without a network between."""

    def __init__(self, app: App, lab: Lab, client: httpx2.AsyncClient, url: str, handle: Any) -> None:
        self.app, self.lab, self.client, self.url, self.handle = app, lab, client, url, handle

    async def form(self, **fields: str) -> httpx2.Response:
        return await self.client.post(self.url, data=fields)

    async def json(self, value: Any, query: str = "") -> httpx2.Response:
        return await self.client.post(self.url + query, json=value)

    async def events(self) -> list[Any]:
        return [json.loads(event.payload) for event in await self.app.events(to=self.handle.id)]


@asynccontextmanager
async def asking(kind: Any, *, prompt: str | None = "Approve order 4711?", **options: Any) -> AsyncIterator[Asked]:
    app = App(MemoryStore())
    urls: list[str] = []

    @app.workflow
    async def order(step: Step) -> Any:
        url = await step.callback_url("approval", type=kind, prompt=prompt, **{"expires": "7d", **options})
        await step.run("mail", urls.append, url)
        return msgspec.to_builtins(await step.wait_for_event("approval", type=kind))

    async with running(app) as lab:
        handle = await app.start(order)
        await lab.settle()
        transport = httpx2.ASGITransport(app=asgi(app))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Asked(app, lab, client, urls[0], handle)


async def test_page_asks_for_the_type_below_the_prompt() -> None:
    async with asking(Approval) as asked:
        answer = await asked.client.get(asked.url)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>Approve order 4711?</h1>" in answer.text
    assert "May it be delivered?" in answer.text
    assert re.findall(r'<button[^>]*value="(\w+)"[^>]*>(\w+)<', answer.text) == [
        ("true", "Approve"),
        ("false", "Decline"),
    ]
    assert 'name="f.comment"' in answer.text
    assert 'name="by"' in answer.text
    assert "<script" not in answer.text


async def test_no_page_may_be_framed_stored_told_of_or_run_scripts() -> None:
    async with asking(Approval) as asked:
        answers = [
            await asked.client.get(asked.url),
            await asked.client.get(PATH + "x"),
            await asked.form(by="Ann"),
            await asked.json({}),
            await asked.client.put(asked.url),
        ]

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_changes_nothing(method: str) -> None:
    """Mail scanners open every link."""
    async with asking(Approval) as asked:
        for _ in range(3):
            assert (await asked.client.request(method, asked.url)).status_code == 200
        assert (await asked.client.request(method, asked.url + "?f.is_granted=true&by=Ann")).status_code == 200
        assert await asked.events() == []
        (row,) = await asked.app.callbacks(asked.handle.id)
        assert row.url == asked.url


async def test_form_answers_the_wait() -> None:
    async with asking(Approval) as asked:
        answer = await asked.form(by=" Ann ", **{"f.is_granted": "true", "f.comment": "fine\r\nreally"})

        assert answer.status_code == 200
        assert "Thank you" in answer.text
        assert "<strong>Ann</strong>" in answer.text
        assert await asked.handle.result() == {"is_granted": True, "comment": "fine\nreally"}
        assert [(one.actor, one.action) for one in await asked.app.audit(asked.handle.id)] == [("Ann", "answer")]


@dataclass
class Signed:
    is_granted: bool
    answered_by: str = ""


async def test_who_has_answered_is_known_after_a_crash() -> None:
    """F105: to the workflow, and to whoever looks."""
    async with asking(Signed) as asked:
        await asked.form(by="Ann", **{"f.is_granted": "true"})
        await asked.lab.crash()

        assert (await asked.handle.result())["answered_by"] == "Ann"
        assert [one.actor for one in await asked.app.audit(asked.handle.id)] == ["Ann"]


async def test_json_answers_the_wait() -> None:
    async with asking(Approval) as asked:
        answer = await asked.json({"is_granted": False}, "?by=deploy-bot")

        assert answer.status_code == 200
        assert (answer.json()["name"], answer.json()["answered_by"]) == ("approval", "deploy-bot")
        assert (await asked.handle.result())["is_granted"] is False


async def test_program_is_told_what_is_asked() -> None:
    async with asking(bool) as asked:
        answer = await asked.client.get(asked.url, headers={"Accept": "application/json"})

    assert answer.json() == {
        "name": "approval",
        "prompt": "Approve order 4711?",
        "schema": {"type": "boolean"},
        "expires_at": answer.json()["expires_at"],
    }


async def test_second_answer_is_told_who_was_faster_and_when() -> None:
    async with asking(Approval) as asked:
        await asked.form(by="Ann", **{"f.is_granted": "true", "f.comment": ""})
        page = await asked.form(by="Bob", **{"f.is_granted": "false"})
        document = await asked.json({"is_granted": False})
        look = await asked.client.get(asked.url)

        assert [page.status_code, document.status_code, look.status_code] == [409, 409, 409]
        assert "was answered by Ann at" in page.text
        assert (document.json()["type"], document.json()["answered_by"]) == (
            "urn:stepwell:problem:callback-answered",
            "Ann",
        )
        assert document.json()["answered_at"]
        assert await asked.handle.result() == {"is_granted": True, "comment": ""}


@pytest.mark.parametrize("token", ["x", "%00", "..%2f", "A" * 22 + ".memory." + "A" * 43, "A" * 5_000])
async def test_unknown_url_is_not_found(token: str) -> None:
    """The security table: path traversal. The rest of the path is a token, and never the name of a file."""
    async with asking(Approval) as asked:
        assert (await asked.client.get(PATH + token)).status_code == 404
        assert (await asked.client.post(PATH + token, json={})).status_code == 404
        assert (await asked.client.post(PATH + token, data={"by": "Ann"})).status_code == 404


async def test_page_of_an_unknown_url_says_so_in_a_sentence() -> None:
    async with asking(Approval) as asked:
        page = await asked.client.get(PATH + "x")

    assert "<p>This URL answers nothing; it is incomplete, or what it belongs to has been removed.</p>" in page.text


async def test_expired_and_ended_are_gone() -> None:
    async with asking(Approval, expires="1h") as asked:
        await asked.lab.advance("2h")
        expired = await asked.form(by="Ann", **{"f.is_granted": "true"})
    async with asking(Approval) as asked:
        await asked.handle.cancel(force=True)
        ended = await asked.json({"is_granted": True})

    assert [expired.status_code, ended.status_code] == [410, 410]
    assert "it expired at" in expired.text
    assert "its execution has ended" in ended.json()["detail"]


async def test_misfit_is_refused_with_every_path() -> None:
    async with asking(Everything) as asked:
        answer = await asked.json({"name": 1, "count": 9, "sizes": ["x"]})

        assert answer.status_code == 422
        paths = [fault["path"] for fault in answer.json()["errors"]]
        assert {"$.name", "$.count", "$.sizes[0]", "$.ratio", "$.size", "$.is_urgent"} <= set(paths)
        assert await asked.events() == []


FILLED = {
    "by": "Ann", "f.name": "box", "f.count": "3", "f.ratio": "0.5", "f.size": '"small"', "f.day": "2026-05-01",
    "f.clock": "12:30", "f.at": "2026-05-01T12:00", "f.sizes": "1\r\n\r\n 2 ", "f.is_urgent": "true",
    "f.is_gift": "false", "f.colour": "", "f.note": "", "f.limit": "", "f.more": "{}",
}  # fmt: skip


async def test_every_kind_of_field_is_read() -> None:
    async with asking(Everything) as asked:
        page = await asked.client.get(asked.url)
        shown = re.findall(r'name="(f\.\w+)"', page.text)
        answer = await asked.form(**FILLED)

        assert (answer.status_code, sorted(shown)) == (200, sorted(name for name in FILLED if name != "by"))
        assert await asked.events() == [
            {
                "name": "box", "count": 3, "ratio": 0.5, "size": "small", "day": "2026-05-01", "clock": "12:30:00",
                "at": "2026-05-01T12:00:00Z", "sizes": [1, 2], "is_urgent": True, "is_gift": False,
                "answered_by": "Ann", "more": {},
            }
        ]  # fmt: skip
        assert (await asked.handle.result())["answered_by"] == "Ann"


async def test_kinds_of_fields_are_those_of_the_types() -> None:
    async with asking(Everything) as asked:
        text = (await asked.client.get(asked.url)).text

    kinds = dict(re.findall(r'<input type="([\w-]+)" id="(f\.\w+)"', text))
    assert {name: kind for kind, name in re.findall(r'<input type="([\w-]+)" id="(f\.\w+)"', text)} == {
        "f.name": "text", "f.count": "number", "f.ratio": "number", "f.day": "date", "f.clock": "time",
        "f.at": "datetime-local", "f.limit": "number",
    }  # fmt: skip
    assert kinds
    assert re.findall(r'<select id="(f\.\w+)"', text) == ["f.size", "f.is_urgent", "f.is_gift", "f.colour"]
    assert re.findall(r'<textarea id="(f\.\w+)"', text) == ["f.sizes", "f.note", "f.more"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"f.count": "many"}, "must be a whole number"),
        ({"f.count": "9"}, "must be at most 5"),
        ({"f.count": "9" * 5_000}, "must be a whole number"),
        ({"f.ratio": "1e999"}, "number"),
        ({"f.more": "[1"}, "must be JSON"),
        ({"f.more": "[" * 5_000}, "must be JSON"),
        ({"f.sizes": "1\r\nx"}, "[1] must be a whole number"),
        ({"f.size": '"huge"'}, "must be one of: "),
        ({"f.size": ""}, "is missing"),
        ({"f.day": "tomorrow"}, "must be a date"),
        ({"f.name": "x" * 21}, "must have at most 20 characters"),
        ({"f.more": '{"a": "\\ud800"}'}, "This was not accepted"),
        ({"by": "  "}, "must be given"),
    ],
)
async def test_what_was_entered_stays_when_it_is_refused(change: dict[str, str], told: str) -> None:
    async with asking(Everything) as asked:
        answer = await asked.form(**{**FILLED, **change, "f.note": "keep <this>"})

        assert answer.status_code == 422
        assert told in answer.text
        assert "keep &lt;this&gt;" in answer.text
        assert 'role="alert"' in answer.text
        assert await asked.events() == []


async def test_all_that_is_wrong_is_told_at_once() -> None:
    async with asking(Everything) as asked:
        answer = await asked.form(
            **{**FILLED, "by": "", "f.count": "x", "f.sizes": "", "f.name": "x" * 21, "f.day": ""}
        )

    for told in ("must be given", "must be a whole number", "must have at most 20 characters", "is missing"):
        assert answer.text.count(told) == 1


@pytest.mark.parametrize(
    ("kind", "entered", "value"),
    [
        (bool, "false", False),
        (int, "7", 7),
        (str, "text", "text"),
        (Size, '"large"', "large"),
        (bool | None, "", None),
        (Any, '{"a": [1]}', {"a": [1]}),
        (list[int], "1", [1]),
        (list[str], "a\r\n\r\n b c ", ["a", "b c"]),
        (list[str], "", []),
        (list[str] | None, "", None),
        (list[Size], "large\nsmall", ["large", "small"]),
        (list[bool], "Yes\nNo", [True, False]),
        (list[date], "2026-05-01", ["2026-05-01"]),
        (list[list[int]], "[[1]]", [[1]]),
        (Decimal, "12.50", "12.50"),
        (timedelta, "P1DT2H", "P1DT2H"),
        (int, "1" * 40, int("1" * 40)),
    ],
)
async def test_value_that_is_no_object_has_one_field(kind: Any, entered: str, value: Any) -> None:
    async with asking(kind) as asked:
        answer = await asked.form(by="Ann", **{"f.": entered})

        assert answer.status_code == 200
        assert await asked.events() == [value]


@dataclass
class Place:
    street: str
    city: str = "Ghent"


@dataclass
class Shipment:
    to: Place
    back_to: Place | None = None
    by_way_of: list[Place] = field(default_factory=list)
    weight: Decimal | None = None


async def test_objects_within_are_asked_for_by_their_fields() -> None:
    async with asking(Shipment) as asked:
        page = (await asked.client.get(asked.url)).text
        answer = await asked.form(
            by="Ann", **{"f.to.street": "Main", "f.to.city": "Gent", "f.back_to.city": "Ghent", "f.by_way_of": "[]"}
        )

        assert re.findall(r"<legend>([\w ]+)", page) == ["To", "Back to "]
        assert re.findall(r'name="(f\.[\w.]+)"', page) == [
            "f.to.street", "f.to.city", "f.back_to.street", "f.back_to.city", "f.by_way_of", "f.weight",
        ]  # fmt: skip
        assert answer.status_code == 200
        assert await asked.events() == [{"to": {"street": "Main", "city": "Gent"}, "by_way_of": []}]


async def test_object_that_may_be_left_out_is_whole_once_something_of_it_is_entered() -> None:
    async with asking(Shipment) as asked:
        refused = await asked.form(by="Ann", **{"f.to.street": "Main", "f.back_to.city": "Brussels"})
        answer = await asked.form(by="Ann", **{"f.to.street": "Main", "f.back_to.street": "Side"})

        assert (refused.status_code, answer.status_code) == (422, 200)
        assert '<p class="fault" id="f.back_to.street-fault">is missing</p>' in refused.text
        assert await asked.events() == [{"to": {"street": "Main"}, "back_to": {"street": "Side"}}]


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (Place | int, 'As JSON, such as {"street": "text"}'),
        (list[Place], 'As JSON, such as [{"street": "text"}]'),
        (list[Size], "One on each line, of: large, small."),
        (list[date], "One on each line, such as 2026-05-01"),
        (list[str], "One on each line."),
        (Decimal, "Such as 12.50"),
        (timedelta, "Such as P1DT2H"),
        (bytes, "In base64."),
        (datetime, "In UTC."),
    ],
)
async def test_page_says_how_to_write_what_does_not_go_without_saying(kind: Any, hint: str) -> None:
    async with asking(kind) as asked:
        page = (await asked.client.get(asked.url)).text

    assert f'<small id="f.-help">{escape(hint)}</small>' in page


async def test_labels_are_those_of_the_fields_not_of_their_types() -> None:
    async with asking(Shipment) as asked:
        page = (await asked.client.get(asked.url)).text

    assert "Place" not in page


@dataclass
class Rush:
    is_urgent: bool = False


async def test_true_or_false_with_a_default_is_a_choice_and_no_decision() -> None:
    """Whoever presses "Approve" has not said that it is urgent."""
    async with asking(Rush) as asked:
        page = (await asked.client.get(asked.url)).text

    assert "Approve</button>" not in page
    assert '<option value="false" selected>No</option>' in page


async def test_enter_presses_no_decision() -> None:
    """A browser takes the first button of a form for Enter."""
    async with asking(Approval) as asked:
        page = (await asked.client.get(asked.url)).text

    assert re.findall(r"<button[^>]*>", page)[0] == '<button type="submit" disabled hidden>'


async def test_needs_no_token_where_the_api_does() -> None:
    async with asking(bool) as asked:
        await asked.app.create_token("ci", "admin")

        assert (await asked.client.get("/api/v1/executions")).status_code == 401
        assert (await asked.json(True)).status_code == 200


async def test_other_bodies_and_methods_are_refused() -> None:
    async with asking(bool) as asked:
        post = asked.client.post
        answers = [
            await post(asked.url, content=b"true", headers={"Content-Type": "text/plain"}),
            await post(asked.url, content=b"x" * (BODY_BYTES + 1), headers={"Content-Type": "application/json"}),
            await post(asked.url, content=b"f.=%FF", headers={"Content-Type": "application/x-www-form-urlencoded"}),
            await post(
                asked.url, content=b"a=1&" * 2_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
            ),
            await post(asked.url, content=b"{", headers={"Content-Type": "application/json"}),
            await post(asked.url, content=b'{"a":1,"a":2}', headers={"Content-Type": "application/json"}),
            await asked.client.delete(asked.url),
        ]

        assert [answer.status_code for answer in answers] == [415, 413, 422, 422, 422, 422, 405]
        assert answers[-1].headers["allow"] == "GET, HEAD, POST"
        assert await asked.events() == []


async def test_failure_of_ours_shows_nothing_and_logs_no_url(caplog: pytest.LogCaptureFixture) -> None:
    async with asking(bool) as asked:
        caplog.set_level(logging.DEBUG)
        asked.app.links._keyring = lambda: 1 / 0  # type: ignore[assignment, return-value]
        page, document = await asked.client.get(asked.url), await asked.json(True)

    assert [page.status_code, document.status_code] == [500, 500]
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("stepwell"))
    told = logged + page.text + document.text
    assert "failed: a callback: ZeroDivisionError" in logged
    assert "ZeroDivisionError" not in page.text + document.text
    assert asked.url.rpartition(PATH)[2] not in told


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{7*7}}${7*7}<%= 7*7 %>",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_stays_text(text: str) -> None:
    schema: Any = msgspec.defstruct("T", [("a", Annotated[str, msgspec.Meta(title=text, description=text)], text)])
    async with asking(schema, prompt=text) as asked:
        first = await asked.client.get(asked.url)
        refused = await asked.form(by="", **{"f.a": text})
        done = await asked.form(by=text, **{"f.a": text})
        after = await asked.client.get(asked.url)

    for answer in (first, refused, done, after):
        assert re.findall(r"<(script|img|a|svg|iframe)\b", answer.text) == []
        assert re.findall(r"</(?:textarea|title|style)>(?=<script|alert)", answer.text) == []
        assert escape(text) in answer.text or text not in answer.text
    assert [first.status_code, refused.status_code, done.status_code, after.status_code] == [200, 422, 200, 409]
