"""A request in, an answer out: what each answer means, and what it leaves behind. On the memory store."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from stepwell.core.model import EVERYTHING
from stepwell.core.webhooks import Accepted, DeliveryFilter, Endpoint, HookSpec, NewDelivery
from stepwell.errors import DatabaseUnavailable
from stepwell.inbox.receiving import Receiver
from stepwell.sources import Request
from tests.inbox.office import ACME, ORDERS, OTHER, SECRET, Endpoints, Office, executions_of, said, shopify

ANY = DeliveryFilter()
SIGNAL_SECONDS = 10.0


async def inputs(office: Office) -> list[dict[str, Any]]:
    """Of all executions, the oldest first."""
    return [json.loads(one.input) for one in reversed(await office.store.list(EVERYTHING, limit=1_000))]


# --- 202 ------------------------------------------------------------------------------------------------------------


async def test_delivery_is_answered_with_the_executions_that_it_has_started() -> None:
    office = Office()
    await office.declare(ORDERS)

    reply = await office.receive(shopify(b'{"id":820982911946154508}'))

    assert (reply.status, said(reply)["duplicate"]) == (202, False)
    (execution,) = [await office.store.get(id) for id in executions_of(reply)]  # type: ignore[arg-type]
    assert execution is not None
    assert (execution.workflow, execution.queue) == ("order", "crm")
    assert (execution.key or "").startswith("webhook:shopify:acme:")
    (given,) = await inputs(office)
    event = given["event"]
    assert event.pop("received_at")
    assert event.pop("headers")["x-shopify-topic"] == "orders/create"
    assert event == {
        "delivery": said(reply)["delivery"],
        "source": "shopify",
        "type": "orders/create",
        "connection": "acme",
        "subject": None,
        "raw": {"id": 820982911946154508},
    }


async def test_duplicate_is_answered_with_the_same_ids() -> None:
    """F103."""
    office = Office()
    await office.declare(ORDERS)
    first = await office.receive(shopify())

    again = await office.receive(shopify())

    assert again.status == 202
    assert said(again) == said(first) | {"duplicate": True}
    assert len(await inputs(office)) == 1


async def test_delivery_that_no_hook_takes_is_kept_and_starts_nothing() -> None:
    office = Office()

    reply = await office.receive(shopify(type="products/create"))

    assert (reply.status, said(reply)["executions"]) == (202, [])
    (kept,) = await office.store.inbox.deliveries(ANY, before=None, limit=10)
    assert kept.type == "products/create"


async def test_workflow_with_two_hooks_that_take_it_is_started_once() -> None:
    office = Office()
    await office.declare(ORDERS, replace(ORDERS, id="all", types=("*",)), replace(ORDERS, id="b", workflow="audit"))

    await office.receive(shopify())

    assert sorted(one.workflow for one in await office.store.list(EVERYTHING, limit=10)) == ["audit", "order"]


async def test_workflow_without_a_parameter_is_started_all_the_same() -> None:
    office = Office()
    await office.declare(replace(ORDERS, parameter=None))

    await office.receive(shopify())

    assert await inputs(office) == [{}]


async def test_no_secret_is_among_the_headers_that_are_kept() -> None:
    office = Office(Endpoint("acme", "generic", (SECRET,), settings={"hook_proof": "api-key"}))
    await office.declare(HookSpec("any", "order", "default", "event", "generic", ("*",)))
    headers = {"X-Api-Key": SECRET.decode(), "Authorization": "Bearer x", "Cookie": "a=b", "X-Kept": "1"}

    reply = await office.receive(Request.post(headers, b"{}"), source="generic")

    assert reply.status == 202
    (kept,) = await office.store.inbox.deliveries(ANY, before=None, limit=10)
    whole = await office.store.inbox.delivery(kept.id)
    assert whole is not None
    assert whole.headers == {"x-kept": "1"}
    assert (await inputs(office))[0]["event"]["headers"] == {"x-kept": "1"}


# --- where it belongs -----------------------------------------------------------------------------------------------


SHARED = [replace(ACME, connection=name, tenant=f"{name}.myshopify.com") for name in ("b-shop", "a-shop", "c-shop")]


@pytest.mark.parametrize(
    ("tenant", "connection", "belongs_to"),
    [
        ("b-shop.myshopify.com", None, "b-shop"),
        ("unknown.myshopify.com", None, "a-shop"),
        ("b-shop.myshopify.com", "c-shop", "c-shop"),
    ],
)
async def test_of_several_that_share_a_secret_the_tenant_decides_and_then_the_name(
    tenant: str, connection: str | None, belongs_to: str
) -> None:
    """The security table: tenant confusion. A body can only choose among those whose secret has signed it."""
    office = Office(*SHARED)

    await office.receive(shopify(tenant=tenant), connection)

    (kept,) = await office.store.inbox.deliveries(ANY, before=None, limit=10)
    assert kept.connection == belongs_to


async def test_connection_whose_secret_proves_it_gets_it() -> None:
    office = Office(ACME, replace(ACME, connection="other", secrets=(OTHER,)))

    await office.receive(shopify(secret=OTHER))

    (kept,) = await office.store.inbox.deliveries(ANY, before=None, limit=10)
    assert kept.connection == "other"


async def test_hook_of_one_connection_takes_no_delivery_of_another() -> None:
    office = Office(*SHARED)
    await office.declare(replace(ORDERS, connection="a-shop"))

    replies = [await office.receive(shopify(id=name), name) for name in ("a-shop", "b-shop")]

    assert [len(executions_of(reply)) for reply in replies] == [1, 0]


# --- what is refused -------------------------------------------------------------------------------------------------


async def test_wrong_signature_is_401_and_nothing_is_stored() -> None:
    office = Office()

    reply = await office.receive(shopify(secret=OTHER))

    assert reply.status == 401
    assert await office.store.inbox.deliveries(ANY, before=None, limit=10) == []


async def test_signed_delivery_without_its_type_is_401_with_the_reason() -> None:
    office = Office()
    proven = shopify()
    bare = Request("POST", [pair for pair in proven.headers if b"opic" not in pair[0]], proven.body)

    reply = await office.receive(bare)

    assert reply.status == 401
    assert "X-Shopify-Topic" in said(reply)["detail"]


@pytest.mark.parametrize(("source", "connection"), [("nobody", None), ("shopify", "other"), ("github", None)])
async def test_path_that_takes_nothing_is_404(source: str, connection: str | None) -> None:
    assert (await Office().receive(shopify(), connection, source)).status == 404


async def test_delivery_whose_input_would_not_fit_is_413() -> None:
    """F74."""
    office = Office()
    await office.declare(ORDERS)
    noise = b'"%s"' % b"".join(b"%032x" % (pow(3, n, 2**127 - 1)) for n in range(70_000))

    reply = await office.receive(shopify(noise))

    assert reply.status == 413
    assert await office.store.inbox.deliveries(ANY, before=None, limit=10) == []


async def test_refusals_say_nothing_of_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    office = Office()
    caplog.set_level(logging.DEBUG)

    replies = [
        await office.receive(shopify(b"CANARY-BODY", secret=OTHER)),
        await office.receive(shopify(b"CANARY-BODY"), "CANARY-NAME"),
    ]

    assert [reply.status for reply in replies] == [401, 404]
    assert b"CANARY" not in b"".join(reply.body for reply in replies)
    assert "CANARY" not in caplog.text
    assert SECRET.decode() not in caplog.text


# --- what changes meanwhile ------------------------------------------------------------------------------------------


async def test_new_secret_counts_at_once() -> None:
    office = Office()
    assert (await office.receive(shopify(secret=OTHER))).status == 401

    office.change(replace(ACME, secrets=(SECRET, OTHER)))

    assert (await office.receive(shopify(secret=OTHER))).status == 202


async def test_secret_that_was_taken_back_no_longer_counts() -> None:
    office = Office()
    assert (await office.receive(shopify())).status == 202

    office.change(replace(ACME, secrets=(OTHER,)))

    assert (await office.receive(shopify(id="event-2"))).status == 401
    assert len(await office.store.inbox.deliveries(ANY, before=None, limit=10)) == 1


async def test_connection_that_was_just_made_is_found_at_once() -> None:
    office = Office()
    assert (await office.receive(shopify(), "other")).status == 404

    office.change(ACME, replace(ACME, connection="other"))

    assert (await office.receive(shopify(), "other")).status == 202


async def test_hook_that_was_just_declared_takes_the_next_delivery() -> None:
    office = Office()
    assert executions_of(await office.receive(shopify())) == []

    await office.declare(ORDERS)

    assert len(executions_of(await office.receive(shopify(id="event-2")))) == 1


async def test_deliveries_cost_no_reading() -> None:
    office = Office()

    for number in range(5):
        assert (await office.receive(shopify(id=str(number)))).status == 202

    assert office.endpoints.questions == 1


async def test_thousand_that_are_refused_at_once_share_a_few_looks() -> None:
    """Whoever has no secret costs the database next to nothing."""
    office = Office()
    counted = CountedInbox(office)
    office.receiver = Receiver(counted, office.endpoints, now=office.store.now)

    replies = await asyncio.gather(*(office.receive(shopify(secret=OTHER)) for _ in range(1_000)))

    assert {reply.status for reply in replies} == {401}
    assert counted.looks <= 3


# --- when the database does not answer -------------------------------------------------------------------------------


class CountedInbox:
    """The office's inbox; `fails` is raised by the next calls."""

    def __init__(self, office: Office) -> None:
        self._inbox = office.store.inbox
        self.looks, self.batches = 0, list[int]()
        self.fails: Exception | None = None
        self.poison: bytes | None = None
        self.began, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox, name)

    async def hooks(self) -> tuple[int, Sequence[HookSpec]]:
        self.looks += 1
        return await self._inbox.hooks()

    async def accept(self, deliveries: Sequence[NewDelivery], *, revision: int) -> Sequence[Accepted] | None:
        self.batches.append(len(deliveries))
        self.began.set()
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        if any(one.body == self.poison for one in deliveries):
            raise psycopg.errors.CharacterNotInRepertoire("no")
        return await self._inbox.accept(deliveries, revision=revision)


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def counted(office: Office) -> CountedInbox:
    counted = CountedInbox(office)
    office.receiver = Receiver(counted, office.endpoints, now=office.store.now)
    return counted


