"""Waiting for events: what was sent arrives, once, in order, early or late, and the outcome is the same for ever."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from stepwell import InvalidOption, InvalidValue, Status, Step, StepFailed, SyncStep, UnknownExecution
from stepwell.store.identity import new_id
from tests.runtime.lab import DAY, HOUR, Cut, Lab, Ledger


@dataclass
class Approval:
    by: str
    is_granted: bool = True


async def test_sent_event_lets_the_waiting_execution_go_on(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        approval = await step.wait_for_event("approval", type=Approval)
        assert approval is not None
        return approval.by

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)
    assert (seen.status, seen.why, seen.due_at) == (Status.WAITING, "event 'approval'", None)

    sent = await handle.send_event("approval", Approval("ann"))

    assert (sent.is_new, sent.waiting) == (True, 1)
    async with lab.worker():
        assert await lab.result(handle) == "ann"


async def test_early_event_is_kept_for_the_wait(lab: Lab) -> None:
    """F49."""

    @lab.app.workflow
    async def flow(step: Step) -> Any:
        await step.sleep("first", "1h")
        return await step.wait_for_event("approval")

    handle = await lab.app.start(flow)
    sent = await handle.send_event("approval", "early")

    assert sent.waiting == 0
    async with lab.worker():
        assert await lab.result(handle) == "early"


async def test_successive_waits_get_successive_events(lab: Lab) -> None:
    """F47: a second event does not overwrite the first."""

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        return [await step.wait_for_event("line", key="order-7") for _ in range(3)]

    handle = await lab.app.start(flow)
    for text in ("one", "two", "three"):
        await lab.app.send_event("line", text, key="order-7")

    async with lab.worker():
        assert await lab.result(handle) == ["one", "two", "three"]


async def test_parallel_waits_for_one_topic_get_one_event_each(lab: Lab) -> None:
    """F60."""

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        return await asyncio.gather(*(step.wait_for_event("line", key="k") for _ in range(3)))

    handle = await lab.app.start(flow)
    await lab.app.send_event("line", 1, key="k")
    await lab.run_to_rest(handle)
    await lab.app.send_event("line", 2, key="k")
    await lab.app.send_event("line", 3, key="k")

    lab.store.is_hurried = True
    async with lab.worker():
        assert sorted(await lab.result(handle)) == [1, 2, 3]


async def test_one_event_reaches_every_execution_that_waits_for_its_key(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> Any:
        return await step.wait_for_event("price", key="EUR")

    handles = await lab.app.start_many(flow, [{}, {}, {}])
    for handle in handles:
        await lab.run_to_rest(handle)

    assert (await lab.app.send_event("price", 1.25, key="EUR")).waiting == 3
    async with lab.worker():
        assert [await lab.result(handle) for handle in handles] == [1.25] * 3


async def test_event_of_another_key_or_execution_is_not_taken(lab: Lab) -> None:
    """F67: a key that looks like an execution's address is only a key."""

    @lab.app.workflow
    async def flow(step: Step) -> Any:
        return await step.wait_for_event("go", timeout="1h")

    handle, other = await lab.app.start_many(flow, [{}, {}])
    await lab.app.send_event("go", 1, key=f"x:{handle.id}")
    await lab.app.send_event("go", 2)
    await other.send_event("go", 3)

    async with lab.worker():
        assert await lab.result(handle) is None
        assert await lab.result(other) == 3


