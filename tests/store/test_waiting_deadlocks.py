"""Who wakes, cancels or ends several executions never waits for another who does: all lock them in one order (F33)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from random import Random

import psycopg
import pytest

from stepwell.core.events import address
from stepwell.core.model import Batch, Ending, ExecutionId, Kind, Look, NewEvent, Outcome, SessionId, Suspended, Waiting
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from stepwell.store.postgres import PostgresStore
from tests.store import racing
from tests.store.racing import Call, Racer, answer_of
from tests.store.world import DONE, STOPPED, PostgresWorld, checkpoint, child

EVENT = NewEvent("paid", address(key="k"), b"1")


@pytest.fixture
def racers(postgres: PostgresWorld) -> Iterator[list[Racer]]:
    racers = [Racer(postgres.url) for _ in range(3)]
    yield racers
    for racer in racers:
        racer.close()


async def _meet(racers: list[Racer], held: ExecutionId, first: Call, second: Call) -> None:
    """Both need the row that a third one holds, and another one: who gets that first must not wait for the other."""
    holder, one, other = racers
    with holder.transaction():
        holder.execute("select from stepwell.execution where id = %s for update", held)
        answers = [one.start_and_block(first), other.start_and_block(second)]
    for answer in answers:
        answer_of(answer)


async def _two_waiting(postgres: PostgresWorld) -> tuple[ExecutionId, ExecutionId]:
    session = await postgres.worker()
    low, high = sorted([await postgres.waiting(session) for _ in range(2)])
    return low, high


async def test_event_and_watch_of_the_same_executions_never_deadlock(
    postgres: PostgresWorld, racers: list[Racer]
) -> None:
    low, high = await _two_waiting(postgres)

    await _meet(racers, high, racing.send(EVENT), racing.watch([high, low]))

    assert [(await postgres.see(id)).status for id in (low, high)] == [Status.PENDING, Status.PENDING]


async def test_without_its_order_an_event_deadlocks(postgres: PostgresWorld, racers: list[Racer]) -> None:
    """The negative control."""
    low, high = await _two_waiting(postgres)
    send = racing.send(EVENT).with_(b"order by 1 desc", instead_of=b"order by 1")

    with pytest.raises(psycopg.errors.DeadlockDetected):
        await _meet(racers, high, send, racing.watch([high, low]))


async def _family(postgres: PostgresWorld) -> tuple[SessionId, ExecutionId, ExecutionId]:
    session = await postgres.worker()
    parent, called = await postgres.family(session)
    return session, parent, called


def _end(session: SessionId, execution_id: ExecutionId, outcome: Outcome) -> Call:
    return racing.flush(session, Batch(endings=[Ending(execution_id, outcome)]))


async def test_end_of_a_child_and_of_its_parent_by_two_workers_never_deadlock(
    postgres: PostgresWorld, racers: list[Racer]
) -> None:
    """Each writes its own row and the other's."""
    session, parent, called = await _family(postgres)
    other = await postgres.worker("host:2")
    racers[0].execute("update stepwell.execution set owner = %s where id = %s", other, called)

    await _meet(racers, max(parent, called), _end(session, parent, STOPPED), _end(other, called, DONE))

    assert [(await postgres.see(id)).status for id in (parent, called)] == [Status.CANCELLED, Status.CANCELLED]


async def test_without_their_common_order_they_deadlock(postgres: PostgresWorld, racers: list[Racer]) -> None:
    """The negative control: the parent's flush begins at the other end."""
    session, parent, called = await _family(postgres)
    other = await postgres.worker("host:2")
    racers[0].execute("update stepwell.execution set owner = %s where id = %s", other, called)
    ending = _end(session, parent, STOPPED).with_(
        b"order by uuid_send(e.id) desc", instead_of=b"order by uuid_send(e.id)"
    )

    with pytest.raises(psycopg.errors.DeadlockDetected):
        await _meet(racers, max(parent, called), ending, _end(other, called, DONE))


async def test_forced_end_of_a_parent_and_the_end_of_its_child_never_deadlock(
    postgres: PostgresWorld, racers: list[Racer]
) -> None:
    session, parent, called = await _family(postgres)

    await _meet(racers, max(parent, called), racing.cancel(parent, force=True), _end(session, called, DONE))

    assert [(await postgres.see(id)).status for id in (parent, called)] == [Status.CANCELLED, Status.CANCELLED]


