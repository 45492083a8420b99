"""A poll starts an execution for each new item, once, wherever a worker dies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from stepwell import Execution, InvalidOption, Page, Retry, Status, Step, every, poll
from tests.runtime.lab import HOUR, Cut, Lab
from tests.runtime.test_schedules import NOON, is_over, settled, until, working


@dataclass(frozen=True)
class Order:
    number: int


class Shop:
    """A system that is asked for its orders, page by page."""

    def __init__(self) -> None:
        self.orders: list[int] = []
        self.asked: list[int | None] = []
        self.page = 100

    async def fetch(self, cursor: int | None) -> Page[Order, int]:
        self.asked.append(cursor)
        new = [number for number in self.orders if number > (cursor or 0)]
        items, rest = new[: self.page], new[self.page :]
        last = items[-1] if items else cursor or 0
        return Page([Order(number) for number in items], last, has_more=bool(rest))


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.store.clock.set(NOON)
    lab.store.is_hurried = False
    return lab


@pytest.fixture
def shop() -> Shop:
    return Shop()


def orders(lab: Lab, shop: Shop, **options: Any) -> list[int]:
    """The orders that a workflow has been started with."""
    seen: list[int] = []

    @lab.app.workflow(trigger=poll(shop.fetch, every="1h", **options), retry=Retry(1))
    async def ship(order: Order) -> None:
        seen.append(order.number)

    return seen


async def pass_hours(lab: Lab, count: int = 1) -> Sequence[Execution]:
    """All executions, once those hours have passed and all that came of it has ended."""
    found: Sequence[Execution] = ()
    for _ in range(count):
        lab.store.pass_time(HOUR)
        found = await settled(lab)
    return found


async def test_each_item_starts_one_execution_and_the_next_poll_goes_on_from_the_cursor(lab: Lab, shop: Shop) -> None:
    seen = orders(lab, shop)

    async with working(lab):
        shop.orders += [1, 2]
        await pass_hours(lab)
        shop.orders += [3]
        await pass_hours(lab, 2)

    assert sorted(seen) == [1, 2, 3]
    assert shop.asked == [None, 2, 3]


async def test_page_with_more_is_followed_by_the_next_one_at_once(lab: Lab, shop: Shop) -> None:
    seen = orders(lab, shop)
    shop.page, shop.orders = 2, [1, 2, 3, 4, 5]

    async with working(lab):
        await pass_hours(lab)

    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert shop.asked == [None, 2, 4]


async def test_poll_is_a_schedule_of_its_own_that_can_be_paused(lab: Lab, shop: Shop) -> None:
    seen = orders(lab, shop)
    shop.orders += [1]

    async with working(lab):
        await lab.app.pause_schedule("ship.poll")
        await pass_hours(lab, 2)

    assert (seen, shop.asked) == ([], [])
    assert [(one.id, one.workflow) for one in await lab.app.schedules()] == [("ship.poll", "ship.poll")]


async def test_item_with_a_key_that_comes_again_starts_nothing(lab: Lab) -> None:
    seen: list[str] = []

    def fetch(cursor: str | None) -> Page[str, str]:
        return Page(["a", "b"], "always the same")

    @lab.app.workflow(trigger=poll(fetch, every="1h", key=lambda item: item))
    async def greet(name: str) -> None:
        seen.append(name)

    async with working(lab):
        found = await pass_hours(lab, 3)

    assert sorted(seen) == ["a", "b"]
    assert {one.key for one in found if one.workflow == "greet"} == {"greet.poll:a", "greet.poll:b"}


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 12))
async def test_item_is_started_once_wherever_the_worker_dies(lab: Lab, shop: Shop, at: int, is_before: bool) -> None:
    """F21, F23: before or after each claim and each flush."""
    seen = orders(lab, shop)
    shop.orders += [1, 2, 3]
    async with working(lab):
        pass
    lab.store.pass_time(HOUR)
    lab.store.cut = Cut(lab.store.writes + at, is_before)

    for _ in range(3):
        async with lab.worker():
            await until(lab, lambda due, found: lab.store.is_cut or (len(found) == 4 and all(map(is_over, found))))
        if not lab.store.is_cut:
            break
        lab.store.bury()

    found = await lab.app.list(workflow="ship")
    assert len(found) == 3
    assert {one.status for one in found} == {Status.COMPLETED}
    assert set(seen) == {1, 2, 3}


async def test_two_polls_at_once_start_each_item_once(lab: Lab) -> None:
    """Somebody has started one by hand meanwhile: what the slower one has found counts for nothing."""
    seen: list[int] = []
    asked, both = 0, asyncio.Event()

    async def fetch(cursor: int | None) -> Page[int, int]:
        nonlocal asked
        asked += 1
        if asked == 2:
            both.set()
        await both.wait()
        return Page([1, 2], 2)

    @lab.app.workflow(trigger=poll(fetch, every="1h"))
    async def count(number: int) -> None:
        seen.append(number)

    async with working(lab):
        polls = [await lab.app.run_schedule("count.poll") for _ in range(2)]
        await settled(lab)

    assert sorted(seen) == [1, 2]
    assert sorted([await one.result() for one in polls]) == [0, 2]


async def test_poll_that_fails_is_told_and_the_next_one_goes_on(lab: Lab, shop: Shop) -> None:
    seen: list[int] = []
    failures = [ConnectionError("the shop is closed")]

    async def fetch(cursor: int | None) -> Page[Order, int]:
        if failures:
            raise failures.pop()
        return await shop.fetch(cursor)

    @lab.app.workflow(trigger=poll(fetch, every="1h"), retry=Retry(1))
    async def ship(order: Order) -> None:
        seen.append(order.number)

    shop.orders += [1]
    async with working(lab):
        (failed,) = await pass_hours(lab)
        await pass_hours(lab)

    assert (failed.status, seen) == (Status.FAILED, [1])
    assert "the shop is closed" in (failed.why or "")


async def test_item_that_does_not_fit_is_kept_and_parked_with_the_reason(lab: Lab) -> None:
    """Nothing that was found is lost, and the others go on."""
    seen: list[int] = []

    async def fetch(cursor: int | None) -> Page[Any, int]:
        return Page([{"number": 1}, {"number": "one"}, {"number": 3}], 3)

    @lab.app.workflow(trigger=poll(fetch, every="1h"))
    async def ship(order: Order) -> None:
        seen.append(order.number)

    async with working(lab):
        await lab.app.run_schedule("ship.poll")
        found = await until(lab, lambda _, found: len(found) == 4 and all(is_over(one) or parked(one) for one in found))

    (misfit,) = [one for one in found if not is_over(one)]
    assert sorted(seen) == [1, 3]
    assert "order.number" in (misfit.why or "")
    assert misfit.input == b'{"order":{"number":"one"}}'


def parked(execution: Execution) -> bool:
    return "parked" in (execution.why or "")


async def test_page_that_is_too_long_fails_the_poll_and_starts_nothing(lab: Lab) -> None:
    async def fetch(cursor: int | None) -> Page[int, int]:
        return Page([*range(2_001)], 2_001)

    @lab.app.workflow(trigger=poll(fetch, every="1h"))
    async def ship(number: int) -> None:
        raise AssertionError

    async with working(lab):
        await lab.app.run_schedule("ship.poll")
        (one,) = await settled(lab)

    assert one.status is Status.FAILED
    assert "2,001 items" in (one.why or "")


# --- what is refused ----------------------------------------------------------------------------------------------


def without_types(cursor):  # type: ignore[no-untyped-def]
    return Page([], cursor)


def with_two(cursor: int | None, more: int) -> Page[int, int]:
    return Page([], 0)


def with_list(cursor: int | None) -> list[int]:
    return []


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (without_types, "annotate what it returns as Page"),
        (with_list, "annotate what it returns as Page"),
        (with_two, "it takes the cursor and nothing else"),
    ],
)
def test_function_that_cannot_poll_is_refused_where_it_is_declared(function: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):

        @Lab().app.workflow(trigger=poll(function, every="1h"))
        async def ship(number: int) -> None:
            return None


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(InvalidOption, match="give a function of the cursor"):
        poll("https://shop.example/orders", every="1h")  # type: ignore[arg-type]


async def test_poll_may_stand_beside_other_triggers(lab: Lab, shop: Shop) -> None:
    @lab.app.workflow(trigger=[poll(shop.fetch, every="1h", id="shop"), every("24h")])
    async def ship(order: Order | None = None, *, step: Step) -> None:
        return None

    await lab.app.new_worker(lab.settings)

    assert [(one.id, one.workflow) for one in await lab.app.schedules()] == [("ship", "ship"), ("shop", "shop")]
