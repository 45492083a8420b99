"""Races with a forced order, on real connections. Negative controls show that what a statement says is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from stepwell.core.model import Batch, Claim, Ending, ExecutionId, Outcome, Reaped, SessionId
from stepwell.core.status import Status
from stepwell.store.postgres import PostgresStore
from tests.store import racing
from tests.store.racing import Call, Racer, answer_of
from tests.store.world import DONE, FAILED, LEASE, MINUTE, PostgresWorld, checkpoint, execution

Write = Callable[[SessionId, ExecutionId], Call]
_FENCE = b"for key share"


def _flush(session: SessionId, execution_id: ExecutionId) -> Call:
    return racing.flush(session, Batch([checkpoint(execution_id)]))


def _checkpoint(session: SessionId, execution_id: ExecutionId) -> Call:
    return racing.checkpoints(session, [checkpoint(execution_id)])


def _checkpoint_one(session: SessionId, execution_id: ExecutionId) -> Call:
    return racing.checkpoint_one(session, checkpoint(execution_id))


def _complete(session: SessionId, execution_id: ExecutionId) -> Call:
    return racing.complete(session, [checkpoint(execution_id)], [])


def _record(session: SessionId, execution_id: ExecutionId) -> Call:
    return racing.record(session, checkpoint(execution_id))


def _end(session: SessionId, execution_id: ExecutionId, outcome: Outcome = DONE) -> Call:
    return racing.flush(session, Batch(endings=[Ending(execution_id, outcome)]))


each_write = pytest.mark.parametrize("write", [_flush, _complete, _checkpoint, _checkpoint_one, _record])


# --- a worker whose lease ran out, and who takes over ----------------------------------------------------------------


async def _take_over(postgres: PostgresWorld, stale: Racer, write: Call) -> tuple[Reaped, Claim]:
    """A write that is not committed yet; meanwhile its session is to be ended and its execution to be taken over."""
    postgres.advance(LEASE + MINUTE)
    with stale.transaction():
        stale.run(write)
        reaped = postgres.reap()
        claim = await postgres.claim(await postgres.worker("heir:1"))
    return reaped, claim


@each_write
async def test_session_with_a_write_in_flight_is_not_ended(postgres: PostgresWorld, one: Racer, write: Write) -> None:
    """F1: who takes over later finds what was written."""
    session = await postgres.worker()
    started = await postgres.running(session)

    reaped, claim = await _take_over(postgres, one, write(session, started))

    assert reaped == Reaped()
    assert claim.executions == []
    assert postgres.reap() == Reaped(sessions=1, freed=1)
    heir = await postgres.worker()
    assert set((await postgres.claim_one(heir)).checkpoints) == {"fetch"}


@pytest.mark.parametrize(
    ("write", "fence"),
    [
        (_flush, _FENCE),
        (_complete, _FENCE),
        (_checkpoint, _FENCE),
        (_checkpoint_one, _FENCE),
        (_record, b"for key share of w for share of x"),
    ],
)
async def test_without_the_lock_on_its_session_a_stale_checkpoint_lands(
    postgres: PostgresWorld, one: Racer, write: Write, fence: bytes
) -> None:
    """The negative control of the fence: the new owner has begun without a checkpoint that then appears."""
    session = await postgres.worker()
    started = await postgres.running(session)
    unfenced = write(session, started).without(fence)

    reaped, claim = await _take_over(postgres, one, unfenced)

    assert reaped == Reaped(sessions=1, freed=1)
    assert [(row.id, row.checkpoints) for row in claim.executions] == [(started, {})]
    assert await postgres.keys(started) == ["fetch"]


@each_write
async def test_write_that_waits_for_the_reaper_stores_nothing(
    postgres: PostgresWorld, one: Racer, other: Racer, write: Write
) -> None:
    """F1: the other order."""
    session = await postgres.worker()
    started = await postgres.running(session)
    postgres.advance(LEASE + MINUTE)

    with one.transaction():
        one.run(racing.reap())
        late = other.start_and_block(write(session, started))

    assert [row for row in answer_of(late) if row[0]] == []
    assert await postgres.keys(started) == []


@pytest.mark.parametrize("write", [_flush, _complete, _checkpoint, _checkpoint_one])
async def test_without_the_lock_on_its_session_a_write_does_not_wait_for_the_reaper(
    postgres: PostgresWorld, one: Racer, other: Racer, write: Write
) -> None:
    """The negative control."""
    session = await postgres.worker()
    started = await postgres.running(session)
    postgres.advance(LEASE + MINUTE)

    with one.transaction():
        one.run(racing.reap())
        other.run(write(session, started).without(_FENCE))

    assert (await postgres.see(started)).status is Status.PENDING
    assert await postgres.keys(started) == ["fetch"]


async def test_reaper_skips_only_the_session_that_writes(postgres: PostgresWorld, one: Racer) -> None:
    busy, dead = await postgres.worker(), await postgres.worker()
    kept, freed = await postgres.running(busy), await postgres.running(dead)
    postgres.advance(LEASE + MINUTE)

    with one.transaction():
        one.run(_flush(busy, kept))
        reaped = postgres.reap()

    assert reaped == Reaped(sessions=1, freed=1)
    assert [(await postgres.see(id)).status for id in (kept, freed)] == [Status.RUNNING, Status.PENDING]


async def test_heartbeat_does_not_wait_for_a_write(postgres: PostgresWorld, one: Racer) -> None:
    """F12, F14: a slow commit must not cost the lease."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        one.run(_flush(session, started))
        assert postgres.beat(session) == frozenset()


