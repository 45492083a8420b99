"""Hints: who is told that something may have changed. They may be lost, but they must not be forgotten."""

from __future__ import annotations

import pytest

from stepwell.core.model import Ending
from tests.store.world import DONE, FAILED, HOUR, LEASE, MINUTE, Hints, World, execution


async def test_store_that_hears_hints_says_so(world: World) -> None:
    assert world.store.is_prompt


@pytest.mark.parametrize("key", [None, "k"])
async def test_start_wakes_an_idle_worker(world: World, key: str | None) -> None:
    session = await world.worker()
    await world.store.set_idle(session, is_idle=True)
    hints = Hints(world.store)

    await world.store.create([execution(key=key)])

    assert await hints.next() == "work"


async def test_start_wakes_nobody_when_all_are_busy(world: World) -> None:
    """F43: no notification is sent for nothing."""
    session = await world.worker()
    await world.store.set_idle(session, is_idle=True)
    await world.store.set_idle(session, is_idle=False)
    awaited = await world.start()
    await world.store.watch([awaited])
    hints = Hints(world.store)

    await world.store.create([execution()])

    await world.store.cancel(awaited, reason="so that a hint is heard")
    assert await hints.next() == "done"


async def test_start_of_what_is_there_already_wakes_nobody(world: World) -> None:
    session = await world.worker()
    await world.store.set_idle(session, is_idle=True)
    hints = Hints(world.store)
    awaited = await world.start(key="k")
    assert await hints.next() == "work"
    await world.store.watch([awaited])

    await world.store.create([execution(key="k")])

    await world.store.cancel(awaited, reason="so that a hint is heard")
    assert await hints.next() == "done"


async def test_retry_by_hand_wakes_an_idle_worker(world: World) -> None:
    failed = await world.ended(FAILED)
    await world.store.set_idle(await world.worker(), is_idle=True)
    hints = Hints(world.store)

    await world.store.reopen(failed)

    assert await hints.next() == "work"


async def test_end_of_a_watched_execution_wakes_who_waits_for_it(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.watch([started])
    hints = Hints(world.store)

    await world.end(session, started)

    assert await hints.next() == "done"


@pytest.mark.parametrize("keys", [(None,), ("k",), (None, "k")])
async def test_start_can_ask_to_be_told_of_the_end(world: World, keys: tuple[str | None, ...]) -> None:
    new = [execution(key=key, is_awaited=True) for key in keys]
    await world.store.create(new)
    session = await world.worker()
    ids = await world.claimed_ids(session)
    hints = Hints(world.store)

    await world.end(session, ids[-1])

    assert await hints.next() == "done"


async def test_start_of_what_is_there_already_asks_for_nothing(world: World) -> None:
    """Who asks so is answered with the earlier execution, and has to watch that."""
    session = await world.worker()
    unwatched = await world.running(session, key="k")
    await world.store.create([execution(key="k", is_awaited=True)])
    watched = await world.running(session)
    hints = Hints(world.store)

    await world.end(session, unwatched)

    await world.store.watch([watched])
    await world.store.close_session(session)
    assert await hints.next() == "work"


async def test_end_that_nobody_waits_for_wakes_nobody(world: World) -> None:
    """F43."""
    session = await world.worker()
    unwatched, suspended, watched = [await world.running(session) for _ in range(3)]
    await world.store.watch([suspended])
    await world.store.ended([unwatched])
    hints = Hints(world.store)

    await world.end(session, unwatched)
    await world.suspend(session, suspended)

    await world.store.watch([watched])
    await world.store.close_session(session)
    assert await hints.next() == "work"


async def test_watching_goes_on_through_passes_and_retries(world: World) -> None:
    session = await world.worker(lease_for=5 * HOUR)
    started = await world.running(session)
    await world.store.watch([started])
    hints = Hints(world.store)

    await world.suspend(session, started, 0 * HOUR)
    await world.claim_one(session)
    await world.end(session, started, FAILED)
    assert await hints.next() == "done"

    await world.store.reopen(started)
    await world.claim_one(session)
    await world.end(session, started, DONE)
    assert await hints.next() == "done"


async def test_cancel_of_a_watched_execution_wakes_who_waits_for_it(world: World) -> None:
    started = await world.start()
    await world.store.watch([started])
    hints = Hints(world.store)

    await world.store.cancel(started, reason="no longer needed")

    assert await hints.next() == "done"


async def test_freed_executions_wake_workers(world: World) -> None:
    await world.running(await world.worker())
    world.advance(LEASE + MINUTE)
    hints = Hints(world.store)

    world.reap()

    assert await hints.next() == "work"


async def test_too_many_crashes_wake_who_waits_for_the_result(world: World) -> None:
    started = await world.running(await world.worker())
    await world.store.watch([started])
    world.advance(LEASE + MINUTE)
    hints = Hints(world.store)

    world.reap(max_crashes=1)

    assert await hints.next() == "done"


async def test_cancelled_execution_of_a_leaving_worker_wakes_another_for_its_clean_up(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="no longer needed")
    hints = Hints(world.store)

    await world.store.close_session(session)

    assert await hints.next() == "work"


async def test_cancel_of_a_sleeping_execution_wakes_an_idle_worker_for_its_clean_up(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.suspend(session, started)
    await world.store.set_idle(session, is_idle=True)
    hints = Hints(world.store)

    await world.store.cancel(started, reason="no longer needed")

    assert await hints.next() == "work"


async def test_who_has_unsubscribed_hears_nothing(world: World) -> None:
    await world.store.set_idle(await world.worker(), is_idle=True)
    gone, here = Hints(world.store), Hints(world.store)
    gone.unsubscribe()
    gone.unsubscribe()

    await world.store.create([execution()])

    assert await here.next() == "work"
    assert gone.is_empty()


async def test_idle_mark_of_an_ended_session_is_no_one(world: World) -> None:
    session = await world.worker()
    await world.store.close_session(session)
    await world.store.set_idle(session, is_idle=True)
    awaited = await world.start()
    await world.store.watch([awaited])
    hints = Hints(world.store)

    await world.store.create([execution()])

    await world.store.cancel(awaited, reason="so that a hint is heard")
    assert await hints.next() == "done"


async def test_several_ends_in_one_flush_need_one_hint(world: World) -> None:
    """F43: at most one notification a flush."""
    session = await world.worker()
    ids = [await world.running(session) for _ in range(3)]
    last = await world.running(session)
    await world.store.watch(ids)
    hints = Hints(world.store)

    await world.flush(session, endings=[Ending(id, DONE) for id in ids])
    assert await hints.next() == "done"

    await world.store.close_session(session)
    assert await hints.next() == "work"
    assert (await world.see(last)).passes == 1
