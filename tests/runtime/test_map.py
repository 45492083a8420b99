"""`step.map`: items in order, each stored by itself, resumed in the middle, with bounded memory."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import pytest

from stepwell import App, Handle, Permanent, Retry, RetryAfter, Status, Step, StepFailed, current_step
from stepwell.core.model import Batch, Checkpoint, ExecutionId, Flushed, Kind, SessionId
from stepwell.runtime.passes import QUIET_TURNS
from tests.runtime.lab import DAY, HOUR, Cut, Gate, Lab, LabStore, Ledger


async def test_results_come_in_the_order_of_the_items(lab: Lab) -> None:
    async def item(number: int) -> int:
        for _ in range((7 * number) % 11):
            await asyncio.sleep(0)
        return number * 10

    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        return await step.map("items", item, range(50), concurrency=8)

    assert await lab.run(flow) == [number * 10 for number in range(50)]


async def test_map_of_nothing_is_nothing_and_is_remembered(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        return await step.map("items", lab.ledger.double, [])

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == []

    assert (await lab.steps(handle))["items"].kind == "map"


async def test_items_are_taken_from_a_generator_as_slots_come_free(lab: Lab) -> None:
    taken: list[int] = []
    most_ahead = 0
    done = 0

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    async def item(number: int) -> None:
        nonlocal most_ahead, done
        most_ahead = max(most_ahead, len(taken) - done)
        await asyncio.sleep(0)
        done += 1

    @lab.app.workflow
    async def flow(step: Step) -> int:
        return len(await step.map("items", item, items(), concurrency=5))

    assert await lab.run(flow) == 100
    assert most_ahead <= 10


async def test_as_many_items_run_at_once_as_allowed_and_no_more(lab: Lab) -> None:
    seven, running, most = asyncio.Barrier(7), 0, 0

    async def item(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await seven.wait()
        running -= 1

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.map("items", item, range(35), concurrency=7)

    await lab.run(flow)

    assert most == 7


async def test_plain_functions_run_in_threads_side_by_side(lab: Lab) -> None:
    both = threading.Barrier(2, timeout=10)

    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        return await step.map(
            "items", lambda number: number if both.wait() is not None else -1, range(4), concurrency=2
        )

    assert await lab.run(flow) == [0, 1, 2, 3]


async def test_items_have_contexts_of_their_own(lab: Lab) -> None:
    async def item(number: int) -> list[str]:
        return [current_step().name, current_step().idempotency_key]

    @lab.app.workflow
    async def flow(step: Step) -> list[list[str]]:
        return await step.map("items", item, range(3)) + await step.map("items", item, range(3))

    found = await lab.run(flow)

    assert [name for name, _ in found] == [f"items{again}/#{n}" for again in ("", "#2") for n in range(3)]
    assert len({key for _, key in found}) == 6


@pytest.mark.parametrize("at", range(2, 12))
@pytest.mark.parametrize("is_before", [True, False])
async def test_map_resumes_with_the_items_that_are_missing(lab: Lab, ledger: Ledger, at: int, is_before: bool) -> None:
    """I12: a crash repeats at most what was under way."""
    kept: set[str] = set()

    async def item(number: int) -> int:
        assert current_step().name not in kept
        ledger.note()
        return number

    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        kept.update(await lab.steps(handle))
        return await step.map("items", item, range(20), concurrency=4)

    handle: Handle[Any] = await lab.app.start(flow)
    lab.store.cut = Cut(at, is_before)
    await lab.survive(handle)

    assert await lab.result(handle) == list(range(20))
    assert len(ledger.entries) <= 24
    assert len(set(ledger.entries)) == 20


async def test_failed_item_ends_the_map_and_items_not_yet_begun_stay_so(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    async def item(number: int) -> int:
        ledger.note()
        if number == 1:
            gate.let_go.set()
            raise Permanent("no")
        await gate()
        return number

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        try:
            return await step.map("items", item, range(100), concurrency=3)
        except StepFailed as failed:
            await step.sleep("pause", "1h")
            return [failed.step, failed.error_type, failed.message]

    assert await lab.run(flow) == ["items/#1", "stepwell.errors.Permanent", "no"]
    assert sorted(ledger.entries) == ["items/#0", "items/#1", "items/#2"]


async def test_of_several_failed_items_the_first_is_told_on_every_pass(lab: Lab) -> None:
    """F61."""
    told: list[str] = []
    all_of_them = asyncio.Barrier(4)

    async def item(number: int) -> None:
        if not told:
            await all_of_them.wait()
        for _ in range(4 - number):
            await asyncio.sleep(0)
        raise Permanent(str(number))

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.map("items", item, range(4))
        except StepFailed as failed:
            told.append(str(failed))
        await step.sleep("pause", "1h")

    await lab.run(flow)

    assert told == ["step 'items/#0' failed after 1 attempt: stepwell.errors.Permanent: 0"] * 2


async def test_item_that_waits_for_a_retry_does_not_hold_the_others_up(lab: Lab, ledger: Ledger) -> None:
    tried_at: list[datetime] = []

    async def item(number: int) -> int:
        ledger.note()
        if number == 0:
            tried_at.append(lab.store.now())
            if len(tried_at) < 3:
                raise RetryAfter("1d")
        return number

    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        return await step.map("items", item, range(10), concurrency=1)

    began = lab.store.now()
    handle = await lab.app.start(flow)
    first = await lab.run_to_rest(handle)

    assert (first.passes, first.due_at) == (1, began + DAY)
    assert len(ledger.entries) == 10
    lab.store.is_hurried = True
    async with lab.worker():
        assert await lab.result(handle) == list(range(10))
    assert tried_at == [began, began + DAY, began + 2 * DAY]
    assert ledger.counts["items/#5"] == 1


async def test_map_wakes_for_the_earliest_of_its_retries(lab: Lab) -> None:
    async def item(number: int) -> None:
        raise RetryAfter(3600 * number)

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.map("items", item, [9, 2, 5])

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)

    assert seen.due_at == lab.store.now() + 2 * HOUR
    assert seen.why is not None
    assert "'items/#1'" in seen.why


async def test_items_give_up_after_their_attempts(lab: Lab) -> None:
    async def item(number: int) -> int:
        if number == 2:
            raise ValueError("no")
        return number

    @lab.app.workflow
    async def flow(step: Step) -> int:
        try:
            await step(retry=Retry(3, first_delay="1h")).map("items", item, range(5))
        except StepFailed as failed:
            return failed.attempts
        return 0

    assert await lab.run(flow) == 3


async def begin(lab: Lab, items: list[int]) -> Handle[Any]:
    """An execution that has mapped the items and sleeps."""

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> list[int]:
        found = await step.map("items", lab.ledger.double, items)
        await step.sleep("pause", "1h")
        return found

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    return handle


async def deployed(lab: Lab, handle: Handle[Any], items: list[int]) -> Any:
    """What has become of it with code that maps these items."""
    lab.app = App(lab.store)

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> list[int]:
        return await step.map("items", lab.ledger.double, items)

    lab.store.pass_time(HOUR)
    return await lab.run_to_rest(handle)


@pytest.mark.parametrize("changed", [[1, 9, 3], [3, 2, 1], [1, 2, 3, 4], [1, 2], []])
async def test_map_of_other_items_parks_the_execution(lab: Lab, ledger: Ledger, changed: list[int]) -> None:
    """F56: neither another item's result nor a result too many or too few is taken for one of these."""
    handle = await begin(lab, [1, 2, 3])

    parked = await deployed(lab, handle, changed)

    assert parked.status is Status.PENDING
    assert parked.why.startswith("parked: ")
    assert "'items" in parked.why
    assert len(ledger.entries) == 3
    assert (await deployed(lab, handle, [1, 2, 3])).status is Status.COMPLETED
    assert len(ledger.entries) == 3