async def test_event_sent_again_with_its_id_counts_once(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        return [await step.wait_for_event("paid", key="7", timeout="1h") for _ in range(2)]

    handle = await lab.app.start(flow)
    first = await lab.app.send_event("paid", "first", key="7", id="evt_1")
    again = await lab.app.send_event("paid", "again", key="7", id="evt_1")

    assert (first.is_new, again.is_new) == (True, False)
    async with lab.worker():
        assert await lab.result(handle) == ["first", None]


async def test_wait_reads_back_only_to_the_beginning_of_its_execution_unless_asked(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(look_back: str | None, step: Step) -> Any:
        return await step.wait_for_event("price", key="EUR", since=look_back, timeout="1h")

    await lab.app.send_event("price", "old", key="EUR")
    lab.store.pass_time(HOUR)
    new, old = await lab.app.start_many(flow, [None, "2h"])

    async with lab.worker():
        assert await lab.result(new) is None
        assert await lab.result(old) == "old"


async def test_timeout_answers_none_and_is_the_same_on_every_replay(lab: Lab, ledger: Ledger) -> None:
    """F48: a wait that timed out is not created anew; an event that comes later is for the next wait."""

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        first = await step.wait_for_event("approval", timeout="7d")
        await step.run("remind", ledger.note)
        await step.sleep("pause", "1d")
        return [first, await step.wait_for_event("approval", timeout="7d")]

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)
    assert seen.why == f"event 'approval' until {lab.store.now() + 7 * DAY:%Y-%m-%d %H:%M:%S} UTC"
    lab.store.pass_time(7 * DAY)
    await lab.run_to_rest(handle)
    await handle.send_event("approval", "late")

    lab.store.is_hurried = True
    async with lab.worker():
        assert await lab.result(handle) == [None, "late"]
    assert ledger.entries == ["remind"]


async def test_event_sent_in_time_wins_over_a_timeout_that_is_noticed_later(lab: Lab) -> None:
    """F45."""

    @lab.app.workflow
    async def flow(step: Step) -> Any:
        return await step.wait_for_event("approval", timeout="1h")

    handle, late = await lab.app.start_many(flow, [{}, {}])
    await lab.run_to_rest(handle)
    await lab.run_to_rest(late)
    lab.store.clock.advance(HOUR / 2)
    await handle.send_event("approval", "in time")
    lab.store.clock.advance(HOUR)
    await late.send_event("approval", "too late")

    async with lab.worker():
        assert await lab.result(handle) == "in time"
        assert await lab.result(late) is None


async def test_timeout_counts_from_the_first_time_it_was_asked_for(lab: Lab) -> None:
    """F89: neither a crash nor another event moves it."""

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        return list(
            await asyncio.gather(step.wait_for_event("a", timeout="10h"), step.wait_for_event("b", timeout="3d"))
        )

    handle = await lab.app.start(flow)
    began = (await lab.run_to_rest(handle)).due_at
    lab.store.pass_time(5 * HOUR)
    await handle.send_event("b", 1)

    assert (await lab.run_to_rest(handle)).due_at == began


async def test_payload_that_does_not_fit_fails_the_wait_and_the_next_wait_gets_the_next_event(lab: Lab) -> None:
    told: list[str] = []

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.wait_for_event("approval", type=Approval)
        except StepFailed as failed:
            told.append(failed.message)
        approval = await step.wait_for_event("approval", type=Approval)
        await step.sleep("replay", "1d")
        assert approval is not None
        return approval.by

    handle = await lab.app.start(flow)
    await handle.send_event("approval", {"by": 7})
    await handle.send_event("approval", {"by": "ann"})

    async with lab.worker():
        assert await lab.result(handle) == "ann"
    assert len(set(told)) == 1
    assert told[0].startswith("event 'approval', sent 2030-01-01 00:00:00 UTC: $.by does not fit its annotation")


async def test_uncaught_misfit_fails_the_execution_and_retry_takes_the_event_again(lab: Lab) -> None:
    wanted: list[Any] = [int]

    @lab.app.workflow
    async def flow(step: Step) -> Any:
        return await step.wait_for_event("number", type=wanted[0])

    handle = await lab.app.start(flow)
    await handle.send_event("number", "seven")
    async with lab.worker():
        with pytest.raises(Exception, match="event 'number', sent"):
            await lab.result(handle)
        wanted[0] = str
        await lab.app.retry(handle.id)
        assert await lab.result(handle) == "seven"


async def survivor_of(cut: Cut) -> Any:
    """What a workflow with several waits returns when its workers die at this write."""
    lab = Lab()

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        first, second = await asyncio.gather(step.wait_for_event("a", key="k"), step.wait_for_event("b", timeout="1h"))
        return [first, second, await step.wait_for_event("a", key="k")]

    handle = await lab.app.start(flow)
    await lab.app.send_event("a", 1, key="k")
    await lab.app.send_event("a", 2, key="k")
    lab.store.cut = cut
    return (await lab.survive(handle)).result


@pytest.mark.parametrize("is_before", [True, False])
async def test_crash_at_any_write_gives_the_same_outcome(is_before: bool) -> None:
    """F40, F46."""
    for at in range(1, 15):
        assert await survivor_of(Cut(at, is_before)) == b"[1,null,2]"


async def test_workflow_sends_an_event_once(lab: Lab) -> None:
    @lab.app.workflow
    async def receiver(step: Step) -> list[Any]:
        return [await step.wait_for_event("ping", key="k", timeout="1h") for _ in range(2)]

    @lab.app.workflow
    async def sender(step: Step) -> bool | None:
        sent = await step.send_event("ping", {"n": 1}, key="k")
        await step.sleep("replay", "1s")
        return sent.is_new

    waiting = await lab.app.start(receiver)
    handle = await lab.app.start(sender)
    async with lab.worker():
        assert await lab.result(handle) is True
        assert await lab.result(waiting) == [{"n": 1}, None]


async def test_plain_function_waits_as_well(lab: Lab) -> None:
    @lab.app.workflow
    def flow(step: SyncStep) -> str:
        approval = step.wait_for_event("approval", type=Approval)
        assert approval is not None
        return approval.by

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.send_event("approval", Approval("ann"))
    async with lab.worker():
        assert await lab.result(handle) == "ann"


async def test_what_cannot_be_sent_is_refused_by_name(lab: Lab) -> None:
    with pytest.raises(InvalidOption, match="not both"):
        await lab.app.send_event("go", key="k", to=new_id())
    with pytest.raises(InvalidOption, match="event key"):
        await lab.app.send_event("go", key="k" * 1_201)
    with pytest.raises(InvalidOption, match="event ''"):
        await lab.app.send_event("")
    with pytest.raises(InvalidValue, match="payload of event 'go'"):
        await lab.app.send_event("go", {1, 2})
    with pytest.raises(UnknownExecution):
        await lab.app.send_event("go", to=new_id())


async def test_since_without_a_zone_is_refused(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.wait_for_event("go", since=datetime(2026, 1, 1))  # noqa: DTZ001

    handle = await lab.app.start(flow)
    async with lab.worker():
        with pytest.raises(Exception, match="time zone"):
            await lab.result(handle)


async def test_wait_without_a_timeout_that_asks_for_another_event_parks_until_it_is_restored(lab: Lab) -> None:
    """F56."""
    event = "approval"

    @lab.app.workflow
    async def flow(step: Step) -> Any:
        return await step.wait_for_event("decision", event=event, key="1")

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    event = "refusal"
    await lab.app.send_event("refusal", "no", key="1")
    await lab.app.send_event("approval", "yes", key="1")
    parked = await lab.run_to_rest(handle)

    told = "parked: 'decision' is a wait for event 'approval' with key '1' in this execution's history"
    assert (parked.why or "").startswith(told)
    assert "one for event 'refusal' with key '1'" in (parked.why or "")
    event, lab.store.is_hurried = "approval", True
    async with lab.worker():
        assert await lab.result(handle) == "yes"
