"""An event starts each workflow that it triggers, once; what does not fit is kept and visible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from stepwell import App, EventInfo, Execution, InvalidOption, Status, Step, on_event
from stepwell.runtime.dispatcher import HINTED_LOOK, PLAIN_LOOK, Dispatcher
from stepwell.runtime.starters import put_in_force
from stepwell.store.memory import MemoryStore
from tests.runtime.lab import MINUTE, SECOND, SIGNAL_SECONDS, Lab
from tests.runtime.test_schedules import is_over


@dataclass(frozen=True)
class Order:
    number: int
    total: float = 0.0


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.store.is_hurried = False
    return lab


@asynccontextmanager
async def working(lab: Lab) -> AsyncIterator[None]:
    await put_in_force(lab.store, lab.app.registry)
    async with lab.worker():
        yield


async def decided(lab: Lab) -> Sequence[Execution]:
    """All executions, the oldest first, once nothing more can become of the events that were sent."""
    async with asyncio.timeout(SIGNAL_SECONDS):
        while True:
            await asyncio.sleep(0)
            if not any(one.waiting for one in await lab.app.triggers()):
                found = (await lab.app.list(limit=1_000))[::-1]
                if all(is_over(one) or is_parked(one) for one in found):
                    return found


async def told(lab: Lab) -> str:
    """What is wrong with the trigger, as soon as anything is."""
    async with asyncio.timeout(SIGNAL_SECONDS):
        while True:
            await asyncio.sleep(0)
            if error := (await lab.app.triggers())[0].error:
                return error


def is_parked(execution: Execution) -> bool:
    return "parked" in (execution.why or "")


def orders(lab: Lab, pattern: str = "order.*", **options: Any) -> list[int]:
    """The numbers of the orders that a workflow was started with."""
    seen: list[int] = []

    @lab.app.workflow(trigger=on_event(pattern, **options))
    async def ship(order: Order) -> None:
        seen.append(order.number)

    return seen


async def test_each_event_starts_one_execution_with_its_payload(lab: Lab) -> None:
    seen = orders(lab)

    async with working(lab):
        for number in range(3):
            await lab.app.send_event("order.created", Order(number))
        await lab.app.send_event("invoice.created", Order(9))
        found = await decided(lab)

    assert seen == [0, 1, 2]
    assert [one.key for one in found if one.key and one.key.startswith("event:order.created#")] == [
        one.key for one in found
    ]


async def test_one_event_starts_every_workflow_that_it_triggers(lab: Lab) -> None:
    shipped, billed = orders(lab), []

    @lab.app.workflow(trigger=[on_event("order.created"), on_event("*", id="everything")])
    async def bill(order: Order) -> None:
        billed.append(order.number)

    async with working(lab):
        await lab.app.send_event("order.created", Order(1))
        await decided(lab)

    assert (shipped, billed) == ([1], [1])


async def test_event_sent_again_starts_nothing(lab: Lab) -> None:
    """F103."""
    seen = orders(lab)

    async with working(lab):
        for _ in range(3):
            await lab.app.send_event("order.created", Order(1), id="delivery-1")
        await decided(lab)

    assert seen == [1]


async def test_event_for_a_key_or_an_execution_triggers_as_well(lab: Lab) -> None:
    seen = orders(lab)

    async with working(lab):
        await lab.app.send_event("order.created", Order(1), key="4711")
        (one,) = await decided(lab)
        await lab.app.send_event("order.created", Order(2), to=one.id)
        await decided(lab)

    assert seen == [1, 2]


async def test_where_says_which_events_start_one(lab: Lab) -> None:
    seen = orders(lab, where=lambda order: order["total"] > 100)

    async with working(lab):
        for number, total in enumerate([50.0, 150.0, 100.0, 200.0]):
            await lab.app.send_event("order.created", Order(number, total))
        await decided(lab)

    assert seen == [1, 3]


async def test_events_while_no_worker_was_there_are_not_lost(lab: Lab) -> None:
    """F26."""
    seen = orders(lab)
    async with working(lab):
        pass

    await lab.app.send_event("order.created", Order(1))
    assert [one.waiting for one in await lab.app.triggers()] == [1]
    async with working(lab):
        await decided(lab)

    assert seen == [1]


async def test_workflow_may_take_which_event_it_was(lab: Lab) -> None:
    seen: list[tuple[EventInfo, int]] = []

    @lab.app.workflow(trigger=on_event("order.*"))
    async def audit(order: Order, event: EventInfo) -> None:
        seen.append((event, order.number))

    async with working(lab):
        await lab.app.send_event("order.paid", Order(7), key="4711", id="abc")
        await decided(lab)

    ((event, number),) = seen
    assert (event.name, event.key, event.id, number) == ("order.paid", "4711", "abc", 7)
    assert event.sent_at == lab.store.now()


async def test_members_of_the_payload_are_the_parameters_of_a_workflow_with_several(lab: Lab) -> None:
    seen: list[tuple[int, str, str]] = []

    @lab.app.workflow(trigger=on_event("order.*"))
    async def ship(number: int, event: EventInfo, address: str = "unknown") -> None:
        seen.append((number, address, event.name))

    async with working(lab):
        await lab.app.send_event("order.created", {"number": 1, "address": "here"})
        await lab.app.send_event("order.created", {"number": 2})
        await decided(lab)

    assert seen == [(1, "here", "order.created"), (2, "unknown", "order.created")]


async def test_workflow_may_take_nothing_of_the_event(lab: Lab) -> None:
    seen: list[str] = []

    @lab.app.workflow(trigger=on_event("order.*"))
    async def count() -> None:
        seen.append("one")

    async with working(lab):
        await lab.app.send_event("order.created", {"anything": [1, 2]})
        await lab.app.send_event("order.created")
        await decided(lab)

    assert seen == ["one", "one"]


async def test_event_sent_by_a_workflow_triggers_others(lab: Lab) -> None:
    seen = orders(lab)

    @lab.app.workflow
    async def shop(step: Step) -> None:
        await step.send_event("order.created", Order(1))

    async with working(lab):
        await lab.result(await lab.app.start(shop))
        await decided(lab)

    assert seen == [1]


@pytest.mark.parametrize("payload", [{"number": "one"}, "text", None, [1, 2]])
async def test_payload_that_does_not_fit_is_kept_and_parked_with_the_reason(lab: Lab, payload: Any) -> None:
    seen = orders(lab)

    async with working(lab):
        await lab.app.send_event("order.created", payload)
        await lab.app.send_event("order.created", Order(2))
        found = await decided(lab)

    (misfit,) = [one for one in found if is_parked(one)]
    assert misfit.status is Status.PENDING
    assert "order" in (misfit.why or "")
    assert seen == [2]


async def test_where_that_raises_keeps_the_event_and_is_asked_again(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [KeyError("total"), True]

    def where(order: Any) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    seen = orders(lab, where=where)

    async with working(lab):
        await lab.app.send_event("order.created", Order(1))
        assert await told(lab) == "KeyError: 'total'"
        lab.store.pass_time(MINUTE + SECOND)
        await decided(lab)

    assert seen == [1]
    assert "trigger 'ship' cannot decide about event 'order.created': KeyError: 'total'" in caplog.text


async def test_two_workers_start_each_once(lab: Lab) -> None:
    """F91."""
    seen = orders(lab)

    async with working(lab), lab.worker(), lab.worker():
        for number in range(20):
            await lab.app.send_event("order.created", Order(number))
        await decided(lab)

    assert sorted(seen) == list(range(20))


# --- looking ------------------------------------------------------------------------------------------------------


async def dispatcher() -> tuple[MemoryStore, Dispatcher]:
    store = MemoryStore()
    app = App(store)

    @app.workflow(trigger=on_event("order.*"))
    async def ship(order: Order) -> None:
        return None

    await put_in_force(store, app.registry)
    return store, Dispatcher(store, app.registry.listening)


@pytest.mark.parametrize(("is_hinted", "wait"), [(True, HINTED_LOOK), (False, PLAIN_LOOK)])
async def test_look_is_the_rarer_for_hints(is_hinted: bool, wait: timedelta) -> None:
    _, one = await dispatcher()

    assert await one.tick(is_hinted=is_hinted) == wait
    assert await one.tick(is_hinted=is_hinted) == wait


async def test_hint_is_looked_after_at_once() -> None:
    store, one = await dispatcher()
    await one.tick(is_hinted=True)
    await App(store).send_event("order.created", {"number": 1})

    assert not one.hear("work")
    assert one.hear("event")
    await one.tick(is_hinted=True)

    assert len(await App(store).list()) == 1


async def test_more_than_a_page_is_decided_without_waiting() -> None:
    store, one = await dispatcher()
    for _ in range(150):
        await App(store).send_event("order.created", {"number": 1})

    waits = [await one.tick(is_hinted=True) for _ in range(3)]

    assert waits == [timedelta(0), timedelta(0), HINTED_LOOK]
    assert len(await App(store).list(limit=1_000)) == 150


# --- what is refused ----------------------------------------------------------------------------------------------


async def never(order: Any) -> bool:
    return False


@pytest.mark.parametrize(
    ("pattern", "options"),
    [
        ("", {}),
        (None, {}),
        ("x" * 401, {}),
        ("a\0b", {}),
        ("order", {"where": "total > 1"}),
        ("order", {"where": never}),
    ],
)
def test_trigger_that_makes_no_sense_is_refused(pattern: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="on_event"):
        on_event(pattern, **options)


def test_two_triggers_of_one_name_are_refused() -> None:
    lab_app = App(MemoryStore())

    @lab_app.workflow(trigger=on_event("a", id="same"))
    async def first() -> None:
        return None

    with pytest.raises(InvalidOption, match="two triggers by events are called 'same'"):

        @lab_app.workflow(trigger=on_event("b", id="same"))
        async def second() -> None:
            return None
