"""`assert_durable` finds what a crash would change, says where, and lets pass what is durable."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from stepwell import App, InvalidOption, Permanent, Step, StepFailed, SyncStep, current_step
from stepwell.inputs import NOTHING
from stepwell.store.memory import MemoryStore
from stepwell.testing import CrashPoint, Effects, Lab, assert_durable

app = App(MemoryStore())
done = Effects()


async def pay(amount: int) -> int:
    done.add(("paid", amount))
    return amount


async def pay_with_key(amount: int) -> int:
    done.add(("paid", amount), key=current_step().idempotency_key)
    return amount


def book(connection: Any, amount: int) -> int:
    done.add(("booked", amount))
    return amount


def refuse() -> None:
    raise Permanent("no money")


async def begin(amount: int) -> None:
    await app.start(settled, 10 * amount, key=current_step().idempotency_key)


@pytest.fixture(autouse=True)
def nothing_done() -> Iterator[None]:
    memory.clear()
    yield
    done.clear()


memory: list[int] = []


# --- what is durable ----------------------------------------------------------------------------------------------


@app.workflow
async def settled(amount: int, step: Step) -> int:
    await step.sleep("rest", "7d")
    return await step.run("pay", pay_with_key, amount)


@app.workflow
async def order(amount: int, step: Step) -> dict[str, Any]:
    await asyncio.gather(step.run("pay", pay, amount), step.run("pay", pay, amount + 1))
    await step.transaction("book", book, amount)
    await step.sleep("rest", "7d")
    await step.run("begin", begin, amount)
    numbers = await step.map("items", pay_with_key, [7, 8, 9], concurrency=2)
    return {"numbers": numbers, "id": str(step.uuid()), "at": str(await step.now())}


@app.workflow
def plain(amount: int, step: SyncStep) -> int:
    step.run("pay", pay, amount)
    step.sleep("rest", "7d")
    return step.transaction("book", book, amount)


@app.workflow
async def handed_over(amount: int, step: Step) -> None:
    await step.transaction("hand-over", hand_over, amount)
    await step.transaction("hand-over-plainly", hand_over_plainly, amount)
    assert await step.wait_for_event("handed-over", key="all") == amount
    assert await step.wait_for_event("handed-over", key="all") == amount


async def hand_over(connection: Any, amount: int) -> None:
    await app.start(settled, amount, connection=connection)
    await app.send_event("handed-over", amount, key="all", connection=connection)


def hand_over_plainly(connection: Any, amount: int) -> None:
    app.sync.start(settled, amount + 1, connection=connection)
    app.send_event_on(connection, "handed-over", amount, key="all")


@app.workflow
async def refused(step: Step) -> None:
    try:
        await step.run("refuse", refuse)
    except StepFailed:
        await step.run("pay", pay, 1)
        raise


async def test_durable_workflow_passes_and_is_told_what_its_steps_may_do_twice() -> None:
    found = await assert_durable(order, 5, effects=done)

    assert found.result["numbers"] == [7, 8, 9]
    assert 2 * found.writes >= found.crashes > found.writes > 10
    assert found.repeated == {"('paid', 5)": 2, "('paid', 6)": 2}
    assert done.counts["('booked', 5)"] == 1


async def test_plain_workflow_passes() -> None:
    found = await assert_durable(plain, 5, effects=done)

    assert (found.result, found.repeated) == (5, {"('paid', 5)": 2})


async def test_starts_and_events_in_a_transaction_happen_once_wherever_the_worker_dies() -> None:
    found = await assert_durable(handed_over, 5, effects=done)

    assert found.repeated == {}
    assert sorted(done) == [("paid", 5), ("paid", 6)]


async def test_workflow_that_fails_must_fail_in_the_same_way_each_time() -> None:
    found = await assert_durable(refused, effects=done)

    assert found.result is None


def test_plain_test_function_runs_it_by_itself() -> None:
    assert asyncio.run(assert_durable(plain, 5)).result == 5


async def test_fakes_stand_for_steps_in_every_life() -> None:
    found = await assert_durable(order, 5, effects=done, fakes={"items": lambda amount: 0})

    assert found.result["numbers"] == [0, 0, 0]


async def test_what_happens_meanwhile_happens_in_every_life() -> None:
    days: list[int] = []

    async def wait_and_cancel(lab: Lab, handle: Any) -> None:
        began = lab.now
        await lab.advance("3d")
        days.append((lab.now - began).days)
        await handle.cancel(reason="enough")

    found = await assert_durable(order, 5, meanwhile=wait_and_cancel)

    assert found.result is None
    assert len(days) >= found.crashes + 2
    assert set(days) == {3}


async def test_nothing_of_its_lives_reaches_the_app_or_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "stepwell")
    await assert_durable(plain, 5)

    assert await app.list() == []
    assert [record for record in caplog.records if record.name.startswith("stepwell")] == []


# --- what is not --------------------------------------------------------------------------------------------------


async def number_invoice() -> int:
    """What a crash repeats gets the next number."""
    number = len(done) + 1
    done.add(("invoice", number))
    return number


async def begin_without_key(amount: int) -> None:
    await app.start(settled, amount)


@app.workflow
async def invoice(step: Step) -> str:
    await step.run("number", number_invoice)
    return "sent"


@app.workflow
async def curious(step: Step) -> int:
    """Looks at the world outside of a step."""
    await step.run("pay", pay, 1)
    return len(done)


@app.workflow
async def hasty(step: Step) -> None:
    """Greets on its first pass only, of which a crash may leave nothing."""
    if (await app.get(step.execution_id)).passes == 1:
        await step.run("greet", pay, 0)
    await step.run("pay", pay, 1)


@app.workflow
async def keyless(step: Step) -> None:
    await step.run("begin", begin_without_key, 5)


@app.workflow
async def forgetful(step: Step) -> int:
    memory.append(1)
    return len(memory)


async def message_of(workflow: Any, input: Any = NOTHING, **options: Any) -> str:
    with pytest.raises(AssertionError) as found:
        await assert_durable(workflow, input, **options)
    return str(found.value)


async def test_effect_that_a_repeat_does_otherwise_is_found_and_told_with_its_crash_point() -> None:
    assert await message_of(invoice, effects=done) == "\n".join(
        [
            "'invoice' is not durable: a crash before write 2 (the outcome of 'number') changes what it does",
            "  additional effect: ('invoice', 2)",
            'Reproduce it: assert_durable(..., only="before write 2")',
        ]
    )


async def test_result_that_depends_on_the_crash_is_found_and_both_are_shown() -> None:
    message = await message_of(curious, effects=done)

    assert "  without it completed: 1\n  with it    completed: 2\n" in message


async def test_step_that_does_not_run_after_the_crash_is_missed() -> None:
    message = await message_of(hasty, effects=done)

    assert "a crash after write 1 (the claim that begins a pass)" in message
    assert "missing step: greet" in message
    assert "missing effect: ('paid', 0)" in message


async def test_only_repeats_one_crash() -> None:
    with pytest.raises(AssertionError, match="before write 2"):
        await assert_durable(invoice, effects=done, only="before write 2")

    assert (await assert_durable(invoice, effects=done, only="after write 1")).crashes == 1


async def test_crash_point_beyond_the_last_write_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"no crash before write 99: 'plain' has \d+ writes"):
        await assert_durable(plain, 5, only="before write 99")


async def test_start_without_a_key_is_told_as_repeated() -> None:
    found = await assert_durable(keyless)

    assert found.repeated == {"execution of 'settled' with {\"amount\":5}": 2}


@app.workflow
async def announced(step: Step) -> None:
    await step.run("announce", announce)
    await step.send_event("announced-once", 5, key="all")


async def announce() -> None:
    await app.send_event("announced", 5, key="all")


async def test_event_that_a_step_sends_without_an_id_is_told_as_repeated() -> None:
    found = await assert_durable(announced)

    assert found.repeated == {"event 'announced' with key 'all': 5": 2}


async def test_workflow_that_differs_without_any_crash_is_told_apart() -> None:
    message = await message_of(forgetful)

    assert message.startswith("'forgetful' does not do the same twice, without any crash\n")
    assert "completed: 1" in message
    assert "completed: 2" in message


async def test_only_what_matters_of_the_result_is_compared() -> None:
    found = await assert_durable(forgetful, by=lambda result: result > 0)

    assert found.crashes > 0


async def test_life_that_never_ends_is_told() -> None:
    async def rename(lab: Lab, handle: Any) -> None:
        await lab.settle()
        memory.append(1)
        await lab.settle()

    message = await message_of(fickle, meanwhile=rename)

    assert "is not durable" in message or "does not do the same twice" in message
    assert "stuck: the code does not fit the history any more:" in message


@app.workflow
async def fickle(step: Step) -> None:
    if len(memory) < 3:
        await step.sleep("rest", "1h")
    else:
        await step.run("rest", pay, 1)


# --- crash points -------------------------------------------------------------------------------------------------


async def test_more_crash_points_than_allowed_are_spread_over_the_life() -> None:
    assert (await assert_durable(order, 5, max_crashes=5)).crashes == 5
    assert (await assert_durable(order, 5, max_crashes=1)).crashes == 1


@pytest.mark.parametrize("point", [CrashPoint(3, True), CrashPoint(12, False)])
def test_crash_point_reads_what_it_wrote(point: CrashPoint) -> None:
    assert CrashPoint.parse(str(point)) == point


@pytest.mark.parametrize("text", ["", "3", "before 3", "before write 0", "during write 3"])
def test_crash_point_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(f"{text!r} is no crash point")):
        CrashPoint.parse(text)


async def test_what_is_no_workflow_is_refused() -> None:
    with pytest.raises(InvalidOption, match="takes a workflow"):
        await assert_durable(pay, 5)  # type: ignore[arg-type]


# --- effects ------------------------------------------------------------------------------------------------------


def test_effect_with_a_key_is_done_once() -> None:
    for _ in range(2):
        done.add("mail", key="1")
    done.add("mail", key="2")

    assert (list(done), len(done), done.counts["'mail'"]) == (["mail", "mail"], 2, 2)


def test_key_that_is_given_with_another_effect_is_refused() -> None:
    done.add("mail to Ada", key="1")

    with pytest.raises(ValueError, match="key 1 was given with 'mail to Ada', and now with 'mail to Bob'"):
        done.add("mail to Bob", key="1")
