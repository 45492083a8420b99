"""No two statements of ours wait for each other: they lock executions in the order of their ids (F33)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from random import Random

import psycopg
import pytest

from stepwell.core.model import Batch, Ending, ExecutionId, Flushed, NewExecution, SessionId, Suspended
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from stepwell.store.postgres import PostgresStore
from tests.store import racing
from tests.store.racing import Call, Racer, answer_of
from tests.store.world import DONE, HOUR, LEASE, MINUTE, STOPPED, PostgresWorld, execution, executions

Several = Callable[[SessionId, list[ExecutionId]], Call]


@pytest.fixture
def racers(postgres: PostgresWorld) -> Iterator[list[Racer]]:
    racers = [Racer(postgres.url) for _ in range(3)]
    yield racers
    for racer in racers:
        racer.close()


def _flush(session: SessionId, ids: list[ExecutionId]) -> Call:
    return racing.flush(session, Batch(endings=[Ending(id, DONE) for id in ids]))


def _close(session: SessionId, ids: list[ExecutionId]) -> Call:
    return racing.close_session(session)


def _reap(session: SessionId, ids: list[ExecutionId]) -> Call:
    return racing.reap()


several = pytest.mark.parametrize(
    ("changing", "order"),
    [(_flush, b"order by ends.id"), (_close, b"order by uuid_send(e.id)"), (_reap, b"order by uuid_send(e.id)")],
)


async def _meet(postgres: PostgresWorld, racers: list[Racer], changing: Several, order: bytes, instead: bytes) -> None:
    """A watch on two executions meets a statement that changes both; each has one to begin with if it can."""
    session = await postgres.worker()
    low, high = sorted([await postgres.running(session) for _ in range(2)])
    if changing is _reap:
        postgres.advance(LEASE + MINUTE)
    change = changing(session, [high, low]).with_(instead, instead_of=order)
    holder, changer, watcher = racers

    with holder.transaction():
        holder.execute("select from stepwell.execution where id = %s for update", high)
        answers = [changer.start_and_block(change), watcher.start_and_block(racing.watch([high, low]))]
    for answer in answers:
        answer_of(answer)


@several
async def test_watch_and_change_of_the_same_executions_never_deadlock(
    postgres: PostgresWorld, racers: list[Racer], changing: Several, order: bytes
) -> None:
    await _meet(postgres, racers, changing, order, order)


@several
async def test_without_the_order_they_deadlock(
    postgres: PostgresWorld, racers: list[Racer], changing: Several, order: bytes
) -> None:
    """The negative control."""
    with pytest.raises(psycopg.errors.DeadlockDetected):
        await _meet(postgres, racers, changing, order, order + b" desc")


async def test_repeated_start_waits_for_nobody(postgres: PostgresWorld, racers: list[Racer]) -> None:
    """Whoever holds the executions: a start of keys that are taken only looks."""
    new = executions(3)
    new = [one._replace(key=f"k{n}") for n, one in enumerate(new)]
    await postgres.store.create(new)
    holder, starter, _ = racers

    with holder.transaction():
        holder.execute("select from stepwell.execution for update")
        rows = answer_of(starter.start(racing.create(new)))

    assert [row[0] for row in rows] == [one.id for one in new]


# --- all of them at once ----------------------------------------------------------------------------------------------

ROUNDS = 60
KEYS = 40


class Crowd:
    """Workers, callers and a reaper on the same few executions, each with a connection of its own."""

    def __init__(self, url: str, stores: list[PostgresStore]) -> None:
        self.url, self.stores = url, stores
        self.ids: list[ExecutionId] = []
        self.ended = 0

    async def all(self) -> None:
        parts: list[Callable[[PostgresWorld, Random], Awaitable[None]]] = [
            self.start, self.start, self.work, self.work, self.work, self.watch, self.meddle, self.kill,
        ]  # fmt: skip
        await asyncio.gather(*(self._part(n, part) for n, part in enumerate(parts)))

    async def _part(self, n: int, part: Callable[[PostgresWorld, Random], Awaitable[None]]) -> None:
        world, chance = PostgresWorld(self.url), Random(n)
        world.store = self.stores[n]
        for _ in range(ROUNDS):
            await part(world, chance)

    async def start(self, world: PostgresWorld, chance: Random) -> None:
        new: list[NewExecution] = [execution(key=f"k{n}") for n in chance.sample(range(KEYS), 20)]
        self.ids = list({*self.ids, *(answer.id for answer in await world.store.create(new))})

    async def work(self, world: PostgresWorld, chance: Random) -> None:
        session = await world.worker()
        try:
            ids = await world.claimed_ids(session, limit=12)
            chance.shuffle(ids)
            asleep = Suspended(world.store.now() - HOUR, "sleeping")
            flushed = await world.flush(
                session, endings=[Ending(id, chance.choice((STOPPED, asleep, asleep, asleep))) for id in ids[2:]]
            )
            self.ended += _stored(flushed, ids[2:])
            await world.store.close_session(session)
        except LeaseLost:
            return

    async def watch(self, world: PostgresWorld, chance: Random) -> None:
        await world.store.watch(chance.sample(self.ids, len(self.ids) // 2))

    async def meddle(self, world: PostgresWorld, chance: Random) -> None:
        for id in chance.sample(self.ids, len(self.ids) // 2):
            if chance.random() < 0.3:
                await world.store.cancel(id, reason="no longer needed")
            await world.store.reopen(id)

    async def kill(self, world: PostgresWorld, chance: Random) -> None:
        """Now and then the leases of all run out at once."""
        if chance.random() < 0.8:
            return
        connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        async with connection:
            await connection.execute("update stepwell.worker set expires_at = now() - interval '1 second'")
        world.reap(max_crashes=1_000)


def _stored(flushed: Flushed, ids: list[ExecutionId]) -> int:
    return len(set(ids) - flushed.refused)


async def test_mixed_load_on_the_same_executions_meets_no_deadlock(postgres: PostgresWorld) -> None:
    """40P01 is an error of somebody's statement here: it would be raised."""
    stores = [PostgresStore(postgres.url) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    crowd = Crowd(postgres.url, stores)

    await crowd.all()

    assert crowd.ended > KEYS  # they do get work done, again and again
    counts = await postgres.store.count()
    assert sum(counts.values()) == KEYS
    assert counts[Status.FAILED] == 0
    await asyncio.gather(*(store.close() for store in stores))
