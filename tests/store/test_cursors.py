"""How far a poll has come, which moves together with what it starts."""

from __future__ import annotations

from dataclasses import replace

from stepwell.core.model import ExecutionId, Filter, NewExecution
from stepwell.core.schedule import Cursor
from stepwell.core.timing import Every
from stepwell.store.identity import new_id
from tests.store.test_schedules import HOURLY, declare, started
from tests.store.world import HOUR, World


def item(key: str) -> NewExecution:
    return NewExecution(ExecutionId(new_id()), "order", b"{}", key=key)


async def test_page_starts_its_items_and_moves_the_cursor(world: World) -> None:
    await declare(world, HOURLY)
    page = Cursor("7", "first/1")

    assert await world.store.catalog.cursor("hourly") == Cursor()
    assert await world.store.catalog.advance("hourly", page, since=Cursor(), new=[item("b"), item("a")])
    assert await world.store.catalog.cursor("hourly") == page
    assert sorted(map(str, await started(world))) == ["a", "b"]


async def test_page_that_was_read_before_the_cursor_moved_starts_nothing(world: World) -> None:
    await declare(world, HOURLY)
    catalog = world.store.catalog
    await catalog.advance("hourly", Cursor("7", "first/1"), since=Cursor(), new=[])

    assert not await catalog.advance("hourly", Cursor("8", "second/1"), since=Cursor(), new=[item("a")])
    assert await catalog.cursor("hourly") == Cursor("7", "first/1")
    assert await started(world) == []


async def test_repeating_a_page_that_took_effect_changes_nothing(world: World) -> None:
    await declare(world, HOURLY)
    page, new = Cursor("7", "first/1"), [item("a")]
    await world.store.catalog.advance("hourly", page, since=Cursor(), new=new)

    assert not await world.store.catalog.advance("hourly", page, since=Cursor(), new=[item("a")])
    assert await started(world) == ["a"]


async def test_item_that_has_been_started_is_left_alone(world: World) -> None:
    await declare(world, HOURLY)
    earlier = await world.start(key="a")

    assert await world.store.catalog.advance("hourly", Cursor("7", "x"), since=Cursor(), new=[item("a"), item("a")])
    assert [one.id for one in await world.store.list(Filter(), limit=10)] == [earlier]


async def test_cursor_outlives_every_change_of_its_schedule(world: World) -> None:
    await declare(world, HOURLY)
    await world.store.catalog.advance("hourly", Cursor("7", "x"), since=Cursor(), new=[])

    await declare(world)
    await declare(world, replace(HOURLY, timing=Every(2 * HOUR)))

    assert await world.store.catalog.cursor("hourly") == Cursor("7", "x")


async def test_cursor_of_an_unknown_schedule_does_not_move(world: World) -> None:
    assert not await world.store.catalog.advance("nobody", Cursor("7", "x"), since=Cursor(), new=[item("a")])
    assert await started(world) == []
