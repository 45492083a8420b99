"""The rules about deliveries of webhooks in the random comparison of the stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Protocol
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.webhooks import DeliveryFilter, Envelope, HookSpec, NewDelivery, execution_key
from tests.store.world import MINUTE, World

WORKFLOWS = ("order", "invoice")

_HOOKS = st.lists(
    st.builds(
        HookSpec,
        id=st.sampled_from(("orders", "all")),
        workflow=st.sampled_from(WORKFLOWS),
        queue=st.sampled_from(("default", "crm")),
        parameter=st.sampled_from((None, "event")),
        source=st.just("shopify"),
        types=st.sampled_from((("*",), ("orders/*", "refunds/create"))),
        connection=st.sampled_from((None, "acme")),
    ),
    max_size=2,
    unique_by=lambda spec: spec.id,
)
_ARRIVALS = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(("1", "2", "3")),
            "subject": st.sampled_from((None, None, "item")),
            "connection": st.sampled_from((None, "acme")),
            "workflows": st.sampled_from(((), WORKFLOWS[:1], WORKFLOWS, WORKFLOWS[::-1])),
            "is_reconciled": st.booleans(),
        }
    ),
    max_size=4,
)
_FIRST = 1_000_000_000  # ids of deliveries begin here, those of executions at 1


class Side(Protocol):
    """One of the two stores."""

    world: World


class InboxRules:
    """Mixed into the state machine."""

    ids: list[ExecutionId]
    arrived: int = _FIRST

    def both(self, operation: Callable[[Any], Awaitable[Any]]) -> None:
        """Do it to both; they must answer alike."""
        raise NotImplementedError

    def known(self) -> dict[ExecutionId, Any]:
        """The executions that there are."""
        raise NotImplementedError

    @rule(specs=_HOOKS, workflows=st.sampled_from((WORKFLOWS, WORKFLOWS[:1])))
    def declare_hooks(self, specs: list[HookSpec], workflows: tuple[str, ...]) -> None:
        self.both(lambda side: side.world.store.inbox.apply_hooks(specs, workflows=workflows))

    @rule(arrivals=_ARRIVALS, is_stale=st.sampled_from((False, False, False, True)))
    def take_deliveries(self, arrivals: list[dict[str, Any]], is_stale: bool) -> None:
        """Twice: a call that is repeated changes nothing more."""
        ids = count(len(WORKFLOWS) * self.arrived)  # far from the counted ones: some stay unused
        given: dict[tuple[str, str], ExecutionId] = {}
        new = [self._delivery(ids=ids, given=given, **one) for one in arrivals]

        async def operation(side: Side) -> object:
            revision, _ = await side.world.store.inbox.hooks()
            first = await side.world.store.inbox.accept(new, revision=revision - is_stale)
            return first, await side.world.store.inbox.accept(new[:1], revision=revision - is_stale)

        self.both(operation)
        self.ids += sorted(id for id in given.values() if id in self.known())

    def _delivery(self, *, ids: Any, given: Any, key: str, subject: Any, connection: Any, **rest: Any) -> NewDelivery:
        self.arrived += 1
        envelope = Envelope("orders/create", key, subject)
        started_as = execution_key("shopify", connection, envelope)
        starts = []
        for workflow in rest["workflows"]:
            id = given.setdefault((workflow, started_as), ExecutionId(UUID(int=next(ids))))
            starts.append(NewExecution(id, workflow, b"%d" % self.arrived, key=started_as))
        return NewDelivery(
            UUID(int=self.arrived),
            "shopify",
            connection,
            envelope,
            {"n": key},
            b"%d" % self.arrived,
            tuple(starts),
            rest["is_reconciled"],
        )

    @rule(number=st.integers(1, 4), workflow=st.sampled_from(WORKFLOWS))
    def replay(self, number: int, workflow: str) -> None:
        id = ExecutionId(UUID(int=len(self.ids) + 1))
        new = [NewExecution(id, workflow, b"replayed", key="any")]
        self.both(lambda side: side.world.store.inbox.replay(UUID(int=_FIRST + number), new))
        self.ids += [id] if id in self.known() else []

    @rule(number=st.integers(1, 4), connection=st.sampled_from((None, "acme")), limit=st.integers(1, 3))
    def look_at_deliveries(self, number: int, connection: str | None, limit: int) -> None:
        async def operation(side: Side) -> object:
            found = await side.world.store.inbox.delivery(UUID(int=_FIRST + number))
            which, before = DeliveryFilter(connection=connection), found.id if found else None
            return found, await side.world.store.inbox.deliveries(which, before=before, limit=limit)

        self.both(operation)

    @rule(minutes=st.sampled_from((3, 30)))
    def forget_deliveries(self, minutes: int) -> None:
        self.both(lambda side: side.world.store.remove_deliveries((minutes + 0.25) * MINUTE))
