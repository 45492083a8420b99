"""Random operations with events, children and what waits for them: memory and PostgreSQL agree, as in test_model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from stepwell.core.events import NOBODY, address
from stepwell.core.model import (
    Batch,
    Ending,
    Event,
    ExecutionId,
    Kind,
    Look,
    NewCheckpoint,
    NewChild,
    NewEvent,
    Waiting,
)
from tests.store.test_model import LEASES, OUTCOMES, QUEUES, WORKFLOWS, Agreement, Side, compare
from tests.store.world import MINUTE

NAMES, CALLS, CHILDREN = ("paid", "sent"), ("wait", "other"), ("bill", "ship")


class WaitingAgreement(Agreement):
    """The rules about executions and sessions, and those about waiting; none about what is declared or searched."""

    declare = look_at_schedules = fire = advance = pause_schedule = resume_schedule = None  # type: ignore[assignment]
    declare_triggers = decide = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[tuple[Side, str, str], int] = {}  # the newest event that was taken

    def any_address(self, data: st.DataObject) -> str:
        own = [address(execution_id=id) for id in self.any_ids(data)]
        shared = [address(key="a")] * 4
        return str(data.draw(st.sampled_from([*shared, NOBODY, *own]), label="address"))

    @rule(minutes=st.sampled_from((1, 5, 11, 61)))
    def pass_time(self, minutes: int) -> None:
        super().pass_time(minutes)
        for place, number in self.read.items():
            if place[0] is self.postgres:  # where what is stored moves into the past, and its numbers with it
                self.read[place] = number - minutes * MINUTE // timedelta(microseconds=1)

    @rule(data=st.data(), name=st.sampled_from((*NAMES, "paid", "paid")), id=st.sampled_from((None, None, "e1", "e2")))
    def send(self, data: st.DataObject, name: str, id: str | None) -> None:
        event = NewEvent(name, self.any_address(data), f'"{len(self.read)}"'.encode(), id)
        self.both(lambda side: side.world.store.send(event))

    @rule(
        data=st.data(),
        since=st.sampled_from((0.5, 3.5, 100.5)),
        until=st.sampled_from((None, None, 2.5, -2.5)),
        among=st.sampled_from((None, NAMES[:1], NAMES)),
    )
    def look(self, data: st.DataObject, since: float, until: float | None, among: tuple[str, ...] | None) -> None:
        names, calls, keys = st.sampled_from(NAMES), st.sampled_from(CALLS), st.sampled_from(("a", None))
        asked = [
            (id, data.draw(calls), data.draw(names), address(key=data.draw(keys), execution_id=id))
            for id in self.any_ids(data)
        ]

        def places(name: str, address: str) -> tuple[tuple[str, str], ...] | None:
            return None if among is None else tuple((one, address) for one in (name, *among))

        async def operation(side: Side) -> object:
            now = side.world.store.now()
            ends_at = None if until is None else now + until * MINUTE
            looks = [
                Look(*one, self.read.get((side, *one[2:]), 0), now - since * MINUTE, ends_at,
                     places(*one[2:]))
                for one in asked
            ]  # fmt: skip
            found = await side.world.store.look(looks)
            for look, event in zip(looks, found, strict=True):
                if isinstance(event, Event):
                    assert event.number > look.position
                    self.read[side, look.name, look.address] = event.number
            return found

        self.both(operation)

    @rule(data=st.data(), is_stale=st.booleans(), is_aware=st.booleans(), minutes=st.sampled_from((None, None, 5)))
    def park(self, data: st.DataObject, is_stale: bool, is_aware: bool, minutes: int | None) -> None:
        session, rows = self.any_session(data), self.memory_world.memory._executions
        parked = [(id, rows[id].signals - is_stale) for id in self.any_ids(data, session) if id in rows]
        over = [(id, data.draw(st.sampled_from(CALLS))) for id in self.any_ids(data, session)[:1]]

        async def operation(side: Side) -> object:
            due_at = None if minutes is None else side.world.store.now() + minutes * MINUTE
            return await side.world.flush(
                side.sessions[session],
                checkpoints=[NewCheckpoint(id, key, Kind.WAIT, 1, b"1") for id, key in over],
                endings=[Ending(id, Waiting(due_at, "waits", signals), is_aware) for id, signals in parked],
            )

        self.both(operation)

    @rule(data=st.data(), park=st.booleans())
    def begin_to_wait(self, data: st.DataObject, park: bool) -> None:
        """What mostly happens: a live worker claims, its executions look, and park."""
        session, rows = self.worker(), self.memory_world.memory._executions.values()
        owned = [row for row in rows if row.owner == self.memory.sessions[session]]
        waits = data.draw(st.lists(st.sampled_from(owned), max_size=3, unique_by=id), label="waits") if owned else []

        async def look(side: Side) -> object:
            since = side.world.store.now() - 100.5 * MINUTE
            looks = [
                Look(
                    row.id, "wait", "paid", address(key="a"), self.read.get((side, "paid", address(key="a")), 0), since
                )
                for row in waits
            ]
            return await side.world.store.look(looks)

        async def flush(side: Side) -> object:
            endings = [Ending(id, Waiting(None, "waits", signals)) for id, signals in parked]
            return await side.world.flush(side.sessions[session], endings=endings)

        parked = [(row.id, row.signals) for row in waits if park]
        self.both(look)
        self.both(flush)

    @rule(data=st.data())
    def call_children(self, data: st.DataObject) -> None:
        """What mostly happens: an execution calls children, and parks."""
        session, rows = self.worker(), self.memory_world.memory._executions.values()
        owned = [row for row in rows if row.owner == self.memory.sessions[session]]
        if owned:
            parent, first = data.draw(st.sampled_from(owned), label="parent"), len(self.ids) + 1
            keys = [key for key in CHILDREN if (parent.id, key) not in self.memory_world.memory._children]
            children = [
                NewChild(ExecutionId(UUID(int=first + n)), "order", "default", b"1", parent.id, key, is_called=True)
                for n, key in enumerate(keys)
            ]
            endings = [Ending(parent.id, Waiting(None, "waits", parent.signals))]
            for batch in (Batch(children=children), Batch(endings=data.draw(st.sampled_from((endings, []))))):
                self.both(lambda side, batch=batch: side.world.store.flush(side.sessions[session], batch))  # type: ignore[misc]
            self.ids += [child.id for child in children]

    def worker(self) -> int:
        """A live session that has claimed what there was."""
        self.open(LEASES[1], WORKFLOWS, QUEUES)
        self.claim_what_there_is()
        return len(self.memory.sessions) - 1

    @rule(data=st.data(), is_called=st.booleans(), do_end=st.sampled_from((False, False, False, True)))
    def bear(self, data: st.DataObject, is_called: bool, do_end: bool) -> None:
        """Executions start children; now and then they end, or stop, in the same flush."""
        session, first = self.any_session(data), len(self.ids) + 1
        parents = self.any_ids(data, session)
        children = [
            NewChild(ExecutionId(UUID(int=first + n)), data.draw(st.sampled_from(WORKFLOWS)), "default", b"1", id,
                     data.draw(st.sampled_from(CHILDREN)), is_called, ("child",))
            for n, id in enumerate(parents)
        ]  # fmt: skip
        outcomes = [(id, data.draw(OUTCOMES)) for id in parents if do_end]

        async def operation(side: Side) -> object:
            endings = [Ending(id, outcome(side.world.store.now())) for id, outcome in outcomes]
            return await side.world.store.flush(side.sessions[session], Batch(endings=endings, children=children))

        self.both(operation)
        self.ids += [child.id for child in children]

    @rule(data=st.data())
    def end_family(self, data: st.DataObject) -> None:
        """Several of a family end, or stop for a while, in one flush."""
        session, rows = self.any_session(data), self.memory_world.memory._executions.values()
        owner = self.memory.sessions[session]
        families = [row.caller for row in rows if row.caller and row.owner == owner]
        if families:
            parent = data.draw(st.sampled_from(families), label="parent")
            ids = [row.id for row in rows if row.owner == owner and parent in (row.id, row.caller)]
            outcomes = [(id, data.draw(OUTCOMES)) for id in data.draw(st.permutations(ids))]

            async def operation(side: Side) -> object:
                endings = [Ending(id, outcome(side.world.store.now())) for id, outcome in outcomes]
                return await side.world.flush(side.sessions[session], endings=endings)

            self.both(operation)

    @rule(data=st.data())
    def force(self, data: st.DataObject) -> None:
        ids = self.any_ids(data)

        async def operation(side: Side) -> object:
            return [await side.world.store.cancel(id, reason="at once", force=True) for id in ids[:1]]

        self.both(operation)

    @rule(data=st.data())
    def called(self, data: st.DataObject) -> None:
        calls = [(id, key) for id in self.any_ids(data) for key in CHILDREN]
        self.both(lambda side: side.world.store.called(calls))

    @invariant()
    def what_waits_is_stored_alike(self) -> None:
        expected, found = self.memory.plain(self._waits_in_memory()), self.postgres.plain(self._waits_in_postgres())
        assert found == expected

    def _waits_in_memory(self) -> list[Any]:
        memory = self.memory_world.memory
        rows, topics = sorted(memory._executions.items()), sorted(memory._topics._topics.items())
        return [
            [(id, row.signals, row.cancel_reason) for id, row in rows],
            [(*place, event.sent_at, event.payload) for place, topic in topics for event in topic.events],
            sorted(
                (id, key, *place, wait.after == topic.last, wait.until is not None)
                for place, topic in topics for (id, key), wait in topic.waits.items()
            ),
        ]  # fmt: skip

    def _waits_in_postgres(self) -> list[Any]:
        questions = [
            "select id, signals, cancel_reason from stepwell.execution order by id",
            "select name, address, sent_at, payload from stepwell.event order by name, address, number",
            "select execution_id, key, name, address, after = last, until_at is not null"
            " from stepwell.wait join stepwell.topic using (name, address) order by 1, 2, 3, 4",
        ]
        return [self.raw.execute(question.encode()).fetchall() for question in questions]


@pytest.mark.timeout(400)  # ten seconds; minutes only to find the shortest way to a disagreement
def test_memory_and_postgres_agree_about_waiting(database_url: str) -> None:
    compare(WaitingAgreement, database_url, examples=40, steps=40)


@pytest.mark.soak
def test_memory_and_postgres_agree_about_waiting_for_long(database_url: str) -> None:
    compare(WaitingAgreement, database_url, examples=800, steps=60)
