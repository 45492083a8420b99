"""Deliveries of webhooks: stored once, with the executions that they start; on memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from stepwell.core.model import EVERYTHING, ExecutionId, NewExecution
from stepwell.core.webhooks import Accepted, DeliveryFilter, Envelope, HookSpec, NewDelivery, execution_key
from stepwell.store.base import Backend
from stepwell.store.identity import new_id
from stepwell.store.postgres import PostgresStore
from tests.store.world import DAY, HOUR, MINUTE, SIGNAL_SECONDS, Hints, PostgresWorld, World

ORDERS = HookSpec("orders", "order", "crm", "event", "shopify", ("orders/*", "refunds/create"), "acme")
ANY = DeliveryFilter()
HOSTILE = b'\x00\xff\xfe{"n":123456789012345678901234567890,"t":"\\ud800\\u0000"}' + b"[" * 5_000


def delivery(
    key: str = "abc",
    *,
    workflows: tuple[str, ...] = ("order",),
    subject: str | None = None,
    source: str = "shopify",
    connection: str | None = "acme",
    body: bytes = b"{}",
    type: str = "orders/create",
    is_reconciled: bool = False,
    id: UUID | None = None,
) -> NewDelivery:
    """One that starts an execution of each of the workflows."""
    envelope = Envelope(type, key, subject)
    execution = execution_key(source, connection, envelope)
    starts = tuple(NewExecution(ExecutionId(new_id()), name, body, key=execution) for name in workflows)
    headers = {"Content-Type": "application/json"}
    return NewDelivery(id or new_id(), source, connection, envelope, headers, body, starts, is_reconciled)


async def accept(world: World, *deliveries: NewDelivery) -> list[Accepted]:
    revision, _ = await world.store.inbox.hooks()
    accepted = await world.store.inbox.accept(deliveries, revision=revision)
    assert accepted is not None
    return list(accepted)


def started_by(one: NewDelivery) -> tuple[ExecutionId, ...]:
    return tuple(new.id for new in one.starts)


async def inputs(store: Backend) -> dict[ExecutionId, bytes]:
    return {one.id: one.input for one in await store.list(EVERYTHING, limit=1_000)}


# --- declaring ----------------------------------------------------------------------------------------------------


async def test_declared_hooks_are_in_force_by_id(world: World) -> None:
    other = HookSpec("any", "refund", "default", None, "github", ("*",))

    await world.store.inbox.apply_hooks([ORDERS, other], workflows=["order", "refund"])

    assert (await world.store.inbox.hooks())[1] == [other, ORDERS]


async def test_hook_that_is_no_longer_declared_is_not_in_force(world: World) -> None:
    await world.store.inbox.apply_hooks([ORDERS], workflows=["order"])

    await world.store.inbox.apply_hooks([], workflows=["order"])

    assert (await world.store.inbox.hooks())[1] == []


async def test_hook_of_a_workflow_that_the_process_does_not_have_stays_in_force(world: World) -> None:
    await world.store.inbox.apply_hooks([ORDERS], workflows=["order"])

    await world.store.inbox.apply_hooks([], workflows=["refund"])

    assert (await world.store.inbox.hooks())[1] == [ORDERS]


@pytest.mark.parametrize(
    "changed",
    [
        [],
        [replace(ORDERS, types=("orders/*",))],
        [replace(ORDERS, queue="default")],
        [replace(ORDERS, connection=None)],
        [replace(ORDERS, parameter=None)],
        [replace(ORDERS, source="github")],
        [ORDERS, replace(ORDERS, id="more")],
    ],
)
async def test_revision_grows_with_what_changes(world: World, changed: list[HookSpec]) -> None:
    await world.store.inbox.apply_hooks([ORDERS], workflows=["order"])
    before, _ = await world.store.inbox.hooks()

    await world.store.inbox.apply_hooks(changed, workflows=["order"])

    assert (await world.store.inbox.hooks())[0] == before + 1


async def test_revision_stays_when_nothing_changes(world: World) -> None:
    await world.store.inbox.apply_hooks([ORDERS], workflows=["order"])
    before, _ = await world.store.inbox.hooks()

    await world.store.inbox.apply_hooks([ORDERS], workflows=["order"])

    assert (await world.store.inbox.hooks())[0] == before


async def test_ten_processes_that_declare_hooks_at_once_agree(postgres: PostgresWorld) -> None:
    """F95."""
    specs = [replace(ORDERS, id=f"h{number}") for number in range(20)]
    stores = [PostgresStore(postgres.url) for _ in range(10)]

    applying = [
        store.inbox.apply_hooks(Random(number).sample(specs, 20 - number % 2), workflows=["order"])
        for number, store in enumerate(stores)
    ]
    async with asyncio.timeout(SIGNAL_SECONDS):
        await asyncio.gather(*applying)
    await postgres.store.inbox.apply_hooks(specs, workflows=["order"])

    assert len((await postgres.store.inbox.hooks())[1]) == len(specs)
    for store in stores:
        await store.close()


# --- accepting ----------------------------------------------------------------------------------------------------


async def test_delivery_starts_an_execution_of_each_workflow(world: World) -> None:
    one = delivery(workflows=("order", "audit"), body=b'{"n":1}')

    (accepted,) = await accept(world, one)

    assert accepted == Accepted(one.id, started_by(one), is_new=True)
    found = [await world.see(id) for id in accepted.executions]
    assert [(row.workflow, row.input, row.key) for row in found] == [
        ("order", b'{"n":1}', "webhook:shopify:acme:abc"),
        ("audit", b'{"n":1}', "webhook:shopify:acme:abc"),
    ]


async def test_delivery_that_starts_nothing_is_kept(world: World) -> None:
    one = delivery(workflows=())

    (accepted,) = await accept(world, one)

    assert accepted == Accepted(one.id, (), is_new=True)
    assert await world.store.inbox.delivery(one.id) is not None


async def test_body_and_headers_are_kept_as_they_came(world: World) -> None:
    """F68-F71, F74: whatever the bytes are."""
    one = replace(delivery(workflows=(), body=HOSTILE), headers={"X-Name": "caf\xe9 \u2713", "X-Empty": ""})

    await accept(world, one)

    kept = await world.store.inbox.delivery(one.id)
    assert kept is not None
    assert (kept.body, kept.headers) == (HOSTILE, {"X-Name": "caf\xe9 \u2713", "X-Empty": ""})
    assert (kept.type, kept.dedupe_key, kept.subject) == ("orders/create", "abc", None)
    assert (kept.source, kept.connection, kept.is_reconciled) == ("shopify", "acme", False)


async def test_duplicate_is_counted_and_answered_as_the_first_one(world: World) -> None:
    """F103."""
    first, again = delivery(body=b"1"), delivery(body=b"2")
    await accept(world, first)

    (accepted,) = await accept(world, again)

    assert accepted == Accepted(first.id, started_by(first), is_new=False)
    assert await inputs(world.store) == {started_by(first)[0]: b"1"}
    kept = await world.store.inbox.delivery(first.id)
    assert kept is not None
    assert (kept.duplicates, kept.body) == (1, b"1")


async def test_duplicate_starts_nothing_even_when_what_it_started_has_been_removed(world: World) -> None:
    one = delivery()
    await accept(world, one)
    session = await world.worker()
    assert await world.claimed_ids(session) == list(started_by(one))
    await world.end(session, started_by(one)[0])
    world.advance(DAY)
    await world.store.remove({"order": HOUR})

    (accepted,) = await accept(world, delivery())

    assert accepted == Accepted(one.id, started_by(one), is_new=False)
    assert await inputs(world.store) == {}


async def test_duplicates_within_one_call_are_one_delivery(world: World) -> None:
    first, again, last = delivery(), delivery(), delivery()

    accepted = await accept(world, first, again, last)

    assert [one.id for one in accepted] == [first.id] * 3
    assert [one.is_new for one in accepted] == [True, False, False]
    assert {one.executions for one in accepted} == {started_by(first)}
    kept = await world.store.inbox.delivery(first.id)
    assert kept is not None
    assert kept.duplicates == 2


async def test_key_is_its_own_for_each_source_and_connection(world: World) -> None:
    ones = [delivery(), delivery(connection="other"), delivery(connection=None), delivery(source="github")]

    accepted = await accept(world, *ones)

    assert [one.is_new for one in accepted] == [True] * 4
    assert len(await inputs(world.store)) == 4
    assert [(await world.store.inbox.delivery(one.id)).connection for one in ones] == ["acme", "other", None, "acme"]  # type: ignore[union-attr]


async def test_two_deliveries_of_one_subject_name_one_execution(world: World) -> None:
    """A reconcile poll and the webhook tell of the same thing in two ways."""
    pushed, polled = delivery("push-1", subject="item:17"), delivery("poll-1", subject="item:17", is_reconciled=True)
    await accept(world, pushed)

    (accepted,) = await accept(world, polled)

    assert accepted == Accepted(polled.id, started_by(pushed), is_new=True)
    assert list(await inputs(world.store)) == list(started_by(pushed))


async def test_two_deliveries_of_one_subject_in_one_call_name_one_execution(world: World) -> None:
    first, second = delivery("1", subject="item:17", body=b"1"), delivery("2", subject="item:17", body=b"2")

    accepted = await accept(world, first, second)

    assert [one.executions for one in accepted] == [started_by(first)] * 2
    assert await inputs(world.store) == {started_by(first)[0]: b"1"}


async def test_new_delivery_beside_a_duplicate_of_the_same_subject_starts_its_own(world: World) -> None:
    """What the duplicate once started has been removed; that the other one tells of it again is news."""
    old = delivery("1", subject="item:17")
    await accept(world, old)
    session = await world.worker()
    await world.claimed_ids(session)
    await world.end(session, started_by(old)[0])
    world.advance(DAY)
    await world.store.remove({"order": HOUR})

    accepted = await accept(world, delivery("1", subject="item:17"), delivery("2", subject="item:17", body=b"2"))

    assert accepted[0] == Accepted(old.id, started_by(old), is_new=False)
    assert await inputs(world.store) == {accepted[1].executions[0]: b"2"}


async def test_some_new_some_taken_executions_are_named_in_their_order(world: World) -> None:
    known = delivery("1", subject="item:17", workflows=("audit",))
    await accept(world, known)
    more = delivery("2", subject="item:17", workflows=("order", "audit", "bill"))

    _, accepted = await accept(world, delivery("3", workflows=()), more)

    assert accepted.executions == (started_by(more)[0], started_by(known)[0], started_by(more)[2])


async def test_stale_revision_changes_nothing(world: World) -> None:
    one = delivery()
    before, _ = await world.store.inbox.hooks()
    await world.store.inbox.apply_hooks([ORDERS], workflows=["order"])

    assert await world.store.inbox.accept([one], revision=before) is None

    assert await world.store.inbox.delivery(one.id) is None
    assert await inputs(world.store) == {}


async def test_no_deliveries_are_accepted_at_once(world: World) -> None:
    assert await accept(world) == []


async def test_call_that_took_effect_is_repeated_without_a_change(world: World) -> None:
    """F23: the answer was lost with the connection."""
    ones = [delivery("1"), delivery("2", workflows=())]
    first = await accept(world, *ones)

    again = await accept(world, *ones)

    assert again == first
    assert [(await world.store.inbox.delivery(one.id)).duplicates for one in ones] == [0, 0]  # type: ignore[union-attr]
    assert list(await inputs(world.store)) == list(started_by(ones[0]))


async def test_idle_worker_hears_of_a_delivery_that_starts_something(world: World) -> None:
    session = await world.worker()
    await world.store.set_idle(session, is_idle=True)
    hints = Hints(world.store)

    await accept(world, delivery())

    assert await hints.next() == "work"


# --- listing ------------------------------------------------------------------------------------------------------


async def test_deliveries_are_listed_newest_first_in_pages_without_their_bodies(world: World) -> None:
    ones = []
    for number in range(5):
        ones.append(delivery(str(number), workflows=(), body=b"large"))
        await accept(world, ones[-1])
        world.advance(MINUTE)

    first = await world.store.inbox.deliveries(ANY, before=None, limit=2)
    rest = await world.store.inbox.deliveries(ANY, before=first[-1].id, limit=10)

    assert [one.id for one in (*first, *rest)] == [one.id for one in reversed(ones)]
    assert {(one.body, *one.headers) for one in (*first, *rest)} == {(b"",)}


@pytest.mark.parametrize(
    ("which", "keys"),
    [
        (DeliveryFilter(source="github"), ["3"]),
        (DeliveryFilter(connection="other"), ["2"]),
        (DeliveryFilter(type="refunds/create"), ["4"]),
        (DeliveryFilter(is_reconciled=True), ["5"]),
        (DeliveryFilter(source="shopify", is_reconciled=False), ["4", "2", "1"]),
    ],
)
async def test_listing_is_of_what_is_meant(world: World, which: DeliveryFilter, keys: list[str]) -> None:
    for one in (
        delivery("1"),
        delivery("2", connection="other"),
        delivery("3", source="github", connection=None),
        delivery("4", type="refunds/create"),
        delivery("5", is_reconciled=True),
    ):
        await accept(world, one)
        world.advance(MINUTE)

    found = await world.store.inbox.deliveries(which, before=None, limit=10)

    assert [one.dedupe_key for one in found] == keys


async def test_page_goes_on_from_a_delivery_that_has_been_removed(postgres: PostgresWorld) -> None:
    """By when its id was made; memory's clock is another one than that of ids."""
    old, gone = delivery("1"), new_id()
    await accept(postgres, old)
    postgres.advance(MINUTE)

    found = await postgres.store.inbox.deliveries(ANY, before=gone, limit=10)

    assert [one.id for one in found] == [old.id]