async def test_cancel_of_a_child_and_the_park_of_its_parent_never_deadlock(
    postgres: PostgresWorld, racers: list[Racer]
) -> None:
    session, parent, called = await _family(postgres)
    batch = Batch(endings=[Ending(parent, Waiting(None, "waits", 0)), Ending(called, DONE)])

    await _meet(racers, max(parent, called), racing.cancel(called, force=True), racing.flush(session, batch))

    assert (await postgres.see(parent)).status is Status.PENDING


# --- all of them at once ------------------------------------------------------------------------------------------

ROUNDS = 60
KEYS = [address(key=f"k{n}") for n in range(3)]


class Crowd:
    """Workers whose executions call children and wait for events, senders, and callers who cancel and retry."""

    def __init__(self, stores: list[PostgresStore]) -> None:
        self.stores = stores
        self.ids: list[ExecutionId] = []
        self.woken = self.born = 0

    async def all(self, url: str) -> None:
        parts: list[Callable[[PostgresWorld, Random], Awaitable[None]]] = [
            self.start, self.work, self.work, self.work, self.send, self.send, self.meddle, self.watch,
        ]  # fmt: skip
        await asyncio.gather(*(self._part(url, n, part) for n, part in enumerate(parts)))

    async def _part(self, url: str, n: int, part: Callable[[PostgresWorld, Random], Awaitable[None]]) -> None:
        world, chance = PostgresWorld(url), Random(n)
        world.store = self.stores[n]
        for _ in range(ROUNDS):
            await part(world, chance)

    async def start(self, world: PostgresWorld, chance: Random) -> None:
        self.ids += [await world.start() for _ in range(chance.randrange(2))]

    async def work(self, world: PostgresWorld, chance: Random) -> None:
        session = await world.worker()
        claim = await world.claim(session, limit=12)
        claimed = [(one.id, one.signals) for one in claim.executions]
        self.ids += [one.id for one in claim.executions if one.parent_id is not None and one.passes == 1]
        now = world.store.now()
        looks = [Look(id, "wait", "paid", chance.choice(KEYS), 0, now) for id, _ in claimed]
        await world.store.look(looks)
        try:
            await self._end_pass(world, session, claimed, chance)
        except (LeaseLost, psycopg.errors.UniqueViolation):
            pass  # what a call has started already, in an earlier pass
        await world.store.close_session(session)

    async def _end_pass(
        self, world: PostgresWorld, session: SessionId, claimed: list[tuple[ExecutionId, int]], chance: Random
    ) -> None:
        parents = [id for id, _ in claimed if chance.random() < 0.3]
        born = [child(id, f"call#{chance.randrange(1_000_000)}") for id in parents if len(self.ids) < 200]
        await world.flush(session, children=born)
        self.born += len(born)
        chance.shuffle(claimed)
        endings = [Ending(id, self._outcome(world, signals, chance)) for id, signals in claimed]
        over = [checkpoint(id, f"wait#{chance.randrange(1_000_000)}", kind=Kind.WAIT) for id in parents]
        await world.flush(session, checkpoints=over, endings=endings)

    def _outcome(self, world: PostgresWorld, signals: int, chance: Random) -> Outcome:
        waits = Waiting(None, "waits", signals)
        asleep = Suspended(world.store.now(), "sleeping")
        outcomes: list[Outcome] = [waits, waits, waits, DONE, STOPPED, asleep]
        return chance.choice(outcomes)

    async def send(self, world: PostgresWorld, chance: Random) -> None:
        sent = await world.send(to=chance.choice(KEYS))
        assert sent is not None
        self.woken += sent.waiting or 0

    async def meddle(self, world: PostgresWorld, chance: Random) -> None:
        for id in chance.sample(self.ids, min(len(self.ids), 5)):
            await world.store.cancel(id, reason="no longer needed", force=chance.random() < 0.3)
            await world.store.reopen(id)

    async def watch(self, world: PostgresWorld, chance: Random) -> None:
        await world.store.watch(chance.sample(self.ids, len(self.ids) // 2))
        if chance.random() < 0.1:
            world.reap(max_crashes=2)


async def test_mixed_load_of_families_and_events_meets_no_deadlock(postgres: PostgresWorld) -> None:
    """40P01 is an error of somebody's statement here: it would be raised."""
    stores = [PostgresStore(postgres.url) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    crowd = Crowd(stores)

    await crowd.all(postgres.url)

    assert crowd.woken > 10  # they do meet
    assert crowd.born > 10
    await asyncio.gather(*(store.close() for store in stores))
