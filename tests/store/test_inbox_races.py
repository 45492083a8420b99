"""Two servers and one delivery: whichever comes first, both name the same executions. In forced orders."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from stepwell.core.model import EVERYTHING
from stepwell.core.webhooks import Accepted, HookSpec, NewDelivery
from stepwell.store.inbox import accept_parameters, batch_of
from stepwell.store.postgres import PostgresStore
from tests.store.racing import Call, Racer, Row, answer_of
from tests.store.test_inbox import ANY, delivery, started_by
from tests.store.world import DAY, SIGNAL_SECONDS, PostgresWorld

SERVERS, EACH = 2, 50


def accept(*deliveries: NewDelivery, revision: int = 0) -> Call:
    return Call("accept", accept_parameters(batch_of(deliveries), revision=revision))


def ids(rows: Sequence[Row]) -> list[object]:
    """The delivery of each row, and what it has started."""
    return [(row[0], tuple(row[4])) for row in rows]


async def test_second_of_two_servers_waits_and_names_what_the_first_one_started(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F103, F104: a look before the insert would miss what is not committed yet."""
    first, second = delivery(body=b"1"), delivery(body=b"2")

    with one.transaction():
        one.run(accept(first))
        answer = other.start_and_block(accept(second))

    assert ids(answer_of(answer)) == [(first.id, started_by(first))]
    assert [row.input for row in await postgres.store.list(EVERYTHING, limit=10)] == [b"1"]
    kept = await postgres.store.inbox.delivery(first.id)
    assert kept is not None
    assert kept.duplicates == 1


async def test_second_of_two_servers_takes_it_when_the_first_one_rolls_back(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    first, second = delivery(body=b"1"), delivery(body=b"2")

    with one.transaction(force_rollback=True):
        one.run(accept(first))
        answer = other.start_and_block(accept(second))

    assert ids(answer_of(answer)) == [(second.id, started_by(second))]
    assert [row.input for row in await postgres.store.list(EVERYTHING, limit=10)] == [b"2"]


async def test_delivery_that_starts_nothing_is_waited_for_too(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    first, second = delivery(workflows=()), delivery(workflows=())

    with one.transaction():
        one.run(accept(first))
        answer = other.start_and_block(accept(second))

    assert ids(answer_of(answer)) == [(first.id, ())]


async def test_batches_that_share_deliveries_in_different_orders_do_not_deadlock(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """Both take executions, then deliveries, in the order of the keys."""
    a, b = delivery("a"), delivery("b")

    with one.transaction():
        one.run(accept(b, a))
        answer = other.start_and_block(accept(delivery("a"), delivery("b")))

    assert sorted(map(str, ids(answer_of(answer)))) == sorted(map(str, [(a.id, started_by(a)), (b.id, started_by(b))]))


async def test_two_ways_of_one_event_that_race_name_one_execution(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    pushed, polled = delivery("push", subject="item:17"), delivery("poll", subject="item:17")

    with one.transaction():
        one.run(accept(pushed))
        answer = other.start_and_block(accept(polled))

    assert ids(answer_of(answer)) == [(polled.id, started_by(pushed))]
    assert len(await postgres.store.list(EVERYTHING, limit=10)) == 1


async def test_servers_that_knew_different_hooks_name_all_that_was_started(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The second one already knew of another trigger when it took what the first one was just storing."""
    first, second = delivery(), delivery(workflows=("order", "audit"))

    with one.transaction():
        one.run(accept(first))
        answer = other.start_and_block(accept(second))

    started = (*started_by(first), started_by(second)[1])
    assert ids(answer_of(answer)) == [(first.id, started)]
    assert {row.id for row in await postgres.store.list(EVERYTHING, limit=10)} == set(started)


async def test_hook_that_is_declared_meanwhile_makes_the_next_call_stale(postgres: PostgresWorld, one: Racer) -> None:
    spec = HookSpec("orders", "order", "default", None, "shopify", ("*",))
    await postgres.store.inbox.apply_hooks([spec], workflows=["order"])

    assert one.run(accept(delivery(), revision=0)) == []
    assert len(one.run(accept(delivery(), revision=1))) == 1


async def test_retention_leaves_a_delivery_that_comes_again_just_now(postgres: PostgresWorld, one: Racer) -> None:
    first = delivery()
    one.run(accept(first))
    postgres.advance(8 * DAY)

    with one.transaction():
        one.run(accept(delivery()))
        assert not await postgres.store.remove_deliveries(7 * DAY)
        assert len(await postgres.store.inbox.deliveries(ANY, before=None, limit=10)) == 1

    await postgres.store.remove_deliveries(7 * DAY)
    assert await postgres.store.inbox.deliveries(ANY, before=None, limit=10) == []


async def test_hundred_deliveries_at_once_on_two_servers_are_one(postgres: PostgresWorld) -> None:
    """F103, F104."""
    stores = [PostgresStore(postgres.url) for _ in range(SERVERS)]
    template = delivery()

    async def arrive(store: PostgresStore, number: int) -> Accepted:
        one = replace(delivery(), starts=delivery(body=b"%d" % number).starts)
        accepted = await store.inbox.accept([one], revision=0)
        assert accepted is not None
        return accepted[0]

    async with asyncio.timeout(SIGNAL_SECONDS):
        answers = await asyncio.gather(*(arrive(stores[number % SERVERS], number) for number in range(SERVERS * EACH)))

    assert len({(one.id, one.executions) for one in answers}) == 1
    assert sum(one.is_new for one in answers) == 1
    assert len(await postgres.store.list(EVERYTHING, limit=200)) == len(template.starts)
    kept = await postgres.store.inbox.delivery(answers[0].id)
    assert kept is not None
    assert kept.duplicates == SERVERS * EACH - 1
    for store in stores:
        await store.close()
