"""`step.first`: one winner, recorded once; what loses is withdrawn and lost to nobody."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import ChildFailed, ExecutionCancelled, First, InvalidOption, Step, SyncStep
from stepwell.core.model import Filter
from tests.runtime.lab import DAY, SECOND, Cut, Lab, Ledger


async def test_first_event_wins_and_the_others_are_there_for_the_next_wait(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        first = await step.first("decision", yes=step.event("yes"), no=step.event("no"), late=step.timer("7d"))
        return [first.name, first.value, await step.wait_for_event("yes")]

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.send_event("no", "because")
    lab.store.pass_time(SECOND)
    await handle.send_event("yes", "after all")

    async with lab.worker():
        assert await lab.result(handle) == ["no", "because", "after all"]


async def test_timer_wins_when_nothing_came_in_time(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> First:
        return await step.first("decision", yes=step.event("yes"), late=step.timer("7d"))

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)
    assert seen.why is not None
    assert seen.why.startswith("the first of yes (event 'yes'), late (timer) until ")
    lab.store.pass_time(8 * DAY)
    await handle.send_event("yes", "too late")

    async with lab.worker():
        assert await lab.result(handle) == First("late", None)


async def test_child_that_ends_first_wins(lab: Lab) -> None:
    @lab.app.workflow
    async def double(number: int) -> int:
        return 2 * number

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        first = await step.first("race", done=step.child(double, 4), late=step.timer("1d"))
        return [first.name, first.value]

    assert await lab.run(flow) == ["done", 8]


async def test_child_that_loses_is_cancelled(lab: Lab) -> None:
    @lab.app.workflow
    async def slow(step: Step) -> None:
        await step.sleep("long", "30d")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return (await step.first("race", done=step.child(slow), late=step.timer("1d"))).name

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == "late"
        (child,) = await lab.store.list(Filter(workflow="slow"), limit=2)
        with pytest.raises(ExecutionCancelled, match="another came first"):
            await lab.app.result(child.id, timeout="10s")


async def test_child_that_fails_first_raises(lab: Lab) -> None:
    @lab.app.workflow
    async def broken() -> None:
        raise ValueError("no")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.first("race", done=step.child(broken), late=step.timer("1d"))
        except ChildFailed as failed:
            await step.sleep("replay", "1d")
            return f"{failed.status} {failed.error_type} {failed.message}"
        return "no error"

    assert await lab.run(flow) == "failed ValueError no"


@pytest.mark.parametrize("is_before", [True, False])
async def test_crash_at_any_write_gives_the_same_winner(is_before: bool) -> None:
    """F45: a race of events and a timer is decided once."""
    for at in range(1, 12):
        lab = Lab()

        @lab.app.workflow
        async def flow(step: Step) -> list[Any]:
            first = await step.first("decision", yes=step.event("yes"), no=step.event("no"), late=step.timer("7d"))
            await step.sleep("pause", "1d")
            return [first.name, first.value]

        handle = await lab.app.start(flow)
        await handle.send_event("no", 1)
        lab.store.pass_time(SECOND)
        await handle.send_event("yes", 2)
        lab.store.cut = Cut(at, is_before)

        assert (await lab.survive(handle)).result == b'["no",1]'


async def test_winner_that_the_code_no_longer_has_parks_the_execution(lab: Lab, ledger: Ledger) -> None:
    """F56."""
    labels = ["yes"]

    @lab.app.workflow
    async def flow(step: Step) -> str:
        first = await step.first("decision", **{label: step.event("yes") for label in labels})
        await step.sleep("pause", "1d")
        return first.name

    handle = await lab.app.start(flow)
    await handle.send_event("yes")
    await lab.run_to_rest(handle)
    labels[0] = "sure"
    lab.store.pass_time(DAY)

    seen = await lab.run_to_rest(handle)

    assert seen.why is not None
    assert "a first that 'yes' has won" in seen.why


async def test_first_that_no_longer_waits_for_an_event_parks_until_it_does_again(lab: Lab) -> None:
    """F56: an event that is sent to the old name would wake nobody."""
    events = {"yes": "approved", "no": "rejected"}

    @lab.app.workflow
    async def flow(step: Step) -> Any:
        first = await step.first("decision", **{label: step.event(name) for label, name in events.items()})
        return [first.name, first.value]

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    events["no"] = "refused"
    await handle.send_event("refused", 7)
    await handle.send_event("rejected", 8)
    parked = await lab.run_to_rest(handle)

    told = "parked: 'decision' is a wait for event 'rejected' in this execution's history"
    assert (parked.why or "").startswith(told)
    assert "one for event 'approved' or event 'refused'" in (parked.why or "")
    events["no"], lab.store.is_hurried = "rejected", True
    async with lab.worker():
        assert await lab.result(handle) == ["no", 8]


async def test_first_may_wait_for_one_event_more(lab: Lab) -> None:
    events = ["approved"]

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return (await step.first("decision", **{name: step.event(name) for name in events})).name

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    events.append("rejected")
    await handle.send_event("approved")
    lab.store.is_hurried = True

    async with lab.worker():
        assert await lab.result(handle) == "approved"


async def test_plain_function_has_first_as_well(lab: Lab) -> None:
    @lab.app.workflow
    def flow(step: SyncStep) -> str:
        return step.first("decision", yes=step.event("yes"), late=step.timer("7d")).name

    assert await lab.run(flow) == "late"


async def test_first_of_nothing_is_refused(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        with pytest.raises(InvalidOption, match="at least one wait"):
            await step.first("decision")
        return "refused"

    assert await lab.run(flow) == "refused"
