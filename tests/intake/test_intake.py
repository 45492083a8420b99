"""Deliveries to real server processes: what senders do wrong, many at once, two servers, no database."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from stepwell import App, HookSpec, Step, WebhookEvent, webhook
from stepwell.core.model import EVERYTHING, ExecutionId
from stepwell.sources import SOURCES, Request, sign
from stepwell.store.migrate import migrate
from stepwell.store.postgres import PostgresStore
from tests.inbox.office import ORDERS, OTHER, SECRET, shopify
from tests.intake.conftest import Serve
from tests.intake.vendors import SECONDS, Answer, Sender, head
from tests.own_server import own_server

LIMIT = SOURCES["shopify"].max_body_bytes
ALL = HookSpec("all", "order", "default", "event", "generic", ("*",))

HOSTILE = [
    b"",
    b"\x00",
    b'{"a":"\\u0000\x00"}',
    b'{"a":"\xff\xfe"}',
    b'"\\ud800"',
    b"[" * 100_000 + b"]" * 100_000,
    b'{"n":%s}' % (b"9" * 5_000),
    b'{"n":123456789012345678901234567890,"f":0.1000000000000000055511151231257827}',
    b'{"n":1e999,"m":-0,"x":NaN}',
    b'\xef\xbb\xbf{"bom":true}',
    b"a=1&b=%00",
]


async def declare(url: str) -> None:
    store = PostgresStore(url)
    await store.inbox.apply_hooks([ORDERS, ALL], workflows=["order"])
    await store.close()


async def send(port: int, request: Request, path: str = "/hooks/shopify") -> Answer:
    sender = await Sender.to(port)
    try:
        return await sender.send(request, path)
    finally:
        sender.abort()


def generic(body: bytes) -> Request:
    """A delivery with any body, signed as the generic sender's."""
    signed = sign(SOURCES["generic"], body, SECRET, type="any", id="any", now=datetime.now(UTC))
    return Request.post(signed, body)


async def test_signed_delivery_is_202_and_its_execution_is_there(database_url: str, serve_hooks: Serve) -> None:
    await declare(database_url)

    answer = await send(serve_hooks().port, shopify())

    assert (answer.status, answer.said["duplicate"]) == (202, False)
    async with App(database_url) as app:
        (execution,) = [await app.get(id) for id in answer.said["executions"]]
        assert execution.workflow == "order"


@pytest.mark.parametrize(
    ("request_", "path", "status"),
    [
        (shopify(secret=OTHER), "/hooks/shopify", 401),
        (Request("POST", [], b"{}"), "/hooks/shopify", 401),
        (shopify(), "/hooks/shopify/nobody", 404),
        (shopify(), "/hooks/nobody", 404),
        (shopify(), "/hooks/nobody/at-all", 404),
        (shopify(), "/hooks/%00%ff", 404),
        (Request("GET", []), "/hooks/shopify", 405),
        (Request("DELETE", []), "/hooks/shopify/acme", 405),
        (shopify(b"x" * (LIMIT + 1)), "/hooks/shopify", 413),
    ],
)
async def test_what_is_not_taken_has_its_answer(serve_hooks: Serve, request_: Request, path: str, status: int) -> None:
    answer = await send(serve_hooks().port, request_, path)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_declared_length_above_the_limit_is_413_before_anything_is_read(serve_hooks: Serve) -> None:
    sender = await Sender.to(serve_hooks().port)

    sender.write(head(shopify(), "/hooks/shopify", length=10**15))

    assert (await sender.answer()).status == 413
    sender.abort()