# --- executions whose session is gone --------------------------------------------------------------------------------


async def _reap_while_it_is_claimed(postgres: PostgresWorld, one: Racer, other: Racer, reap: Call) -> ExecutionId:
    """A reaper waits for an execution whose session is gone; meanwhile a session opens that the reaper's statement
    cannot see, and takes the execution."""
    started = await postgres.running(await postgres.worker("gone:1"))
    other.execute("delete from stepwell.worker")
    with one.transaction():
        one.execute("select from stepwell.execution for update")
        reaping = other.start_and_block(reap)
        heir = await postgres.worker("heir:1")
        one.execute("update stepwell.execution set owner = %s, claimed_at = clock_timestamp()", heir)
    answer_of(reaping)
    return started


async def test_reaper_leaves_what_a_session_it_cannot_see_has_taken(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    started = await _reap_while_it_is_claimed(postgres, one, other, racing.reap())

    assert (await postgres.see(started)).why == "running on heir:1"


async def test_without_the_test_of_claimed_at_a_live_session_loses_its_execution(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The negative control."""
    careless = racing.reap().without(b"e.claimed_at < now() and ")

    started = await _reap_while_it_is_claimed(postgres, one, other, careless)

    assert (await postgres.see(started)).status is Status.PENDING


async def test_execution_claimed_while_its_session_left_is_freed_by_the_next_reaper(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F4: leaving waits for the claim, but cannot see what it took."""
    started, session = await postgres.start(), await postgres.worker()

    with one.transaction():
        one.run(racing.claim(session, limit=1))
        leaving = other.start_and_block(racing.close_session(session))
    answer_of(leaving)

    assert postgres.reap() == Reaped(sessions=0, freed=1)
    assert (await postgres.see(started)).status is Status.PENDING


# --- cancel ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [DONE, FAILED])
async def test_outcome_that_waits_for_a_cancel_is_cancelled(
    postgres: PostgresWorld, one: Racer, other: Racer, outcome: Outcome
) -> None:
    """F51: the caller was told that it will be cancelled."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        (told,) = one.run(racing.cancel(started))
        ending = other.start_and_block(_end(session, started, outcome))
    answer_of(ending)

    assert told[0] == Status.RUNNING
    seen = await postgres.see(started)
    assert (seen.status, seen.why, seen.result, seen.error) == (Status.CANCELLED, "no longer needed", None, None)


async def test_lone_completion_that_waits_for_a_cancel_leaves_it_to_the_long_statement(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F51: it looks at the row's newest version, after it has waited for the lock."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        one.run(racing.cancel(started))
        ending = other.start_and_block(racing.complete_one(session, started, b"1"))

    assert answer_of(ending) == []
    assert (await postgres.see(started)).status is Status.RUNNING


async def test_lone_completion_that_waits_for_the_reaper_changes_nothing(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F1"""
    session = await postgres.worker()
    started = await postgres.running(session)
    postgres.advance(LEASE + MINUTE)

    with one.transaction():
        one.run(racing.reap())
        late = other.start_and_block(racing.complete_one(session, started, b"1"))

    assert answer_of(late) == []
    assert (await postgres.see(started)).status is Status.PENDING


async def test_completion_that_waits_for_a_cancel_is_left_and_the_others_are_stored(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F51: each is judged by its row's newest version."""
    session = await postgres.worker()
    asked, free = await postgres.running(session), await postgres.running(session)

    with one.transaction():
        one.run(racing.cancel(asked))
        ending = other.start_and_block(racing.complete(session, [checkpoint(asked)], [asked, free]))
    ((is_alive, refused, left, *_),) = answer_of(ending)

    assert (is_alive, refused, left) == (True, None, [asked])
    assert (await postgres.see(asked)).status is Status.RUNNING
    assert (await postgres.see(free)).status is Status.COMPLETED
    assert await postgres.keys(asked) == ["fetch"]


async def test_cancel_that_waits_for_the_outcome_is_told_it_came_too_late(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F51."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        one.run(_end(session, started))
        cancelling = other.start_and_block(racing.cancel(started))

    assert answer_of(cancelling) == []
    assert (await postgres.see(started)).status is Status.COMPLETED


@pytest.mark.parametrize("is_leaving", [True, False])
async def test_cancel_that_the_end_of_its_session_waits_for_is_kept(
    postgres: PostgresWorld, one: Racer, other: Racer, is_leaving: bool
) -> None:
    """F51: whether the worker leaves or has died."""
    session = await postgres.worker()
    started = await postgres.running(session)
    if not is_leaving:
        postgres.advance(LEASE + MINUTE)

    with one.transaction():
        one.run(racing.cancel(started))
        ending = other.start_and_block(racing.close_session(session) if is_leaving else racing.reap())
    answer_of(ending)

    claimed = await postgres.claim_one(await postgres.worker("heir:1"))
    assert (claimed.id, claimed.cancel_reason) == (started, "no longer needed")


# --- results ---------------------------------------------------------------------------------------------------------


async def test_watch_that_waits_for_the_end_sees_it(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F41: no end falls between the question and the request to be told."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        one.run(_end(session, started))
        watching = other.start_and_block(racing.watch([started]))

    (row,) = answer_of(watching)
    assert row[3] == Status.COMPLETED


async def test_end_that_waits_for_a_watch_sends_the_hint(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F41."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        (row,) = one.run(racing.watch([started]))
        ending = other.start_and_block(_end(session, started))

    assert row[3] == Status.RUNNING
    ((_, _, _, hints),) = answer_of(ending)
    assert hints == 1


@pytest.mark.parametrize("way", ["flush", "leave", "die"])
async def test_all_that_a_statement_waited_for_is_changed_and_hinted_at(
    postgres: PostgresWorld, one: Racer, other: Racer, way: str
) -> None:
    """F41: by the newest version of each of the rows, not only of the first. Who leaves or dies hands them on."""
    session = await postgres.worker()
    ids = [await postgres.running(session) for _ in range(5)]
    for id in ids:
        await postgres.store.cancel(id, reason="no longer needed")
    if way == "die":
        postgres.advance(LEASE + MINUTE)
    flush = racing.flush(session, Batch(endings=[Ending(id, DONE) for id in ids]))
    change = {"flush": flush, "leave": racing.close_session(session), "die": racing.reap()}[way]

    with one.transaction():
        one.run(racing.watch(ids))
        changing = other.start_and_block(change)

    ((*_, hints),) = answer_of(changing)
    assert hints == 1
    status = Status.CANCELLED if way == "flush" else Status.PENDING
    assert (await postgres.store.count())[status] == 5


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_second_start_of_a_key_waits_for_the_first_and_answers_with_it(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F3, F32, F104: the insert sees what the snapshot of its own statement does not."""
    first, second = execution(key="k", input=b"1"), execution(key="k", input=b"1")

    with one.transaction():
        one.run(racing.create([first]))
        starting = other.start_and_block(racing.create([second]))

    assert answer_of(starting) == [(first.id, "order", "k", b"1", 0)]
    assert await postgres.store.get(second.id) is None


async def test_second_start_of_a_key_stands_when_the_first_is_undone(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The first start was in a transaction of the caller's, who changed his mind."""
    first, second = execution(key="k"), execution(key="k")

    with one.transaction(force_rollback=True):
        one.run(racing.create([first]))
        starting = other.start_and_block(racing.create([second]))

    assert answer_of(starting) == [(second.id, "order", "k", b"{}", 0)]
    assert await postgres.store.get(first.id) is None


async def test_one_of_many_starts_at_once_wins_and_all_are_told(postgres: PostgresWorld) -> None:
    """F3, F104: from four processes' connections."""
    stores = [PostgresStore(postgres.url) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))

    answers = await asyncio.gather(*(stores[n % 4].create([execution(key="k")]) for n in range(100)))

    assert len({answer.id for (answer,) in answers}) == 1
    assert sum(answer.is_new for (answer,) in answers) == 1
    assert (await postgres.store.count())[Status.PENDING] == 1
    await asyncio.gather(*(store.close() for store in stores))


# --- claims ----------------------------------------------------------------------------------------------------------


async def test_claim_takes_the_earliest_also_when_they_have_changed_since_it_looked(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F20: no fewer, no more, no others."""
    due = [await postgres.start() for _ in range(20)]
    session = await postgres.worker()
    held_up = b"least($4::int, (select 1 from pg_advisory_xact_lock(7)))"

    with one.transaction():
        one.execute("select pg_advisory_xact_lock(7)")
        claiming = other.start_and_block(racing.claim(session, limit=7).with_(held_up, instead_of=b"least($4::int, 1)"))
        await postgres.store.watch(due[1::2])
    answer_of(claiming)

    taken = [id for id in due if (await postgres.see(id)).status is Status.RUNNING]
    assert taken == due[:7]


async def test_claim_that_finds_nothing_writes_nothing(postgres: PostgresWorld, one: Racer) -> None:
    session = await postgres.worker()

    with one.transaction():
        one.run(racing.claim(session, limit=7))
        written = one.execute("select pg_current_xact_id_if_assigned()")

    assert written == [(None,)]


async def test_claim_does_not_wait_for_the_disk_and_what_follows_it_does(postgres: PostgresWorld, one: Racer) -> None:
    await postgres.start()
    session = await postgres.worker()
    before = one.execute("show synchronous_commit")

    with one.transaction():
        one.run(racing.claim(session, limit=7))
        during = one.execute("show synchronous_commit")

    assert during == [("off",)]
    assert one.execute("show synchronous_commit") == before != during


async def test_claim_waits_for_nobody_who_ends_its_session(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F16: it holds executions by then, and who ends a session waits for these."""
    started, session = await postgres.start(), await postgres.worker()

    with one.transaction():
        one.run(racing.close_session(session))
        ((_, is_alive, *_),) = other.run(racing.claim(session, limit=1))

    assert not is_alive
    assert (await postgres.see(started)).status is Status.PENDING


async def test_claims_of_many_workers_take_each_execution_once_and_no_more_than_asked(postgres: PostgresWorld) -> None:
    """F20: eight connections, with a watcher that changes the same rows meanwhile."""
    new = [execution() for _ in range(400)]
    await postgres.store.create(new)
    stores = [PostgresStore(postgres.url) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    taken: list[list[ExecutionId]] = []

    async def work(store: PostgresStore) -> None:
        world = PostgresWorld(postgres.url)
        world.store = store
        session = await world.worker()
        while (await store.count())[Status.PENDING]:
            taken.append(await world.claimed_ids(session, limit=7))
            await store.watch([one.id for one in new[::20]])

    await asyncio.gather(*(work(store) for store in stores))

    assert max(len(ids) for ids in taken) == 7
    assert sorted(id for ids in taken for id in ids) == sorted(one.id for one in new)
    await asyncio.gather(*(store.close() for store in stores))
