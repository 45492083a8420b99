"""What one execution may store has a limit: every pass reads all of it."""

from __future__ import annotations

import pytest

from stepwell import ExecutionFailed, HistoryTooLarge, Step
from stepwell.core import replay
from tests.runtime.lab import Lab, Ledger


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_HISTORY_BYTES", 10_000)


def large() -> str:
    return 2_000 * "x"


async def test_execution_that_has_stored_too_much_begins_no_more_steps(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        step.compensate_with("undo", ledger.note)
        for _ in range(20):
            await step.run("large", large)

    handle = await lab.app.start(flow)
    async with lab.worker():
        with pytest.raises(ExecutionFailed, match=r"'large#6' is not begun: .* 12,010 bytes, the limit is 10,000"):
            await lab.result(handle)

    assert len(await lab.steps(handle)) == 6
    assert ledger.entries == ["undo"]


@pytest.mark.parametrize("call", ["sleep", "wait", "child", "now"])
async def test_no_durable_call_goes_beyond_it(lab: Lab, call: str) -> None:
    @lab.app.workflow
    async def child() -> None: ...

    @lab.app.workflow
    async def flow(step: Step) -> str:
        await step.run("large", lambda: 12_000 * "x")
        calls = {
            "sleep": lambda: step.sleep("one", "1s"),
            "wait": lambda: step.wait_for_event("one"),
            "child": lambda: step.call("one", child),
            "now": step.now,
        }
        with pytest.raises(HistoryTooLarge):
            await calls[call]()
        return "refused"

    assert await lab.run(flow) == "refused"


async def test_items_of_a_map_do_not_count(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> int:
        await step.map("each", lambda n: 100 * "x", range(200))
        return await step.run("count", lambda: 200)

    assert await lab.run(flow) == 200


async def test_history_that_is_read_again_counts(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        await step.run("large", lambda: 12_000 * "x")
        return "done"

    @lab.app.workflow
    async def longer(step: Step) -> None:
        await step.run("large", lambda: 9_000 * "x")
        await step.sleep("night", "8h")
        await step.run("more", large)
        await step.sleep("day", "8h")

    assert await lab.run(flow) == "done"
    with pytest.raises(ExecutionFailed, match="'day' is not begun"):
        await lab.run(longer)
