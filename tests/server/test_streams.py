"""Live views: what comes, where they go on, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2

from stepwell import App
from stepwell.server import sse
from stepwell.server.presence import Presence
from stepwell.server.sse import Event, Stream
from tests.server.living import SIGNAL_SECONDS, living, serving


class Seen(NamedTuple):
    """An event as a client sees it."""

    name: str
    data: dict[str, Any]
    id: str


async def events(answer: httpx2.Response) -> AsyncIterator[Seen]:
    """What a stream brings, read as the standard says."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and "data" in fields:
            yield Seen(fields["event"], json.loads(fields["data"]), fields["id"])
            fields = {}


async def followed(client: httpx2.AsyncClient, execution_id: object, last: str | None = None) -> list[Seen]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.stream("GET", f"/api/v1/executions/{execution_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        return [one async for one in events(answer)]


async def test_execution_is_followed_to_its_end(any_app: App) -> None:
    started = await any_app.start("count", [1, 2, 3])
    async with living(any_app) as url, httpx2.AsyncClient(base_url=url, timeout=SIGNAL_SECONDS) as client:
        following = asyncio.create_task(followed(client, started.id))
        async with any_app.worker():
            seen = await following

    assert [one.name for one in seen if one.name != "waits"][-1] == "ended"
    assert ("items", {"map": "each", "items": 3}) in [(one.name, one.data) for one in seen]
    assert (seen[-1].data["status"], seen[-1].data["result"]) == ("completed", 6)


async def test_stream_goes_on_after_the_last_event_and_leaves_none_out(any_app: App) -> None:
    started = await any_app.start("wait")
    async with living(any_app) as url, httpx2.AsyncClient(base_url=url, timeout=SIGNAL_SECONDS) as client:
        async with any_app.worker():
            path = f"/api/v1/executions/{started.id}/events"
            async with client.stream("GET", path) as answer:
                first = await anext(events(answer))
            await any_app.send_event("go", 7, to=started.id)
            await started.result(timeout="30s")
        seen = await followed(client, started.id, first.id)
        async with client.stream("GET", path, headers={"Last-Event-ID": seen[-1].id}) as answer:
            again = answer.status_code

    assert first.name == "waits"
    assert [one.name for one in seen][-2:] == ["step", "ended"]
    assert seen[-1].data["result"] == 7
    assert again == 204


async def test_feed_brings_what_is_new_and_what_has_changed(any_app: App) -> None:
    old = await any_app.start("wait")
    async with (
        living(any_app) as url,
        httpx2.AsyncClient(base_url=url, timeout=SIGNAL_SECONDS) as client,
        client.stream("GET", "/api/v1/executions/events?workflow=wait") as answer,
    ):
        feed = events(answer)
        first = await anext(feed)
        new = await any_app.start("wait")
        await any_app.start("keep", 1)
        second = await anext(feed)
        await any_app.cancel(new.id)
        third = await anext(feed)

    assert [one.data["id"] for one in (first, second, third)] == [str(old.id), str(new.id), str(new.id)]
    assert [one.data["status"] for one in (first, second, third)] == ["pending", "pending", "cancelled"]


async def test_client_that_leaves_leaves_nothing_behind(app: App) -> None:
    """F35: neither tasks nor waits."""
    started = await app.start("wait")
    async with serving(app) as server, httpx2.AsyncClient(base_url=server.url, timeout=SIGNAL_SECONDS) as client:
        await client.get("/api/v1/executions")
        before = len(asyncio.all_tasks())
        paths = (f"/api/v1/executions/{started.id}/events", "/api/v1/executions/events")
        for _ in range(20):
            for path in paths:
                async with client.stream("GET", path) as answer:
                    await anext(events(answer)) if path == paths[1] else await anext(answer.aiter_raw())
            asking = asyncio.create_task(client.get(f"/api/v1/executions/{started.id}/result?wait=60s"))
            await until(lambda: bool(awaited(app)))
            asking.cancel()
            await until(lambda: not awaited(app))

        await until(lambda: len(asyncio.all_tasks()) <= before)

        assert awaited(app) == 0


def awaited(app: App) -> int:
    """How many executions somebody waits for."""
    assert app._client is not None
    return len(app._client.awaited)


async def until(is_so: Any) -> None:
    """Let the loop turn until it is so, with a limit."""
    async with asyncio.timeout(SIGNAL_SECONDS):
        while not is_so():  # noqa: ASYNC110 - what goes on in another task has no event to wait for
            await asyncio.sleep(0)


async def test_server_that_ends_waits_for_no_stream(app: App) -> None:
    started = await app.start("wait")
    async with httpx2.AsyncClient(timeout=SIGNAL_SECONDS) as client:
        async with serving(app) as server:
            path = f"{server.url}/api/v1/executions/{started.id}"
            stream = client.stream("GET", f"{path}/events")
            answer = await stream.__aenter__()
            await anext(answer.aiter_raw())
            waiting = asyncio.create_task(client.get(f"{path}/result?wait=60s"))
            await until(lambda: bool(awaited(app)))
            async with asyncio.timeout(SIGNAL_SECONDS):
                server.stop()
                waited = await waiting
        await stream.__aexit__(None, None, None)

    assert waited.status_code == 202


async def test_beats_come_while_nothing_else_does() -> None:
    sent: list[bytes] = []
    stopping, beaten = asyncio.Event(), asyncio.Event()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if sent[-1].startswith(b":"):
            beaten.set()

    async def silence() -> AsyncIterator[Event]:
        await asyncio.Event().wait()
        yield Event("never", None, "")

    stream = Stream(silence(), Presence(receive, stopping), beat_seconds=0.001)
    sending = asyncio.create_task(stream.send(send, {}))
    async with asyncio.timeout(SIGNAL_SECONDS):
        await beaten.wait()
        stopping.set()
        await sending

    assert sent[1] == b"retry: %d\n\n" % sse.RETRY_MILLISECONDS
    assert b": beat\n\n" in sent
    assert sent[-1] == b""