async def test_map_met_as_a_step_parks_the_execution(lab: Lab, ledger: Ledger) -> None:
    """F56."""
    handle = await begin(lab, [1, 2])
    lab.app = App(lab.store)

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> int:
        return await step.run("items", ledger.double, 1)

    lab.store.pass_time(HOUR)
    parked = await lab.run_to_rest(handle)

    assert parked.why is not None
    assert "'items' is a map in this execution's history" in parked.why


async def test_error_in_the_source_of_items_is_the_workflows_own(lab: Lab, ledger: Ledger) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.map("items", ledger.double, items())
        except LookupError as error:
            return str(error)
        return ""

    assert await lab.run(flow) == "no more"


async def test_hundred_thousand_items_take_bounded_memory(lab: Lab) -> None:
    """100,000 items are ordinary: beside their results, the runtime holds only what is under way."""
    count, most_tasks = 100_000, 0

    def watch(batch: Batch) -> None:
        nonlocal most_tasks
        most_tasks = max(most_tasks, len(asyncio.all_tasks()))
        lab.store._executions[handle.id].checkpoints.clear()  # what the store keeps is not the runtime's

    async def item(number: int) -> None:
        """Its result takes no memory. Tracing all of them would take eight seconds."""
        if number == 60_000:
            tracemalloc.start()

    @lab.app.workflow
    async def flow(step: Step) -> int:
        return len(await step.map("items", item, range(count), concurrency=100))

    lab.store.before_flush = watch
    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await handle.result("60s") == count
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most_tasks < 110
    assert peak_bytes < 12_000_000  # the table of 100,000 results takes 6; a task left for each item would take 40


class SlowStore(LabStore):
    """Reading the items of a map and storing its end take longer than a pass waits before it is suspended."""

    async def items(
        self, execution_id: ExecutionId, key: str, *, after: int | None = None
    ) -> AsyncIterator[tuple[int, Checkpoint]]:
        await many_turns()
        async for item in super().items(execution_id, key, after=after):
            yield item

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        if any(row.kind is Kind.MAP for row in batch.checkpoints):
            await many_turns()
        return await super().flush(session, batch)


async def many_turns() -> None:
    for _ in range(5 * QUIET_TURNS):
        await asyncio.sleep(0)


async def test_pass_is_not_suspended_while_a_map_loads_or_stores_its_end(lab: Lab, ledger: Ledger) -> None:
    lab.store = SlowStore()
    lab.app = App(lab.store)

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def branch() -> None:
            await step.map("items", lab.ledger.double, range(3))
            await step.run("after", ledger.note)

        await step.sleep("so that there is a history", "1h")
        await asyncio.gather(step.sleep("night", "12h"), branch())

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    lab.store.pass_time(HOUR)
    seen = await lab.run_to_rest(handle)

    assert seen.passes == 2
    assert ledger.entries == ["items/#0", "items/#1", "items/#2", "items/after"]
