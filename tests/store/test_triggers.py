"""Events start executions: each is decided once for each trigger that was in force; on memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from stepwell.core.dispatching import Dispatch, Settled, TriggerSpec
from stepwell.core.events import address
from stepwell.core.model import ExecutionId, Filter, NewEvent, NewExecution
from stepwell.store.base import Backend
from stepwell.store.identity import new_id
from stepwell.store.postgres import PostgresStore
from tests.store.world import DAY, MINUTE, SIGNAL_SECONDS, Hints, PostgresWorld, World

ORDERS = TriggerSpec("orders", "order", "order.*")


async def declare(world: World, *specs: TriggerSpec, workflows: Sequence[str] = ("order",)) -> None:
    await world.store.triggers.apply_triggers(specs, workflows=workflows)


async def send(world: World, name: str = "order.created", **fields: Any) -> None:
    sent = await world.store.send(NewEvent(name, **{"address": "", "payload": b"7", **fields}))
    assert sent is not None


async def take(world: World, *triggers: str, limit: int = 100) -> Sequence[Dispatch]:
    return await world.store.triggers.take(triggers or ("orders",), limit=limit, lease_for=MINUTE)


def start(dispatch: Dispatch) -> Settled:
    new = NewExecution(ExecutionId(new_id()), "order", dispatch.payload or b"", key=dispatch.key)
    return Settled(dispatch, new)


async def keys(store: Backend) -> list[str | None]:
    """The keys of all executions, the oldest first."""
    return [one.key for one in reversed(await store.list(Filter(), limit=1_000))]


# --- declaring ----------------------------------------------------------------------------------------------------


async def test_declared_triggers_are_listed(world: World) -> None:
    odd = TriggerSpec("odd", "order", r"100%_\*x")

    await declare(world, ORDERS, odd)

    found = await world.store.triggers.triggers()
    assert [(one.id, one.workflow, one.pattern, one.is_declared) for one in found] == [
        ("odd", "order", r"100%_\*x", True),
        ("orders", "order", "order.*", True),
    ]


async def test_trigger_that_is_no_longer_declared_is_switched_off_and_kept(world: World) -> None:
    await declare(world, ORDERS)

    await declare(world)
    await send(world)

    assert [one.is_declared for one in await world.store.triggers.triggers()] == [False]
    assert await take(world) == []


async def test_trigger_of_a_workflow_that_the_process_does_not_have_stays_on(world: World) -> None:
    await declare(world, ORDERS)

    await declare(world, workflows=["invoice"])

    assert [one.is_declared for one in await world.store.triggers.triggers()] == [True]


async def test_ten_processes_that_declare_at_once_agree(postgres: PostgresWorld) -> None:
    """F95."""
    specs = [TriggerSpec(f"t{number}", "order", "order.*") for number in range(20)]
    stores = [PostgresStore(postgres.url) for _ in range(10)]

    applying = [
        store.triggers.apply_triggers(Random(number).sample(specs, 20 - number % 2), workflows=["order"])
        for number, store in enumerate(stores)
    ]
    async with asyncio.timeout(SIGNAL_SECONDS):
        await asyncio.gather(*applying)
    await declare(postgres, *specs)

    assert {one.is_declared for one in await postgres.store.triggers.triggers()} == {True}
    for store in stores:
        await store.close()


# --- matching -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("order.*", ["order.", "order.created"]),
        ("order.created", ["order.created"]),
        ("*", ["order.", "order.created", "Order.created", "order_created", "order%created", "reorder.created"]),
        ("*.created", ["order.created", "Order.created", "reorder.created"]),
        ("*order*e*d", ["order.created", "order_created", "order%created", "reorder.created"]),
        ("order_*", ["order_created"]),
        ("order%*", ["order%created"]),
    ],
)
async def test_event_is_decided_for_the_triggers_whose_pattern_its_name_matches(
    world: World, pattern: str, names: list[str]
) -> None:
    """F67: only the star stands for anything else."""
    await declare(world, TriggerSpec("orders", "order", pattern))

    for name in ("order.", "order.created", "Order.created", "order_created", "order%created", "reorder.created"):
        await send(world, name)

    assert [one.name for one in await take(world)] == names


async def test_dispatch_has_what_the_event_says(world: World) -> None:
    await declare(world, ORDERS)
    await send(world, address=address(key="4711"), payload=b'{"n":1}', id="abc")

    (one,) = await take(world)

    assert one.info is not None
    assert (one.info.name, one.info.key, one.info.id, one.payload) == ("order.created", "4711", "abc", b'{"n":1}')
    assert one.key == f"event:order.created:4711#{one.number}"


async def test_event_that_was_sent_before_the_trigger_is_none_of_its(world: World) -> None:
    await send(world)

    await declare(world, ORDERS)

    assert await take(world) == []


async def test_repeated_event_is_decided_once(world: World) -> None:
    await declare(world, ORDERS)

    await send(world, id="abc")
    await send(world, id="abc")

    assert len(await take(world)) == 1


async def test_event_hints_at_itself(world: World) -> None:
    await declare(world, ORDERS)
    await world.store.set_idle(await world.worker(), is_idle=True)
    hints = Hints(world.store)

    await send(world)

    heard = [await hints.next()]
    while heard[-1] != "event" and len(heard) < 10:
        heard.append(await hints.next())

    assert heard[-1] == "event"


# --- deciding -----------------------------------------------------------------------------------------------------


async def test_each_trigger_decides_for_itself(world: World) -> None:
    await declare(world, ORDERS, TriggerSpec("all", "order", "*"))
    await send(world)

    both = [*await take(world, "orders"), *await take(world, "all")]

    assert [one.trigger for one in both] == ["orders", "all"]
    assert [one.waiting for one in await world.store.triggers.triggers()] == [1, 1]


async def test_what_was_taken_is_taken_by_nobody_else_until_its_time_is_over(world: World) -> None:
    await declare(world, ORDERS)
    await send(world)
    taken = await take(world)

    assert await take(world) == []
    world.advance(2 * MINUTE)
    assert [one.payload for one in await take(world)] == [one.payload for one in taken]


async def test_no_more_is_taken_than_asked_for(world: World) -> None:
    """F20."""
    await declare(world, ORDERS)
    for _ in range(5):
        await send(world)

    assert [len(await take(world, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


async def test_settled_event_starts_its_execution_and_is_gone(world: World) -> None:
    await declare(world, ORDERS)
    await send(world)
    (one,) = await take(world)

    assert await world.store.triggers.settle([start(one)]) == 1

    assert await keys(world.store) == [one.key]
    assert [trigger.waiting for trigger in await world.store.triggers.triggers()] == [0]


async def test_settled_event_may_start_nothing(world: World) -> None:
    await declare(world, ORDERS)
    await send(world)

    assert await world.store.triggers.settle([Settled(one) for one in await take(world)]) == 1
    assert await keys(world.store) == []


async def test_event_that_somebody_else_has_settled_starts_nothing_again(world: World) -> None:
    await declare(world, ORDERS)
    await send(world)
    (one,) = await take(world)

    assert [await world.store.triggers.settle([start(one)]), await world.store.triggers.settle([start(one)])] == [1, 0]
    assert await keys(world.store) == [one.key]


async def test_two_triggers_of_a_workflow_start_one_execution_for_one_event(world: World) -> None:
    await declare(world, ORDERS, TriggerSpec("all", "order", "*"))
    await send(world)

    for trigger in ("orders", "all"):
        await world.store.triggers.settle([start(one) for one in await take(world, trigger)])

    assert len(await keys(world.store)) == 1


async def test_event_that_cannot_be_decided_is_kept_with_the_reason(world: World) -> None:
    await declare(world, ORDERS)
    await send(world)
    (one,) = await take(world)

    await world.store.triggers.put_off(one, error="KeyError: 'total'", delay=5 * MINUTE)

    (trigger,) = await world.store.triggers.triggers()
    assert (trigger.waiting, trigger.error) == (1, "KeyError: 'total'")
    world.advance(2 * MINUTE)
    assert await take(world) == []
    world.advance(4 * MINUTE)
    assert len(await take(world)) == 1


async def test_event_is_kept_until_it_is_decided(world: World) -> None:
    """However long no worker has the trigger."""
    await declare(world, ORDERS)
    await send(world)
    world.advance(90 * DAY)
    await world.store.remove_events(30 * DAY)

    (one,) = await take(world)
    await world.store.triggers.settle([start(one)])

    assert one.payload == b"7"
    assert await keys(world.store) == [one.key]


async def test_key_of_a_long_event_fits_the_index(world: World) -> None:
    """F75."""
    await declare(world, TriggerSpec("orders", "order", "*"))
    await send(world, "x" * 400, address=address(key="y" * 1_200))

    await world.store.triggers.settle([start(one) for one in await take(world)])

    assert [len(str(key)) < 200 for key in await keys(world.store)] == [True]


# --- many who decide ----------------------------------------------------------------------------------------------


async def test_of_many_workers_one_settles_each_event(postgres: PostgresWorld) -> None:
    """F91, F103: they take at random, and some of what is taken is taken again before it is settled."""
    await declare(postgres, ORDERS)
    stores = [PostgresStore(postgres.url) for _ in range(4)]
    count = 250

    async def work(store: PostgresStore, random: Random) -> int:
        settled = 0
        for _ in range(count):
            nothing = random.random() < 0.5
            lease = 0 * MINUTE if nothing else MINUTE
            taken = await store.triggers.take(["orders"], limit=random.randrange(1, 5), lease_for=lease)
            settled += await store.triggers.settle([start(one) for one in taken])
        return settled

    async def produce() -> None:
        for number in range(count):
            await send(postgres, id=str(number))

    working = asyncio.gather(*[work(store, Random(n)) for n, store in enumerate(stores)])
    await produce()
    settled = await working
    postgres.advance(2 * MINUTE)
    rest = await work(stores[0], Random(9))
    for store in stores:
        await store.close()

    found = await keys(postgres.store)
    assert sum(settled) + rest == len(found) == len(set(found)) == count