async def test_unknown_delivery_is_none(world: World) -> None:
    assert await world.store.inbox.delivery(new_id()) is None


# --- replaying ----------------------------------------------------------------------------------------------------


async def test_replay_starts_new_executions_and_names_them(world: World) -> None:
    one = delivery()
    await accept(world, one)
    more = delivery(body=b"again").starts

    assert await world.store.inbox.replay(one.id, more)

    kept = await world.store.inbox.delivery(one.id)
    assert kept is not None
    assert kept.executions == (*started_by(one), more[0].id)
    assert (await world.see(more[0].id)).key is None
    assert (await accept(world, delivery()))[0].executions == kept.executions


async def test_repeated_replay_is_one(world: World) -> None:
    one = delivery()
    await accept(world, one)
    more = delivery().starts

    assert await world.store.inbox.replay(one.id, more)
    assert await world.store.inbox.replay(one.id, more)

    assert len(await inputs(world.store)) == 2


async def test_replay_of_an_unknown_delivery_starts_nothing(world: World) -> None:
    assert not await world.store.inbox.replay(new_id(), delivery().starts)

    assert await inputs(world.store) == {}


# --- retention ----------------------------------------------------------------------------------------------------


async def test_old_deliveries_are_removed_and_what_they_started_stays(world: World) -> None:
    old, new = delivery("1"), delivery("2")
    await accept(world, old)
    world.advance(8 * DAY)
    await accept(world, new)

    while await world.store.remove_deliveries(7 * DAY):
        pass

    found = await world.store.inbox.deliveries(ANY, before=None, limit=10)
    assert [one.id for one in found] == [new.id]
    assert set(await inputs(world.store)) == {*started_by(old), *started_by(new)}


async def test_delivery_that_comes_after_it_was_removed_names_the_execution_that_is_still_there(world: World) -> None:
    old, again = delivery(), delivery()
    await accept(world, old)
    world.advance(timedelta(days=8))
    while await world.store.remove_deliveries(7 * DAY):
        pass

    (accepted,) = await accept(world, again)

    assert accepted == Accepted(again.id, started_by(old), is_new=True)


async def test_keys_with_an_execution_are_told_from_those_without(world: World) -> None:
    one = delivery("push-1", subject="item:17")
    await accept(world, one)
    key = one.starts[0].key
    assert key is not None

    asked = [("order", key), ("order", "other"), ("refund", key)]
    assert await world.store.inbox.started(asked) == {("order", key)}
    assert await world.store.inbox.started([]) == set()
