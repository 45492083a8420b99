"""A dry run tells what new code makes of a stored history, and touches neither steps nor store."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stepwell import App, Handle, Permanent, Retry, Status, Step, SyncStep, Workflow
from stepwell.core.model import Completed, Failed
from stepwell.errors import InvalidOption
from stepwell.runtime.dry_run import DryRun, dry_run
from stepwell.runtime.history import History, history_from_json, history_of, history_to_json
from stepwell.store.memory import MemoryStore
from tests.runtime.lab import DAY, Lab

Code = Callable[..., Any]


def same(value: Any) -> Any:
    return value


def never(*_: Any) -> Any:
    raise AssertionError("a dry run runs no step")


async def before(number: int, step: Step) -> Any:
    """A step, a map, then a sleep."""
    first = await step.run("first", same, number)
    each = await step.map("each", same, [1, 2, 3])
    await step.sleep("long", "1h")
    return first + sum(each)


async def history_after(lab: Lab, code: Code, *inputs: Any) -> History:
    """What is stored of an execution of `code` that went as far as it goes without time passing."""
    lab.app = App(lab.store)
    lab.app.workflow(id="flow")(code)
    handle = await lab.app.start("flow", *inputs)
    seen = await lab.run_to_rest(handle)
    return history_of(seen, await lab.app.steps(handle.id), as_of=lab.store.now())


def workflow_of(code: Code) -> Workflow[..., Any]:
    workflow: Workflow[..., Any] = App(MemoryStore()).workflow(id="flow")(code)
    return workflow


async def tried(lab: Lab, code: Code) -> DryRun:
    """What `code` makes of an execution that `before` was in."""
    return await dry_run(await history_after(lab, before, 7), workflow_of(code))


async def test_race_is_told_with_the_line_that_waits(lab: Lab) -> None:
    async def racing(number: int, step: Step) -> Any:
        first = await step.run("first", same, number)
        tasks = [asyncio.create_task(step.run(name, same, first)) for name in ("one", "other")]
        for done in asyncio.as_completed(tasks):  # here
            first += await done
        return first

    run = await tried(lab, racing)

    assert run.divergence is not None
    assert run.divergence.step == "asyncio.as_completed"
    assert run.place == (__file__, line_of(racing, "# here"))


def line_of(code: Code, text: str) -> int:
    lines, first = inspect.getsourcelines(code)
    return first + next(number for number, line in enumerate(lines) if text in line)


@pytest.fixture
async def lab() -> Lab:
    return Lab()


# --- code that fits -----------------------------------------------------------------------------------------------


async def test_same_code_comes_to_where_the_execution_is(lab: Lab) -> None:
    run = await tried(lab, before)

    assert (run.divergence, run.begins, run.unreached, run.outcome) == (None, (), (), None)
    assert run.waits_for == "timer 'long'"


async def test_new_step_is_named_and_not_run(lab: Lab) -> None:
    async def after(number: int, step: Step) -> None:
        await step.run("first", never, number)
        await step.run("between", never)
        await step.map("each", never, [1, 2, 3])

    run = await tried(lab, after)

    assert (run.divergence, run.begins) == (None, ("between",))
    assert set(run.unreached) == {"each", "long"}


async def test_every_branch_goes_as_far_as_its_outcomes_reach(lab: Lab) -> None:
    async def after(number: int, step: Step) -> None:
        await asyncio.gather(
            step.run("new", never),
            step.map("each", never, [1, 2, 3]),
            step.map("others", never, range(4), concurrency=2),
        )

    run = await tried(lab, after)

    assert run.begins == ("new", "others/#0", "others/#1")
    assert set(run.unreached) == {"first", "long"}


async def test_step_that_was_removed_is_unreached_at_the_functions_end(lab: Lab) -> None:
    async def after(number: int, step: Step) -> int:
        return sum(await step.map("each", never, [1, 2, 3]))

    run = await tried(lab, after)

    assert run.outcome == Completed(b"6")
    assert run.unreached == ("first", "long")


async def test_renamed_step_is_found_under_its_earlier_name(lab: Lab) -> None:
    async def after(number: int, step: Step) -> Any:
        return await step.run("renamed", never, number, was="first")

    run = await tried(lab, after)

    assert (run.divergence, run.outcome) == (None, Completed(b"7"))
    assert "first" not in run.unreached


async def test_function_that_raises_is_told(lab: Lab) -> None:
    async def after(number: int, step: Step) -> None:
        first = await step.run("first", never, number)
        raise KeyError(first)

    run = await tried(lab, after)

    assert isinstance(run.outcome, Failed)
    assert run.outcome.reason == "KeyError: 7"


async def test_step_that_failed_is_waited_for_and_then_named(lab: Lab) -> None:
    async def flaky(step: Step) -> None:
        await step(retry=Retry(first_delay="1h")).run("call", fail)

    def fail() -> None:
        raise ConnectionError

    history = await history_after(lab, flaky)
    later = msgspec.structs.replace(history, as_of=history.as_of + DAY)

    waiting, due = await dry_run(history, workflow_of(flaky)), await dry_run(later, workflow_of(flaky))

    assert (waiting.waits_for, waiting.begins) == ("step 'call' is tried again (attempt 2)", ())
    assert due.begins == ("call",)


async def test_stored_failure_is_raised_again(lab: Lab) -> None:
    async def flow(step: Step) -> None:
        try:
            await step.run("call", refuse)
        except Exception:
            await step.sleep("after", "1h")

    def refuse() -> None:
        raise Permanent("no")

    run = await dry_run(await history_after(lab, flow), workflow_of(flow))

    assert run.waits_for == "timer 'after'"


# --- code that does not fit ---------------------------------------------------------------------------------------


async def other_arguments(number: int, step: Step) -> None:
    await asyncio.sleep(0)
    await step.run("first", never, number + 1)  # here


async def other_kind(number: int, step: Step) -> None:
    await step.sleep("first", "1h")  # here


async def other_sleep(number: int, step: Step) -> None:
    await step.sleep("long", "2h")  # here


async def other_items(number: int, step: Step) -> None:
    await step.map("each", never, [1, 2, 4])  # here


async def more_items(number: int, step: Step) -> None:
    await step.map("each", never, [1, 2, 3, 4])  # here


async def other_result(number: int, step: Step) -> None:
    def first(value: int) -> list[str]:
        return [str(value)]

    await step.run("first", first, number)  # here


async def in_a_task(number: int, step: Step) -> None:
    await asyncio.gather(
        step.sleep("long", "1h"),
        step.run("first", never, "other"),  # here
    )


async def in_a_helper(number: int, step: Step) -> None:
    async def helper() -> None:
        await step.run("first", never, "other")  # here

    await asyncio.gather(helper(), helper())


def in_a_thread(number: int, step: SyncStep) -> None:
    step.map("each", never, [1, 2, 3])
    step.run("first", never, "other")  # here


async def other_input(number: list[str], step: Step) -> None:  # here
    """Takes what no old execution was started with."""


@pytest.mark.parametrize(
    "code",
    [
        other_arguments,
        other_kind,
        other_sleep,
        other_items,
        more_items,
        other_result,
        in_a_task,
        in_a_helper,
        in_a_thread,
        other_input,
    ],
)
async def test_divergence_is_told_with_its_line(lab: Lab, code: Code) -> None:
    run = await tried(lab, code)

    assert run.divergence is not None
    assert run.place == (__file__, line_of(code, "# here"))


async def test_code_that_waits_for_something_else_is_given_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def after(number: int, step: Step) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("stepwell.runtime.dry_run.LIMIT_SECONDS", 0.01)

    assert (await tried(lab, after)).is_stuck


# --- what is under way --------------------------------------------------------------------------------------------


async def child(number: int, step: Step) -> None:
    await step.sleep("long", "1h")


async def under_way(code: Code, before: Code, *, knows_children: bool = True) -> DryRun:
    """What `code` makes of an execution of `before`, whose child still runs."""
    lab = Lab()
    flow = lab.app.workflow(id="flow")(before)
    lab.app.workflow(child)
    handle: Handle[Any] = await lab.app.start(flow)
    lab.store.is_hurried = False
    async with lab.worker():
        seen = await lab.until(handle, lambda seen: seen.status is Status.WAITING)
    history = history_of(seen, await lab.app.steps(handle.id), as_of=lab.store.now())
    now = App(lab.store)
    now.workflow(child)
    called = lab.store.called if knows_children else None
    return await dry_run(history, now.workflow(id="flow")(code), called=called)


async def calls(step: Step) -> None:
    await step.call("one", "child", 1)


async def calls_another(step: Step) -> None:
    await step.call("one", "child", 2)  # here


async def calls_more(step: Step) -> None:
    await asyncio.gather(step.call("one", "child", 1), step.call("two", "child", 1))


async def waits(step: Step) -> None:
    await step.wait_for_event("approval", timeout="7d")


async def waits_for_another(step: Step) -> None:
    await step.wait_for_event("approval", key="k", timeout="7d")  # here


async def races(step: Step) -> None:
    await step.first("race", done=step.child("child", 1), late=step.timer("7d"))


@pytest.mark.parametrize(
    ("before", "code", "waits_for", "begins"),
    [
        (calls, calls, "child 'one'", ()),
        (calls, calls_more, "child 'one'", ("two",)),
        (waits, waits, "event 'approval'", ()),
        (races, races, "the first of done (child of 'child'), late (timer)", ()),
    ],
)
async def test_call_under_way_is_waited_for(
    before: Code, code: Code, waits_for: str | None, begins: tuple[str, ...]
) -> None:
    run = await under_way(code, before)

    assert (run.divergence, run.waits_for, run.begins, run.unreached) == (None, waits_for, begins, ())


@pytest.mark.parametrize(("before", "code"), [(calls, calls_another), (waits, waits_for_another)])
async def test_call_under_way_that_is_made_otherwise_diverges(before: Code, code: Code) -> None:
    run = await under_way(code, before)

    assert run.divergence is not None
    assert run.place == (__file__, line_of(code, "# here"))


async def test_race_whose_children_are_not_known_would_begin_them() -> None:
    run = await under_way(races, races, knows_children=False)

    assert (run.divergence, run.is_stuck, run.unreached) == (None, False, ())
    assert run.begins == ("race/#done",)


async def test_time_out_that_has_come_would_be_stored_next() -> None:
    lab = Lab()
    history = await history_after(lab, waits)
    later = msgspec.structs.replace(history, as_of=history.as_of + 8 * DAY)

    run = await dry_run(later, workflow_of(waits))

    assert (run.begins, run.outcome) == (("approval",), None)


# --- nothing happens ----------------------------------------------------------------------------------------------


async def test_nothing_is_written_and_no_step_runs(lab: Lab) -> None:
    async def after(number: int, step: Step) -> None:
        try:
            await step.now()
            await step.run("new", never)
        finally:
            await step.transaction("clean-up", never)

    history = await history_after(lab, before, 7)
    writes = lab.store.writes

    run = await dry_run(history, workflow_of(after))

    assert run.begins == ("now",)
    assert lab.store.writes == writes


# --- the document -------------------------------------------------------------------------------------------------


async def test_history_is_the_same_after_a_round_trip(lab: Lab) -> None:
    history = await history_after(lab, before, 7)

    again = history_from_json(history_to_json(history))

    assert history_to_json(again) == history_to_json(history)
    assert (await dry_run(again, workflow_of(before))).waits_for == "timer 'long'"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2}'])
def test_what_is_no_history_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="no history"):
        history_from_json(text)


async def test_history_of_a_fork_sees_the_random_numbers_of_the_first_one(lab: Lab) -> None:
    """They are arguments of a stored step: with others the code would not fit."""

    async def pays(step: Step) -> None:
        await step.run("pay", same, str(step.uuid()))
        await step.sleep("long", "1h")

    lab.app.workflow(id="flow")(pays)
    old = await lab.app.start("flow")
    await lab.run_to_rest(old)
    fork = await lab.app.fork(old.id)
    seen = await lab.run_to_rest(fork)
    history = history_of(seen, await lab.app.steps(fork.id), as_of=lab.store.now())

    assert history_from_json(history_to_json(history)).seed == old.id
    assert (await dry_run(history_from_json(history_to_json(history)), workflow_of(pays))).divergence is None
