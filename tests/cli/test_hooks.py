"""`stepwell hooks`: list, show and replay tell the truth; send does what a vendor does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from stepwell import App
from stepwell.core.webhooks import Envelope, HookSpec
from stepwell.inbox.starting import Found, new_delivery
from stepwell.sources import SOURCES, Request, Verified, verify
from stepwell.store.identity import new_id
from stepwell.store.postgres import PostgresStore
from tests.cli.conftest import Cli

HOOK = HookSpec("orders", "order", "crm", "event", "shopify", ("orders/*", "refunds/create"), "acme")
SECRET = "shpss_of_the_tests"
BODY = b'{"id":820982911946154508,"note":"a\\u0000b"}'


async def _take(url: str, hooks: list[HookSpec], *bodies: bytes) -> list[UUID]:
    """Have deliveries accepted by these hooks."""
    store = PostgresStore(url)
    await store.inbox.apply_hooks(hooks, workflows=["order"])
    revision, _ = await store.inbox.hooks()
    found = Found(
        "shopify", "acme", Envelope("orders/create", "-"), {"x-shopify-topic": "orders/create"}, b"", store.now()
    )
    keyed = [(Envelope("orders/create", f"key-{n}"), body) for n, body in enumerate(bodies)]
    new = [new_delivery(replace(found, envelope=envelope, body=body), hooks) for envelope, body in keyed]
    accepted = await store.inbox.accept([*new, replace(new[0], id=new_id())], revision=revision)
    assert accepted is not None
    await store.close()
    return [one.id for one in new]


def take(url: str, *bodies: bytes, hooks: tuple[HookSpec, ...] = (HOOK,)) -> list[UUID]:
    return asyncio.run(_take(url, list(hooks), *bodies))


# --- looking ----------------------------------------------------------------------------------------------------------


def test_hooks_and_deliveries_are_listed(cli: Cli, database_url: str) -> None:
    (delivery,) = take(database_url, BODY)

    header, hook, empty, columns, row = cli("hooks", "list").stdout.splitlines()

    assert header.split() == ["HOOK", "WORKFLOW", "SOURCE", "TYPES", "CONNECTION"]
    assert hook.split() == ["orders", "order", "shopify", "orders/*,", "refunds/create", "acme"]
    assert empty == ""
    assert columns.split()[:3] == ["DELIVERY", "RECEIVED", "SOURCE"]
    assert row.split()[:1] == [str(delivery)]
    assert row.split()[4:6] == ["shopify", "orders/create"]


def test_list_as_json_says_what_is_known_of_each(cli: Cli, database_url: str) -> None:
    taken = take(database_url, BODY, b"{}")

    document = json.loads(cli("hooks", "list", "--json").stdout)
    newer, older = (one["id"] for one in document["deliveries"])
    page = json.loads(cli("hooks", "list", "--before", newer, "--json").stdout)

    assert document["hooks"][0]["types"] == ["orders/*", "refunds/create"]
    assert {newer, older} == set(map(str, taken))
    assert {one["dedupe_key"]: one["duplicates"] for one in document["deliveries"]} == {"key-0": 1, "key-1": 0}
    assert [one["id"] for one in page["deliveries"]] == [older]


def test_list_is_of_what_is_asked_for(cli: Cli, database_url: str) -> None:
    take(database_url, BODY)

    for option in (["--source", "github"], ["--connection", "x"], ["--type", "x"], ["--reconciled"]):
        assert json.loads(cli("hooks", "list", *option, "--json").stdout)["deliveries"] == []


def test_list_of_nothing_says_where_it_comes_from(cli: Cli) -> None:
    stderr = cli("hooks", "list").stderr

    assert "a worker's start declares those of its code" in stderr
    assert "no such delivery has come in" in stderr


def test_show_has_headers_and_body(cli: Cli, database_url: str) -> None:
    (delivery,) = take(database_url, BODY)

    shown = cli("hooks", "show", str(delivery)).stdout
    document = json.loads(cli("hooks", "show", str(delivery), "--json").stdout)

    assert "820982911946154508" in shown
    assert "x-shopify-topic" in shown
    assert document["body"] == BODY.decode()
    assert document["headers"] == {"x-shopify-topic": "orders/create"}


def test_body_that_is_no_text_is_shown_in_base64(cli: Cli, database_url: str) -> None:
    (delivery,) = take(database_url, b"\xff\x00")

    assert json.loads(cli("hooks", "show", str(delivery), "--json").stdout)["body_base64"] == "/wA="
    assert "2 bytes that are no text" in cli("hooks", "show", str(delivery)).stdout


def test_replay_starts_new_executions(cli: Cli, database_url: str) -> None:
    (delivery,) = take(database_url, BODY)

    (line,) = cli("hooks", "replay", str(delivery)).stdout.splitlines()

    shown = json.loads(cli("hooks", "show", str(delivery), "--json").stdout)
    assert shown["executions"][1] == line


def test_replay_that_nothing_takes_says_so(cli: Cli, database_url: str) -> None:
    (delivery,) = take(database_url, BODY, hooks=())

    done = cli("hooks", "replay", str(delivery))

    assert done.exit_code == 2
    assert "no trigger takes 'orders/create' of 'shopify'" in done.stderr


@pytest.mark.parametrize("command", ["show", "replay"])
def test_unknown_delivery_is_named(cli: Cli, command: str) -> None:
    unknown = "01890000-0000-7000-8000-000000000000"

    done = cli("hooks", command, unknown)

    assert (done.exit_code, unknown in done.stderr) == (1, True)


# --- sending ----------------------------------------------------------------------------------------------------------


class Vendor:
    """A server that answers as it is told, and keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[tuple[str, Request]] = []
        self.url = ""

    @classmethod
    @contextmanager
    def answering(cls, *statuses: int) -> Iterator[Vendor]:
        vendor = cls(*statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                vendor.requests.append((self.path, Request.post(self.headers.items(), body)))
                status = vendor.statuses.pop(0) if vendor.statuses else 202
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b'{"delivery": "%d"}' % len(vendor.requests))

            def log_message(self, format: str, *args: Any) -> None:
                return

        server = HTTPServer(("127.0.0.1", 0), Handler)
        vendor.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield vendor
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture
def send(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return lambda *arguments, **options: cli("hooks", "send", *arguments, "--secret-from", "env:HOOK_SECRET", **options)


def is_proven(source: str, request: Request) -> bool:
    from datetime import UTC, datetime

    return isinstance(verify(SOURCES[source], request, [SECRET.encode()], now=datetime.now(UTC)), Verified)


@pytest.mark.parametrize(
    ("source", "type"), [("shopify", "orders/create"), ("github", "issues.opened"), ("slack", "message")]
)
def test_sample_is_sent_as_the_vendor_signs_it(send: Cli, source: str, type: str) -> None:
    with Vendor.answering() as vendor:
        done = send(source, type, "--to", vendor.url)

    ((path, request),) = vendor.requests
    assert (done.exit_code, path) == (0, f"/hooks/{source}")
    assert is_proven(source, request)
    assert done.stdout.splitlines()[1].split()[:2] == ["1", "202"]


def test_duplicates_are_the_same_delivery(send: Cli) -> None:
    with Vendor.answering() as vendor:
        done = send("shopify", "orders/create", "--to", vendor.url, "--duplicate", "2", "--json")

    assert [one["status"] for one in json.loads(done.stdout)["answers"]] == [202, 202, 202]
    assert len({request.body for _, request in vendor.requests}) == 1
    assert len({request.header("X-Shopify-Event-Id") for _, request in vendor.requests}) == 1


def test_what_is_not_answered_well_is_sent_again_after_the_vendors_delays(send: Cli) -> None:
    with Vendor.answering(503, 500) as vendor:
        done = send("shopify", "orders/create", "--to", vendor.url, "--retry-like-vendor", "--faster", "1e9")

    assert (done.exit_code, len(vendor.requests)) == (0, 3)
    assert "shopify sends it again in" in done.stderr


def test_vendor_that_never_sends_again_gives_up(send: Cli) -> None:
    with Vendor.answering(500) as vendor:
        done = send("github", "issues.opened", "--to", vendor.url, "--retry-like-vendor")

    assert (done.exit_code, len(vendor.requests)) == (1, 1)
    assert "github gives it up after 1 attempts" in done.stderr


def test_server_that_does_not_listen_is_an_answer_too(send: Cli) -> None:
    done = send("shopify", "orders/create", "--to", "http://127.0.0.1:9", "--json")

    (answer,) = json.loads(done.stdout)["answers"]
    assert (done.exit_code, answer["status"]) == (1, None)


def test_body_of_ones_own_is_sent_as_it_is(send: Cli, tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)

    with Vendor.answering() as vendor:
        send("shopify", "orders/create", "--body", str(path), "--connection", "acme", "--to", vendor.url)

    ((address, request),) = vendor.requests
    assert (address, request.body) == ("/hooks/shopify/acme", BODY)
    assert is_proven("shopify", request)


def test_secret_of_the_connection_signs(cli: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepwell.sealing import new_key

    monkeypatch.setenv("STEPWELL_KEYS", new_key("tests").text())

    async def add() -> None:
        async with App(database_url) as app:
            await app.connections.add("acme", "shopify", hook_secrets=[SECRET])

    asyncio.run(add())
    with Vendor.answering() as vendor:
        done = cli("hooks", "send", "shopify", "orders/create", "--to", vendor.url)
    unknown = cli("hooks", "send", "github", "issues.opened", "--to", vendor.url)

    assert done.exit_code == 0
    assert is_proven("shopify", vendor.requests[0][1])
    assert (unknown.exit_code, "--secret-from" in unknown.stderr) == (2, True)
    assert SECRET not in done.stdout + done.stderr + unknown.stderr


def test_samples_are_listed(cli: Cli) -> None:
    assert "orders/create" in cli("hooks", "send", "shopify").stdout.splitlines()
    assert "issues.opened" in json.loads(cli("hooks", "send", "github", "--json").stdout)["types"]
    assert cli("hooks", "send", "nobody").exit_code == 2


def test_path_of_a_hook_is_no_address_of_a_server(send: Cli) -> None:
    refused = send("github", "issues.opened", "--to", "http://127.0.0.1:8300/hooks/github/acme")

    assert refused.exit_code == 2
    assert "give the address of the server alone" in refused.stderr


def test_stored_secret_is_not_sent_to_another_machine(cli: Cli) -> None:
    """With basic authentication, a key or a bearer token it would go along as it is."""
    refused = cli("hooks", "send", "github", "push", "--to", "https://example.com")

    assert refused.exit_code == 2
    assert "which is not this machine" in refused.stderr
