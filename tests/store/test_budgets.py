"""What vendors allow, counted over all workers: on memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from stepwell.core.budgets import FIRST_BREAK, MAX_FAILURES
from stepwell.core.connections import Budget
from stepwell.store.postgres import PostgresStore
from tests.databases import refusal
from tests.store.world import DAY, MINUTE, PostgresWorld, World

FIVE = Budget("requests", capacity=5, per_second=1)
NO_BUDGET = Budget("", capacity=0, per_second=0)


async def delay(
    world: World, ticket: str, *, cost: float = 1, budget: Budget = FIVE, connection: str = "acme"
) -> float:
    """Seconds until the ticket's turn; 0: it is admitted. To a tenth: the clock goes on between two statements."""
    admission = await world.store.budgets.admit(connection, budget, cost=cost, ticket=ticket)
    return round(admission.delay.total_seconds(), 1)


async def test_bucket_admits_what_it_holds_and_then_gives_places_in_order(world: World) -> None:
    assert [await delay(world, f"t{n}") for n in range(8)] == [
        0, 0, 0, 0, 0, pytest.approx(1, abs=0.2), pytest.approx(2, abs=0.2), pytest.approx(3, abs=0.2)
    ]  # fmt: skip


async def test_who_has_a_place_takes_nothing_more_and_goes_when_it_is_its_turn(world: World) -> None:
    await delay(world, "all", cost=5)
    assert await delay(world, "late", cost=3) == pytest.approx(3, abs=0.2)
    assert await delay(world, "late", cost=3) == pytest.approx(3, abs=0.2)

    world.advance(timedelta(seconds=3.1))

    assert await delay(world, "late", cost=3) == 0
    assert await delay(world, "late", cost=1) > 0.5  # its place is used up


async def test_nobody_overtakes_who_waits(world: World) -> None:
    await delay(world, "all", cost=5)
    await delay(world, "big", cost=4)

    assert await delay(world, "small", cost=1) == pytest.approx(5, abs=0.2)


async def test_bucket_fills_again_but_never_beyond_its_size(world: World) -> None:
    await delay(world, "all", cost=5)
    world.advance(MINUTE)

    assert [await delay(world, f"t{n}") for n in range(5)] == [0] * 5
    assert await delay(world, "more") > 0.5


async def test_what_costs_more_than_the_whole_bucket_goes_when_it_is_full(world: World) -> None:
    await delay(world, "one")

    assert await delay(world, "huge", cost=1_000) == pytest.approx(1, abs=0.2)


async def test_budgets_and_connections_do_not_know_each_other(world: World) -> None:
    await delay(world, "all", cost=5)

    assert await delay(world, "other budget", cost=5, budget=Budget("search", 5, 1)) == 0
    assert await delay(world, "other connection", cost=5, connection="other") == 0


async def test_vendor_says_what_is_left(world: World) -> None:
    await world.store.budgets.correct("acme", FIVE, left=0)
    assert await delay(world, "one") == pytest.approx(1, abs=0.2)

    await world.store.budgets.correct("acme", FIVE, left=5)
    assert await delay(world, "two") == pytest.approx(2, abs=0.2)  # the one who waits is not counted by the vendor yet


async def test_vendor_that_counted_less_gives_back(world: World) -> None:
    await delay(world, "all", cost=5)
    await world.store.budgets.correct("acme", FIVE, left=4)

    assert await delay(world, "next", cost=4) == 0


async def test_closed_connection_admits_nobody_and_says_why(world: World) -> None:
    await world.store.budgets.close_until("acme", delay=MINUTE, reason="the vendor said so")
    await world.store.budgets.close_until("acme", delay=timedelta(seconds=1), reason="shorter")

    admission = await world.store.budgets.admit("acme", NO_BUDGET, cost=1, ticket="one")
    assert admission.reason == "the vendor said so"
    assert admission.delay.total_seconds() == pytest.approx(60, abs=0.5)

    world.advance(MINUTE + timedelta(seconds=1))
    assert await delay(world, "one", budget=NO_BUDGET) == 0


