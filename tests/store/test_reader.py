"""Looking without touching."""

from __future__ import annotations

import pytest

from stepwell.core.model import Checkpoint, Ending, ExecutionId, FailedAttempt, Filter, Kind, NewExecution, StepRecord
from stepwell.core.status import Status
from stepwell.store.identity import new_id
from tests.store.world import DONE, FAILED, HOUR, LEASE, MINUTE, World, checkpoint, execution, executions, unknown


async def test_unknown_execution_is_not_found(world: World) -> None:
    assert await world.store.get(unknown()) is None


async def test_looking_changes_nothing(world: World) -> None:
    started = await world.start()

    assert await world.see(started) == await world.see(started)


async def test_newest_executions_are_listed_first(world: World) -> None:
    new = executions(5)
    await world.store.create(new)

    found = await world.store.list(Filter(), limit=3)

    assert [one.id for one in found] == [one.id for one in reversed(new)][:3]
    assert found[0] == await world.see(new[-1].id)


async def test_pages_join_without_gap_or_repetition(world: World) -> None:
    """F38."""
    new = executions(7)
    await world.store.create(new)

    pages, before = [], None
    while page := await world.store.list(Filter(before=before), limit=3):
        pages.append([one.id for one in page])
        before = page[-1].id

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [id for page in pages for id in page] == [one.id for one in reversed(new)]


async def _various(world: World) -> dict[str, ExecutionId]:
    """Executions that differ in one thing each, by the name of the thing."""
    return {
        "ended": await world.ended(DONE, tags=("eu",)),
        "failed": await world.ended(FAILED),
        "plain": await world.start(),
        "workflow": await world.start(workflow="invoice"),
        "key": await world.start(key="k"),
        "tag": await world.start(tags=("eu", "big")),
    }


@pytest.mark.parametrize(
    ("which", "names"),
    [
        (Filter(), {"plain", "workflow", "key", "tag", "ended", "failed"}),
        (Filter(workflow="invoice"), {"workflow"}),
        (Filter(key="k"), {"key"}),
        (Filter(key="other"), set()),
        (Filter(tags=("eu",)), {"tag", "ended"}),
        (Filter(tags=("e",)), set()),
        (Filter(statuses=(Status.COMPLETED,)), {"ended"}),
        (Filter(statuses=(Status.COMPLETED, Status.FAILED)), {"ended", "failed"}),
        (Filter(statuses=(Status.PENDING,), tags=("eu",)), {"tag"}),
        (Filter(statuses=(Status.RUNNING,)), set()),
    ],
)
async def test_filter_shows_only_what_matches(world: World, which: Filter, names: set[str]) -> None:
    ids = await _various(world)

    found = await world.store.list(which, limit=100)

    assert {one.id for one in found} == {ids[name] for name in names}


async def test_every_status_is_counted(world: World) -> None:
    session = await world.worker()
    await world.running(session)
    await world.store.cancel(await world.start(), reason="no longer needed")
    await world.ended(FAILED)
    await world.store.create(executions(3))

    counts = await world.store.count()

    assert counts == {
        Status.PENDING: 3,
        Status.RUNNING: 1,
        Status.WAITING: 0,
        Status.COMPLETED: 0,
        Status.FAILED: 1,
        Status.CANCELLED: 1,
    }


async def test_execution_that_no_worker_has_says_so(world: World) -> None:
    started = await world.start()
    await world.worker(workflows=("invoice",))
    await world.worker(queues=("crm",))

    assert (await world.see(started)).why == "no worker has this workflow"


async def test_dead_workers_workflows_are_nobodys(world: World) -> None:
    session = await world.worker()
    started, delayed = await world.running(session), await world.start(delay_seconds=3600)
    await world.suspend(session, started)
    assert str((await world.see(started)).why).startswith("sleeping until ")

    world.advance(LEASE + MINUTE)

    for one, timer in ((started, "sleeping"), (delayed, "delayed")):
        seen = await world.see(one)
        assert seen.why == f"no worker has this workflow; {timer} until {seen.due_at:%Y-%m-%d %H:%M:%S} UTC"


async def test_waiting_execution_says_for_what(world: World) -> None:
    ready, later = await world.start(), await world.start(delay_seconds=60)
    await world.worker()

    assert (await world.see(ready)).why == "ready, waits for a free worker"
    due_at = (await world.see(later)).due_at
    assert (await world.see(later)).why == f"delayed until {due_at:%Y-%m-%d %H:%M:%S} UTC"


async def test_running_execution_says_where_and_whether_that_worker_is_dead(world: World) -> None:
    started = await world.running(await world.worker("host:7"))

    assert (await world.see(started)).why == "running on host:7"
    world.advance(LEASE + MINUTE)
    assert (await world.see(started)).why == "its worker host:7 has died; taken over within seconds"


