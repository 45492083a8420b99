"""What a request may hold: bounded, in time, and strict JSON (the security table: DoS)."""

from __future__ import annotations

import asyncio
import json
import secrets
from uuid import UUID

import httpx2
import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from stepwell import App
from stepwell.server.bodies import BODY_BYTES, LARGE_BODY_BYTES, read_body
from stepwell.server.problems import Refusal
from tests.server.living import living

JSON = {"Content-Type": "application/json"}


async def send(client: httpx2.AsyncClient, body: bytes, path: str = "/executions", **headers: str) -> httpx2.Response:
    given = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await client.post(path, content=body, headers=given)


@pytest.mark.parametrize(
    "value",
    [
        "NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', "1" * 5_000, "1" * 100_000, "0." + "1" * 5_000,
        '{"a": 1, "a": 2}', '[{"x": {"a": 1, "a": 2}}]', "[" * 150 + "]" * 150, "[" * 100_000 + "]" * 100_000,
        "{", "", "'x'", "01", "+1", ".5", "1.", "tru", "[1,]", '{"a":1,}', "//x\n1", '"\t"', '"\x00"',
    ],
)  # fmt: skip
async def test_what_readers_of_json_understand_differently_is_refused(client: httpx2.AsyncClient, value: str) -> None:
    """F69, F70, F71."""
    for body in (f'{{"workflow": "keep", "input": {{"value": {value}}}}}', value):
        answer = await send(client, body.encode())

        assert answer.status_code == 422, (body[:80], answer.text)
    assert (await client.get("/executions/count")).json()["counts"]["pending"] == 0


@pytest.mark.parametrize("value", ["\\u0000", "\\ud83d\\ude00", "é", "\\u2028", "</script>", "'; drop table x; --"])
async def test_text_of_any_kind_is_kept_exactly(any_client: httpx2.AsyncClient, value: str) -> None:
    """F68: NUL is a character like any other, in a value."""
    answer = await send(any_client, f'{{"workflow": "keep", "input": {{"value": "{value}"}}}}'.encode())

    shown = (await any_client.get(f"/executions/{answer.json()['id']}")).json()
    assert shown["input"] == {"value": json.loads(f'"{value}"')}


@pytest.mark.parametrize("name", ["workflow", "key"])
async def test_nul_in_a_name_is_refused(client: httpx2.AsyncClient, name: str) -> None:
    """F68."""
    body = {"workflow": "keep", "input": {"value": 1}, name: "a\0b"}

    assert (await client.post("/executions", json=body)).status_code == 422


async def test_bytes_that_are_no_text_are_refused(client: httpx2.AsyncClient) -> None:
    for body in (
        b'{"workflow": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"\x00",
        b"\x1f\x8b\x08",
        '{"workflow": "keep"}'.encode("utf-16"),
    ):
        assert (await send(client, body)).status_code == 422


async def test_other_types_of_content_are_refused(client: httpx2.AsyncClient) -> None:
    """A form of a web page can send these without being asked."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await client.post("/executions", content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == 415
    assert (await send(client, b"\x1f\x8b", Content_Encoding="gzip")).status_code == 415


async def test_body_that_is_too_large_is_refused(client: httpx2.AsyncClient) -> None:
    """F74."""
    answer = await send(client, b" " * (BODY_BYTES + 1))

    assert answer.status_code == 413
    assert answer.json()["limit_bytes"] == BODY_BYTES


async def test_value_that_cannot_be_stored_is_refused_by_size(client: httpx2.AsyncClient) -> None:
    values = [secrets.token_hex(1024 * 1024)]
    body = json.dumps({"workflow": "keep", "inputs": [{"value": one} for one in values]}).encode()

    answer = await send(client, body, "/executions/start-many")

    assert len(body) < LARGE_BODY_BYTES
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:stepwell:problem:payload-too-large")


async def test_body_without_a_length_is_counted_as_it_comes() -> None:
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"x" * 1_000, "more_body": True}

    with pytest.raises(Refusal) as refused:
        await read_body(Headers({}), receive, limit=10_000)

    assert refused.value.status == 413
    assert sent == 11


async def test_sender_that_is_too_slow_is_refused() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never")

    with pytest.raises(Refusal) as refused:
        await read_body(Headers({}), receive, limit=10, seconds=0.01)

    assert refused.value.status == 408


async def test_hundred_slow_senders_are_in_nobodys_way(app: App) -> None:
    head = b"POST /api/v1/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with living(app) as url:
        host, port = url.removeprefix("http://").split(":")
        slow = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
        for number, (_, writer) in enumerate(slow):
            writer.write(head + b"Content-Length: 1000\r\n\r\n{" if number % 2 else head)
        async with httpx2.AsyncClient(base_url=url) as client:
            async with asyncio.timeout(5):
                answers = [await client.get("/api/v1/executions") for _ in range(20)]
        for _, writer in slow:
            writer.close()

    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("wait=5", "query.wait: Expected a duration, such as 30s or 10m"),
        ("wait=%00", "query.wait: Expected a duration, such as 30s or 10m"),
    ],
)
async def test_duration_that_is_none_is_told_in_words(client: httpx2.AsyncClient, query: str, told: str) -> None:
    answer = await client.get(f"/executions/{UUID(int=7)}/result?{query}")

    assert (answer.status_code, answer.json()["detail"]) == (422, told)


async def test_name_with_nul_is_told_in_words(client: httpx2.AsyncClient) -> None:
    answer = await send(client, b'{"workflow": "a\\u0000", "input": {}}')

    assert answer.json()["detail"] == "body.workflow: Expected text without NUL"


async def test_tag_with_a_line_break_is_told_in_words(client: httpx2.AsyncClient) -> None:
    answer = await send(client, b'{"workflow": "a", "input": {}, "tags": ["a\\nb"]}')

    assert answer.json()["detail"] == "body.tags[0]: Expected text without NUL and line breaks"
