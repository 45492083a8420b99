"""The rules about schedules, polls and triggers in the random comparison of the stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from stepwell.core.dispatching import Dispatch, Settled, TriggerSpec
from stepwell.core.model import ExecutionId, NewEvent, NewExecution
from stepwell.core.schedule import Cursor, Decision, Overlap, Policy, ScheduleSpec, Tick
from stepwell.core.timing import Cron, Every
from tests.store.world import MINUTE, World

DECLARED = (  # tables that rules write to
    "schedule", "trigger", "dispatch", "event", "topic", "wait", "outbox", "hook", "delivery",
)  # fmt: skip

WORKFLOWS, QUEUES = ("order", "invoice"), ("default", "crm")
_SOME_WORKFLOWS = st.sampled_from((WORKFLOWS, WORKFLOWS[:1]))

SCHEDULES = ("hourly", "nightly")
_SPECS = st.lists(
    st.builds(
        ScheduleSpec,
        id=st.sampled_from(SCHEDULES),
        workflow=st.sampled_from(WORKFLOWS),
        queue=st.sampled_from(QUEUES),
        timing=st.sampled_from((Every(60 * MINUTE), Cron("0 3 * * *", "Europe/Brussels"))),
        policy=st.sampled_from((Policy(), Policy(overlap=Overlap.QUEUE))),
        parameter=st.sampled_from((None, "tick")),
    ),
    max_size=2,
    unique_by=lambda spec: spec.id,
)

TRIGGERS = ("orders", "all")
_TRIGGERS = st.lists(
    st.builds(
        TriggerSpec,
        id=st.sampled_from(TRIGGERS),
        workflow=st.sampled_from(WORKFLOWS),
        pattern=st.sampled_from(("order.*", "*")),
    ),
    max_size=2,
    unique_by=lambda spec: spec.id,
)


class Side(Protocol):
    """One of the two stores."""

    world: World


class DeclaredRules:
    """Mixed into the state machine."""

    ids: list[ExecutionId]

    def both(self, operation: Callable[[Any], Awaitable[Any]]) -> None:
        """Do it to both; they must answer alike."""
        raise NotImplementedError

    def known(self) -> dict[ExecutionId, Any]:
        """The executions that there are."""
        raise NotImplementedError

    # --- schedules ------------------------------------------------------------------------------------------------

    @rule(specs=_SPECS, workflows=_SOME_WORKFLOWS)
    def declare(self, specs: list[ScheduleSpec], workflows: tuple[str, ...]) -> None:
        self.both(lambda side: side.world.store.catalog.apply_schedules(specs, workflows=workflows))

    @rule(workflows=_SOME_WORKFLOWS)
    def look_at_schedules(self, workflows: tuple[str, ...]) -> None:
        async def operation(side: Side) -> object:
            answer = await side.world.store.catalog.due_schedules(workflows)
            due = sorted(answer.due, key=lambda one: one.id)
            return due, answer.next_at, answer.is_waiting

        self.both(operation)

    @rule(
        schedule_id=st.sampled_from(SCHEDULES),
        numbers=st.lists(st.integers(1, 5), max_size=2, unique=True),
        is_stale=st.sampled_from((False, False, True)),
        next_in=st.sampled_from((None, 0, 30)),
    )
    def fire(self, schedule_id: str, numbers: list[int], is_stale: bool, next_in: int | None) -> None:
        first = len(self.ids) + 1
        new = [
            NewExecution(
                ExecutionId(UUID(int=first + n)), "any", b"1", key=f"{schedule_id}@{number}", delay_seconds=60.0 * n
            )
            for n, number in enumerate(numbers)
        ]

        async def operation(side: Side) -> object:
            known = await side.world.store.catalog.schedule(schedule_id)
            if known is None:
                return None
            now, one = side.world.store.now(), replace(known[1], revision=known[1].revision - is_stale)
            may_look = one.is_declared and one.paused_at is None and next_in is not None
            next_at = now + (next_in or 0) * MINUTE if may_look else None
            decision = Decision([Tick(one.id, now)] * len(numbers), (), now, next_at, f"fired {numbers}")
            return await side.world.store.catalog.fire(one, decision, new)

        self.both(operation)
        self.ids += [one.id for one in new if one.id in self.known()]

    @rule(schedule_id=st.sampled_from(SCHEDULES), page=st.integers(1, 3), is_stale=st.booleans())
    def advance(self, schedule_id: str, page: int, is_stale: bool) -> None:
        first = ExecutionId(UUID(int=len(self.ids) + 1))
        new = [NewExecution(first, "order", b"1", key=f"item {page}")]

        async def operation(side: Side) -> object:
            since = Cursor() if is_stale else await side.world.store.catalog.cursor(schedule_id)
            moved = Cursor(str(page), f"page {page}")
            is_moved = await side.world.store.catalog.advance(schedule_id, moved, since=since, new=new)
            return is_moved, await side.world.store.catalog.cursor(schedule_id)

        self.both(operation)
        self.ids += [first] if first in self.known() else []

    @rule(schedule_id=st.sampled_from(SCHEDULES))
    def pause_schedule(self, schedule_id: str) -> None:
        self.both(lambda side: side.world.store.catalog.pause_schedule(schedule_id, reason="holidays"))

    @rule(schedule_id=st.sampled_from(SCHEDULES))
    def resume_schedule(self, schedule_id: str) -> None:
        self.both(lambda side: side.world.store.catalog.resume_schedule(schedule_id))

    # --- events that start executions -----------------------------------------------------------------------------

    @rule(specs=_TRIGGERS, workflows=_SOME_WORKFLOWS)
    def declare_triggers(self, specs: list[TriggerSpec], workflows: tuple[str, ...]) -> None:
        self.both(lambda side: side.world.store.triggers.apply_triggers(specs, workflows=workflows))

    @rule(name=st.sampled_from(("order.created", "bell")), key=st.sampled_from(("", "k:1")), number=st.integers(1, 4))
    def send(self, name: str, key: str, number: int) -> None:
        event = NewEvent(name, key, b"%d" % number, str(number))
        self.both(lambda side: side.world.store.send(event))

    @rule(
        triggers=st.sampled_from((TRIGGERS, TRIGGERS[::-1], TRIGGERS[:1])),
        limit=st.integers(1, 3),
        starts=st.booleans(),
    )
    def decide(self, triggers: tuple[str, ...], limit: int, starts: bool) -> None:
        """Take, and settle all but the first, which is put off."""
        first = len(self.ids) + 1

        async def operation(side: Side) -> object:
            store = side.world.store.triggers
            taken = sorted(await store.take(triggers, limit=limit, lease_for=2 * MINUTE), key=_topic)
            said = [_said(one) for one in taken]
            for one in taken[:1]:
                await store.put_off(one, error="KeyError", delay=5 * MINUTE)
            new = [_started(one, first + n) if starts else None for n, one in enumerate(taken[1:])]
            decided = [Settled(one, made) for one, made in zip(taken[1:], new, strict=True)]
            return said, await store.settle(decided), await store.settle(decided)

        self.both(operation)
        self.ids += [id for n in range(limit) if (id := ExecutionId(UUID(int=first + n))) in self.known()]


def _topic(one: Dispatch) -> tuple[str, str, str]:
    """Numbers are times: memory's clock stands still between operations, so they order the events of one topic only."""
    return one.name, one.address, one.trigger


def _said(one: Dispatch) -> Sequence[object]:
    """Without its number, which is the time by each store's own clock."""
    assert one.info is not None
    return one.trigger, one.name, one.address, one.info.key, one.info.id, one.payload


def _started(one: Dispatch, number: int) -> NewExecution:
    return NewExecution(
        ExecutionId(UUID(int=number)), "order", b"1", key=f"event {one.name}{one.address}{one.payload!r}"
    )