async def test_length_that_is_not_declared_is_counted(serve_hooks: Serve) -> None:
    sender = await Sender.to(serve_hooks().port)
    chunk = b"%x\r\n%s\r\n" % (LIMIT // 2, b"x" * (LIMIT // 2))

    sender.write(b"POST /hooks/shopify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 3)

    assert (await sender.answer()).status == 413
    sender.abort()


async def test_hostile_bodies_are_kept_byte_for_byte(database_url: str, serve_hooks: Serve) -> None:
    """F68-F71, F75, F77: whatever is signed is taken, once, with that body; and its execution can be read."""
    await declare(database_url)
    port = serve_hooks().port

    answers = [await send(port, generic(body), "/hooks/generic") for body in HOSTILE]

    assert [answer.status for answer in answers] == [202] * len(HOSTILE)
    async with App(database_url) as app:
        kept = [await app.delivery(answer.said["delivery"]) for answer in answers]
        assert [one.body for one in kept] == HOSTILE
        assert len(await app.list()) == len(HOSTILE)


async def test_workflow_is_given_each_hostile_body_on_every_attempt(database_url: str, serve_hooks: Serve) -> None:
    """F77: JSON as it was sent, digit by digit; else text; else base64."""
    app = App(database_url)
    seen: dict[UUID, list[object]] = {}

    @app.workflow(trigger=webhook("generic"))
    async def order(event: WebhookEvent, step: Step) -> int:
        seen.setdefault(event.delivery, []).append(event.raw)
        await step.sleep("again", "3s")
        return len(event.headers)

    port = serve_hooks().port
    async with app.worker():
        answers = [await send(port, generic(body), "/hooks/generic") for body in HOSTILE]
        for answer in answers:
            assert await app.result(answer.said["executions"][0], timeout=f"{SECONDS:.0f}s")
    await app.close()

    given = [seen[UUID(answer.said["delivery"])] for answer in answers]
    assert given == [
        [value] * 2
        for value in (
            "",
            "\0",
            '{"a":"\\u0000\x00"}',
            {"base64": b64encode(HOSTILE[3]).decode()},
            '"\\ud800"',
            HOSTILE[5].decode(),
            HOSTILE[6].decode(),
            {"n": 123456789012345678901234567890, "f": 0.1},
            HOSTILE[8].decode(),
            {"bom": True},
            "a=1&b=%00",
        )
    ]


async def test_hundred_of_one_delivery_at_once_on_two_servers_are_one(database_url: str, serve_hooks: Serve) -> None:
    """F103, F104."""
    await declare(database_url)
    ports = [serve_hooks().port, serve_hooks().port]

    answers = await asyncio.gather(*(send(ports[n % 2], shopify(b'{"n":%d}' % n)) for n in range(100)))

    assert {answer.status for answer in answers} == {202}
    assert len({(answer.said["delivery"], *answer.said["executions"]) for answer in answers}) == 1
    assert sum(not answer.said["duplicate"] for answer in answers) == 1
    async with App(database_url) as app:
        assert len(await app.list()) == 1
        (kept,) = await app.deliveries()
        assert kept.duplicates == 99


async def test_database_that_is_down_is_503_and_the_delivery_is_accepted_afterwards(serve_hooks: Serve) -> None:
    with own_server() as database:
        migrate(database.url)
        port = serve_hooks(database.url).port
        assert (await send(port, shopify(id="first"))).status == 202

        database.stop()
        refused = await send(port, shopify(id="second"))
        forged = await send(port, shopify(secret=OTHER))
        database.start()
        accepted = await send(port, shopify(id="second"))

    assert (refused.status, forged.status) == (503, 503)
    assert int(refused.headers["retry-after"]) > 0
    assert (accepted.status, accepted.said["duplicate"]) == (202, False)


async def test_senders_that_abort_leave_no_connection_behind(database_url: str, serve_hooks: Serve) -> None:
    """F35: neither of the database's, nor of the server's."""
    server = serve_hooks()
    request = shopify(b"x" * 10_000)
    assert (await send(server.port, request)).status == 202
    before = connections(database_url), open_files(server.pid)

    for _ in range(10):
        senders = await asyncio.gather(*(Sender.to(server.port) for _ in range(100)))
        for number, sender in enumerate(senders):
            whole = head(request, "/hooks/shopify") + request.body
            sender.write(whole if number % 2 else whole[:-1_000])
        await asyncio.sleep(0)
        for sender in senders:
            sender.abort()

    assert (await send(server.port, request)).said["duplicate"]
    async with asyncio.timeout(SECONDS):
        while open_files(server.pid) > before[1]:
            assert (await send(server.port, request)).status == 202
    assert connections(database_url) == before[0]


def connections(url: str) -> int:
    with psycopg.connect(url) as raw:
        row = raw.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend' and application_name = 'stepwell'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_thousand_slow_senders_hold_up_nobody(serve_hooks: Serve) -> None:
    port = serve_hooks().port
    slow = [await Sender.to(port) for _ in range(1_000)]
    for number, sender in enumerate(slow):
        request = shopify(id=str(number))
        sender.write((head(request, "/hooks/shopify") + request.body)[:-1])

    answers = await asyncio.gather(*(send(port, shopify(id=f"quick {n}")) for n in range(50)))

    assert {answer.status for answer in answers} == {202}
    slow[0].write(b"}")
    assert (await slow[0].answer()).status == 202
    for sender in slow:
        sender.abort()


async def test_slow_body_is_given_up(serve_hooks: Serve) -> None:
    sender = await Sender.to(serve_hooks(HOOK_READ_SECONDS="0.2").port)
    sender.write((head(shopify(), "/hooks/shopify") + shopify().body)[:-1])

    assert (await sender.answer()).status == 408
    sender.abort()


@pytest.mark.parametrize("point", ["before_webhook_commit", "before_webhook_answer"])
async def test_server_that_dies_about_a_commit_has_answered_nothing_that_is_not_stored(
    database_url: str, serve_hooks: Serve, point: str
) -> None:
    """F102: killed before the commit it is as if it had not come; after it, the repetition is a duplicate."""
    await declare(database_url)
    dying = serve_hooks(STEPWELL_FAILPOINTS=f"{point}=kill")

    with pytest.raises((OSError, EOFError)):
        await send(dying.port, shopify())
    dying.wait()
    again = await send(serve_hooks().port, shopify())

    assert (again.status, again.said["duplicate"]) == (202, point == "before_webhook_answer")
    store = PostgresStore(database_url)
    assert [row.id for row in await store.list(EVERYTHING, limit=10)] == [
        ExecutionId(UUID(id)) for id in again.said["executions"]
    ]
    await store.close()
