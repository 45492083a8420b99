"""A pass replays what is stored: values, names, and what is done about code that no longer fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from stepwell import App, Handle, Permanent, Retry, Status, Step, StepFailed
from stepwell.core.model import Checkpoint
from tests.runtime.lab import DAY, HOUR, MINUTE, Lab, Ledger


@dataclass
class Order:
    number: int
    lines: list[str]


async def test_every_pass_sees_the_value_that_the_first_one_saw(lab: Lab) -> None:
    """Promise 4, F79: what an annotation does not carry is changed before the workflow ever sees it."""
    seen: list[Any] = []

    async def fetch() -> Order:
        return Order(7, ["pen"])

    async def loose() -> Any:
        return {"price": 1.5, "lines": [1, None, "x"]}

    @lab.app.workflow
    async def order(step: Step) -> None:
        values = (await step.run("fetch", fetch), await step.run("loose", loose))
        seen.append((values, await step.now(), step.uuid(), step.random()))
        await step.sleep("pause", "1d")

    await lab.run(order)

    first, second = seen
    assert first == second
    assert repr(first) == repr(second)
    assert first[0][0] == Order(7, ["pen"])


async def test_changing_a_returned_value_changes_no_later_use_of_it(lab: Lab) -> None:
    """Promise 3."""
    stored = Order(7, ["pen"])
    seen: list[tuple[list[str], list[str]]] = []

    async def fetch() -> Order:
        return stored

    @lab.app.workflow
    async def order(cart: list[str], step: Step) -> list[str]:
        fetched = await step.run("fetch", fetch)
        seen.append((list(cart), list(fetched.lines)))
        fetched.lines.append("changed by the workflow")
        cart.append("changed by the workflow")
        stored.lines.append("changed behind its back")
        await step.sleep("pause", "1h")
        return fetched.lines

    result = await lab.run(order, ["bag"])

    assert seen == [(["bag"], ["pen"])] * 2
    assert result == ["pen", "changed by the workflow"]


async def test_completed_step_never_runs_again(lab: Lab, ledger: Ledger) -> None:
    """Promise 2."""

    @lab.app.workflow
    async def five(step: Step) -> None:
        for day in range(5):
            await step.run("work", ledger.note)
            await step.sleep(f"day {day}", "24h")

    await lab.run(five)

    assert ledger.entries == ["work", "work#2", "work#3", "work#4", "work#5"]


async def test_uuid_and_random_differ_from_call_to_call_and_from_execution_to_execution(lab: Lab) -> None:
    @lab.app.workflow
    async def draw(step: Step) -> list[Any]:
        return [str(step.uuid()), str(step.uuid()), step.random(), step.random()]

    drawn = [*await lab.run(draw), *await lab.run(draw)]

    assert len(set(drawn)) == 8
    assert UUID(drawn[0]).version == 4


async def test_now_is_the_time_of_the_first_pass(lab: Lab) -> None:
    began = lab.store.now()

    @lab.app.workflow
    async def late(step: Step) -> list[float]:
        first = await step.now()
        await step.sleep("pause", "24h")
        return [(at - began).total_seconds() for at in (first, await step.now())]

    assert await lab.run(late) == [0, 86_400]


async def test_sleep_counts_from_when_it_was_first_asked_for(lab: Lab) -> None:
    """F54: later passes do not push it back."""
    began = lab.store.now()

    @lab.app.workflow
    async def nap(step: Step) -> None:
        await step.sleep("long", "24h")
        await step.sleep_until("noon", began + DAY + HOUR)
        await step.sleep_until("passed", began)

    handle = await lab.app.start(nap)
    async with lab.worker():
        await lab.result(handle)

    assert lab.store.now() - began == DAY + HOUR
    assert (await lab.see(handle)).passes == 3


async def test_sleeping_execution_says_until_when_and_for_what(lab: Lab) -> None:
    @lab.app.workflow
    async def nap(step: Step) -> None:
        await step.sleep("cool-down", timedelta(days=73_000))

    handle = await lab.app.start(nap)
    seen = await lab.run_to_rest(handle)

    assert seen.status is Status.PENDING
    assert seen.due_at == lab.store.now() + timedelta(days=73_000)
    assert seen.why is not None
    assert "timer 'cool-down'" in seen.why


# --- code that has changed meanwhile ------------------------------------------------------------------------------


async def begin(lab: Lab, ledger: Ledger) -> Handle[Any]:
    """An execution of `flow` that has stored `fetch` and sleeps."""

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> int:
        fetched = await step.run("fetch", ledger.double, 4)
        await step.sleep("pause", "1d")
        return fetched

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    return handle


def deploy(lab: Lab, workflow: Any, **settings: Any) -> Lab:
    """The same database with other code."""
    lab.app = App(lab.store)
    lab.app.workflow(id="flow")(workflow)
    lab.store.is_hurried = False
    lab.store.pass_time(DAY)
    return lab


async def as_it_was(step: Step, ledger: Ledger) -> int:
    return await step.run("fetch", ledger.double, 4)


@pytest.mark.parametrize("change", ["kind", "arguments", "type", "sleep"])
async def test_execution_that_the_code_no_longer_fits_is_parked_and_goes_on_when_it_fits_again(
    lab: Lab, ledger: Ledger, change: str
) -> None:
    """F56, promise 10."""
    handle = await begin(lab, ledger)

    async def changed(step: Step) -> Any:
        match change:
            case "kind":
                return await step.sleep("fetch", "1s")
            case "arguments":
                return await step.run("fetch", ledger.double, 5)
            case "type":
                return await step.run("fetch", as_date, 4)
            case "sleep":
                await step.run("fetch", ledger.double, 4)
                return await step.sleep("pause", "9d")

    async def as_date(number: int) -> date:
        return date(2030, 1, number)

    deploy(lab, changed)
    if change == "sleep":  # while it still sleeps: afterwards it does not matter how long it did
        lab.store.clock.advance(-DAY)
        await lab.app.retry(handle.id)
    parked = await lab.run_to_rest(handle)

    assert parked.status is Status.PENDING
    assert parked.why is not None
    assert parked.why.startswith("parked: ")
    assert ("'pause'" if change == "sleep" else "'fetch'") in parked.why
    assert ("step.first" if change == "arguments" else "was=") in parked.why

    async def repaired(step: Step) -> int:
        fetched = await step.run("fetch", ledger.double, 4)
        await step.sleep("pause", "1d")
        return fetched

    async with deploy(lab, repaired).worker():
        assert await lab.result(handle) == 8
    assert ledger.counts == {"fetch": 1}


async def test_parked_execution_stays_parked_whatever_its_code_does_with_the_exception(
    lab: Lab, ledger: Ledger
) -> None:
    """F56: nothing after the call that does not fit is run."""
    handle = await begin(lab, ledger)

    async def stubborn(step: Step) -> str:
        try:
            await step.run("fetch", ledger.double, 5)
        except BaseException:
            await step.run("compensate", ledger.note)
        return "done"

    parked = await deploy(lab, stubborn).run_to_rest(handle)

    assert parked.status is Status.PENDING
    assert parked.result is None
    assert ledger.counts == {"fetch": 1}


async def test_changed_arguments_are_only_warned_about_where_that_is_set(
    lab: Lab, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    handle = await begin(lab, ledger)

    async def changed(step: Step) -> int:
        return await step.run("fetch", ledger.double, 5)

    deploy(lab, changed)
    async with lab.worker(is_strict=False):
        assert await lab.result(handle) == 8

    assert any(str(handle.id) in record.getMessage() and "'fetch'" in record.getMessage() for record in caplog.records)


async def test_parked_execution_is_looked_at_again_within_a_minute_or_at_once_when_told(
    lab: Lab, ledger: Ledger
) -> None:
    handle = await begin(lab, ledger)

    async def changed(step: Step) -> None:
        await step.run("fetch", ledger.double, 5)

    deploy(lab, changed)
    parked = await lab.run_to_rest(handle)

    assert parked.due_at is not None
    assert timedelta(0) < parked.due_at - lab.store.now() <= MINUTE
    await lab.app.retry(handle.id)
    due_at = (await lab.see(handle)).due_at
    assert due_at is not None
    assert due_at <= lab.store.now()


async def test_inserted_and_removed_steps_leave_the_others_their_results(lab: Lab, ledger: Ledger) -> None:
    """F56: steps are matched by name, not by position."""
    handle = await begin(lab, ledger)

    async def changed(step: Step) -> int:
        await step.run("inserted", ledger.note)
        return await step.run("fetch", ledger.double, 4)

    async with deploy(lab, changed).worker():
        assert await lab.result(handle) == 8
    assert ledger.entries == ["fetch", "inserted"]


async def test_renamed_step_keeps_its_result_when_it_says_what_it_was(lab: Lab, ledger: Ledger) -> None:
    handle = await begin(lab, ledger)

    async def changed(step: Step) -> int:
        await step.run("load", ledger.double, 4, was="fetch")
        return await step.run("load", ledger.double, 4, was="fetch")

    async with deploy(lab, changed).worker():
        assert await lab.result(handle) == 8
    assert ledger.entries == ["fetch", "load#2"]


async def test_renamed_step_of_a_new_execution_has_its_new_name(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def renamed(step: Step) -> int:
        return await step.run("load", ledger.double, 4, was="fetch")

    handle = await lab.app.start(renamed)
    async with lab.worker():
        await lab.result(handle)

    assert list(await lab.steps(handle)) == ["load"]


async def test_renamed_step_without_its_former_name_runs_as_a_new_one(lab: Lab, ledger: Ledger) -> None:
    handle = await begin(lab, ledger)

    async def changed(step: Step) -> int:
        return await step.run("load", ledger.double, 4)

    async with deploy(lab, changed).worker():
        assert await lab.result(handle) == 8
    assert ledger.entries == ["fetch", "load"]


async def test_renamed_step_keeps_its_failed_attempts(lab: Lab, ledger: Ledger) -> None:
    async def fail() -> None:
        ledger.note()
        raise ValueError("no")

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> None:
        await step(retry=Retry(3, first_delay="1h")).run("fetch", fail)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)

    async def changed(step: Step) -> int:
        try:
            await step(retry=Retry(3, first_delay="0s")).run("load", fail, was="fetch")
        except StepFailed as failed:
            return failed.attempts
        return 0

    async with deploy(lab, changed).worker():
        assert await lab.result(handle) == 3
    assert len(ledger.entries) == 3


async def test_input_that_the_code_no_longer_takes_parks_the_execution(lab: Lab, ledger: Ledger) -> None:
    """Promise 10."""

    @lab.app.workflow(id="flow")
    async def flow(order: int, step: Step) -> None:
        await step.sleep("pause", "1d")

    handle = await lab.app.start(flow, 7)
    await lab.run_to_rest(handle)

    async def changed(order: list[str], step: Step) -> None:
        ledger.note("never")

    parked = await deploy(lab, changed).run_to_rest(handle)

    assert parked.status is Status.PENDING
    assert parked.why is not None
    assert parked.why.startswith("parked: ")
    assert "order" in parked.why
    assert not ledger.entries


async def test_step_that_has_failed_for_good_fails_on_every_pass_with_the_same_attributes(lab: Lab) -> None:
    """F61, promise 4."""
    seen: list[Any] = []

    async def fetch() -> None:
        try:
            raise KeyError("customer")
        except KeyError as cause:
            raise Permanent("no such order") from cause

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.run("fetch", fetch)
        except StepFailed as failed:
            facts = (failed.step, failed.attempts, failed.error_type, failed.message, failed.traceback, failed.causes)
            seen.append((facts, str(failed)))
        await step.sleep("pause", "1d")

    await lab.run(flow)

    first, second = seen
    assert first == second
    assert first[0][:4] == ("fetch", 1, "stepwell.errors.Permanent", "no such order")
    assert first[0][5] == ("KeyError: 'customer'",)
    assert "in fetch" in first[0][4]


async def test_checkpoint_that_cannot_be_read_any_more_parks_instead_of_failing(lab: Lab, ledger: Ledger) -> None:
    """Promise 10: damage loses nothing."""
    handle = await begin(lab, ledger)
    row = lab.store._executions[handle.id].checkpoints["fetch"]
    row.checkpoint = Checkpoint(row.checkpoint.kind, row.checkpoint.digest, False, b"\x01damaged")

    async def same(step: Step) -> int:
        return await step.run("fetch", ledger.double, 4)

    parked = await deploy(lab, same).run_to_rest(handle)

    assert parked.status is Status.PENDING
    assert parked.why is not None
    assert "'fetch'" in parked.why