async def test_connection_without_a_budget_is_never_used_up(world: World) -> None:
    assert {await delay(world, f"t{n}", budget=NO_BUDGET) for n in range(50)} == {0}


async def test_failures_in_a_row_close_the_connection_ever_longer(world: World) -> None:
    for _ in range(MAX_FAILURES - 1):
        await world.store.budgets.report("acme", is_failure=True)
    assert await delay(world, "one") == 0

    await world.store.budgets.report("acme", is_failure=True)
    closed = await world.store.budgets.admit("acme", FIVE, cost=1, ticket="two")
    assert closed.reason == f"{MAX_FAILURES} failures in a row"
    assert closed.delay.total_seconds() == pytest.approx(FIRST_BREAK.total_seconds(), abs=0.5)

    await world.store.budgets.report("acme", is_failure=True)
    assert await delay(world, "three") == pytest.approx(2 * FIRST_BREAK.total_seconds(), abs=0.5)


async def test_an_answer_ends_the_row_of_failures(world: World) -> None:
    for _ in range(MAX_FAILURES - 1):
        await world.store.budgets.report("acme", is_failure=True)
    await world.store.budgets.report("acme", is_failure=False)
    await world.store.budgets.report("acme", is_failure=True)

    assert await delay(world, "one") == 0


async def test_another_process_hears_of_the_failures_when_it_is_admitted(postgres: PostgresWorld) -> None:
    other = PostgresStore(postgres.url)
    for _ in range(MAX_FAILURES - 1):
        await postgres.store.budgets.report("acme", is_failure=True)
    await other.budgets.admit("acme", FIVE, cost=1, ticket="one")
    await other.budgets.report("acme", is_failure=False)
    await postgres.store.budgets.report("acme", is_failure=True)

    assert await delay(postgres, "two") == 0
    await other.close()


async def test_two_processes_never_admit_more_than_there_is(postgres: PostgresWorld) -> None:
    """F103, for limits: 100 at once through two processes."""
    other = PostgresStore(postgres.url)
    slow = Budget("requests", capacity=10, per_second=0.01)
    asked = [
        store.budgets.admit("acme", slow, cost=1, ticket=f"{name}{n}")
        for n in range(50)
        for name, store in (("one", postgres.store), ("other", other))
    ]
    admissions = await asyncio.gather(*asked)
    await other.close()

    assert sum(not admission.delay for admission in admissions) == 10


async def test_places_of_those_who_never_came_back_are_removed(world: World) -> None:
    await delay(world, "all", cost=5)
    await delay(world, "gone")
    world.advance(2 * DAY)
    await world.store.remove_places()
    await world.store.budgets.correct("acme", FIVE, left=5)

    assert await delay(world, "next", cost=5) == 0


# statement cancelled, disk full, deadlock
@pytest.mark.parametrize("code", ["57014", "53100", "40P01"])
async def test_what_the_database_does_not_take_now_fails_nobody(postgres: PostgresWorld, code: str) -> None:
    """F22: the vendor has answered, and an error would have that done again; who has not asked it yet asks later."""
    budgets = postgres.store.budgets
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute(refusal("insert or update or delete on stepwell.budget", code))

        await budgets.correct("acme", FIVE, left=0)
        await budgets.close_until("acme", delay=MINUTE, reason="the vendor said so")
        await budgets.report("acme", is_failure=True)
        await budgets.report("acme", is_failure=False)
        admission = await budgets.admit("acme", FIVE, cost=1, ticket="one")

        assert admission.delay > timedelta(0)
        assert admission.reason == "the database does not say what is allowed: refused for the test"
        admin.execute("drop trigger refuse on stepwell.budget")
    assert await delay(postgres, "one") == 0