async def test_steps_are_shown_with_every_failed_attempt(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    retry_at = world.store.now() + MINUTE
    await world.flush(session, attempts=[FailedAttempt(started, "call", n, retry_at, b"e%d" % n) for n in (1, 2)])
    await world.flush(session, checkpoints=[checkpoint(started, "call", b"v"), checkpoint(started, "a", b"1")])

    a, first, second, done = await world.store.steps(started, after=None, limit=10)

    assert a == StepRecord("a", "step", False, 1, a.recorded_at, None, b"1", 7)
    assert first == StepRecord("call", "step", True, 1, first.recorded_at, retry_at, b"e1")
    assert second == StepRecord("call", "step", True, 2, second.recorded_at, retry_at, b"e2")
    assert done == StepRecord("call", "step", False, 3, done.recorded_at, None, b"v", 7)
    assert first.recorded_at <= done.recorded_at


async def test_steps_are_read_in_pages_by_key_and_attempt(world: World) -> None:
    """Keys are ordered by their code points, on every machine and in every locale."""
    session = await world.worker()
    started = await world.running(session)
    keys = ["a", "B", "b", "b#2", "é", "🙂", "\uff5a", "b/#10", "b/#9", "~", "_"]
    await world.flush(
        session,
        checkpoints=[checkpoint(started, key) for key in keys],
        attempts=[FailedAttempt(started, "b", n, world.store.now(), b"e") for n in (1, 2, 3)],
    )

    read: list[tuple[str, int]] = []
    while page := await world.store.steps(started, after=read[-1] if read else None, limit=2):
        read += [(record.key, record.attempt) for record in page]

    assert read == sorted([(key, 1) for key in keys if key != "b"] + [("b", n) for n in (1, 2, 3, 4)])


async def test_items_of_a_map_are_read_back(world: World) -> None:
    """A branch may be called like an item: what is stored of it is none."""
    session = await world.worker()
    started, other = await world.running(session), await world.running(session)
    numbers = [0, 1, 2, 9, 10, 11, 100, 99_999]
    await world.flush(
        session,
        checkpoints=[
            *(checkpoint(started, f"enrich/#{n}", b"%d" % n, kind=Kind.ITEM, digest=n) for n in numbers),
            checkpoint(started, "enrich", kind=Kind.MAP),
            checkpoint(started, "enrich#2/#5", kind=Kind.ITEM),
            checkpoint(started, "enrich/2/#5", kind=Kind.ITEM),
            checkpoint(started, "enrichment/#5", kind=Kind.ITEM),
            checkpoint(started, "enrich/#7", kind=Kind.STEP),
            checkpoint(started, "enrich/#7/store", kind=Kind.STEP),
            checkpoint(started, "enrich/#7/#3", kind=Kind.ITEM),
            checkpoint(started, "enrich/#7/pages/#3", kind=Kind.ITEM),
            checkpoint(other, "enrich/#7", kind=Kind.ITEM),
        ],
    )

    found = {index: item async for index, item in world.store.items(started, "enrich")}

    assert found == {n: Checkpoint("item", n, False, b"%d" % n) for n in numbers}


async def test_items_of_a_large_map_are_read_in_pages(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.flush(
        session, checkpoints=[checkpoint(started, f"enrich/#{n}", b"%d" % n, kind=Kind.ITEM) for n in range(4_500)]
    )

    found = [(index, item.value) async for index, item in world.store.items(started, "enrich")]

    assert sorted(found) == [(n, b"%d" % n) for n in range(4_500)]


async def test_map_without_items_has_none(world: World) -> None:
    assert [item async for item in world.store.items(unknown(), "enrich")] == []


async def test_progress_counts_the_items_of_each_map(world: World) -> None:
    session = await world.worker()
    started, other = await world.running(session), await world.running(session)
    maps = {"enrich": 3, "enrich#2": 1, "enrich/#1": 2, "enrich/#1/pages2": 12}
    items = [*((started, key, count) for key, count in maps.items()), (other, "enrich", 5)]
    rows = [checkpoint(id, f"{key}/#{n}", kind=Kind.ITEM) for id, key, count in items for n in range(count)]
    await world.flush(session, checkpoints=[*rows, checkpoint(started, "fetch")])

    assert await world.store.progress(started) == maps
    assert await world.store.progress(unknown()) == {}


async def test_ended_shows_only_those_that_have(world: World) -> None:
    done, failed = await world.ended(DONE), await world.ended(FAILED)
    session = await world.worker()
    running, waiting = await world.running(session), await world.start()

    found = await world.store.ended([done, waiting, failed, running, unknown()])

    assert {one.id for one in found} == {done, failed}
    assert all(one.id in (done, failed) and one.status.is_final for one in found)
    assert await world.see(done) in found


async def test_watch_shows_them_as_they_are_now(world: World) -> None:
    done = await world.ended(DONE)
    waiting = await world.start()

    found = await world.store.watch([done, waiting, unknown()])

    assert {one.id: one.status for one in found} == {done: Status.COMPLETED, waiting: Status.PENDING}
    assert await world.see(done) in found
    assert await world.store.watch([]) == []


async def test_payloads_of_any_bytes_can_be_listed(world: World) -> None:
    """An empty payload, and one that is stored compressed, break no listing."""
    new = [NewExecution(ExecutionId(new_id()), "order", given) for given in (b"", b"\x01\x00\xff", b"null")]
    await world.store.create(new)
    session = await world.worker()
    await world.claim(session)
    await world.flush(session, checkpoints=[checkpoint(new[0].id, value=b"")], endings=[Ending(new[1].id, DONE)])

    found = await world.store.list(Filter(), limit=10)

    assert {one.id: one.input for one in found} == {one.id: one.input for one in new}


async def test_execution_keeps_its_times_through_its_life(world: World) -> None:
    session = await world.worker(lease_for=5 * HOUR)
    new = execution()
    await world.store.create([new])
    await world.claim_one(session)
    await world.suspend(session, new.id)
    world.advance(HOUR)
    await world.claim_one(session)
    await world.end(session, new.id)

    seen = await world.see(new.id)

    assert seen.started_at is not None
    assert seen.finished_at is not None
    assert seen.created_at <= seen.started_at < seen.finished_at - HOUR + MINUTE
    assert (seen.passes, seen.due_at) == (2, None)