class DiskFull(psycopg.errors.DiskFull):
    sqlstate = "53100"


@pytest.mark.parametrize("error", [DatabaseUnavailable("gone"), DiskFull("full")])
async def test_delivery_that_cannot_be_stored_is_503_and_accepted_afterwards(
    office: Office, counted: CountedInbox, error: Exception
) -> None:
    counted.fails = error

    refused = await office.receive(shopify())
    counted.fails = None
    accepted = await office.receive(shopify())

    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert (accepted.status, said(accepted)["duplicate"]) == (202, False)


async def test_database_that_hangs_is_answered_in_time(
    office: Office, counted: CountedInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell.inbox.gathering.STORE_WITHIN", timedelta(milliseconds=50))
    counted.gate.clear()

    reply = await office.receive(shopify())
    counted.gate.set()

    assert reply.status == 503
    assert (await office.receive(shopify())).status == 202


async def test_endpoints_that_cannot_be_read_are_503(office: Office) -> None:
    class Gone(Endpoints):
        async def endpoints(self) -> Sequence[Endpoint]:
            raise DatabaseUnavailable("gone")

    office.receiver = Receiver(office.store.inbox, Gone(), now=office.store.now)

    assert (await office.receive(shopify())).status == 503


async def test_deliveries_that_arrive_during_one_statement_are_the_next_one(
    office: Office, counted: CountedInbox
) -> None:
    counted.gate.clear()
    first = asyncio.create_task(office.receive(shopify(id="0")))
    async with asyncio.timeout(SIGNAL_SECONDS):
        await counted.began.wait()
        others = [asyncio.create_task(office.receive(shopify(id=str(n)))) for n in range(1, 100)]
        for _ in range(50):  # turns of the loop, until all of them wait
            await asyncio.sleep(0)
        counted.gate.set()
        replies = await asyncio.gather(first, *others)

    assert {reply.status for reply in replies} == {202}
    assert counted.batches == [1, 99]


async def test_delivery_that_the_database_refuses_harms_no_other(office: Office, counted: CountedInbox) -> None:
    """F7."""
    counted.poison = b"poison"
    bodies = [b"poison" if n == 3 else b"%d" % n for n in range(8)]

    replies = await asyncio.gather(*(office.receive(shopify(body, id=str(n))) for n, body in enumerate(bodies)))

    assert [reply.status for reply in replies] == [202, 202, 202, 400, 202, 202, 202, 202]


# --- handshakes ------------------------------------------------------------------------------------------------------


async def test_handshake_is_answered_and_nothing_is_stored() -> None:
    office = Office(Endpoint("hub", "cloudevents", (SECRET,)))
    request = Request("OPTIONS", [(b"WebHook-Request-Origin", b"events.example.com")])

    reply = await office.receive(request, source="cloudevents")

    assert reply.status == 200
    assert reply.headers["WebHook-Allowed-Origin"]
    assert await office.store.inbox.deliveries(ANY, before=None, limit=10) == []
