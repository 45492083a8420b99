"""Fakes stand for the functions of steps: by name, with values, errors or functions, and within the engine's rules."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell import REPEAT, App, ExecutionFailed, InvalidOption, Permanent, Retry, Step, current_step
from stepwell.store.memory import MemoryStore
from stepwell.testing import Lab, running

app = App(MemoryStore())


async def fetch(number: int) -> int:
    raise NotImplementedError("only fakes of it are used")


async def ask_bank(*_: Any) -> str:
    raise NotImplementedError("only fakes of it are used")


def store(connection: Any, number: int) -> int:
    return int(connection.execute("select %s", [number]))


@app.workflow
async def one(number: int, step: Step) -> int:
    return await step(retry=Retry(max_attempts=3, first_delay="1h")).run("fetch", fetch, number)


@app.workflow
async def many(step: Step) -> list[int]:
    first = [await step.run("fetch", fetch, 1), await step.run("fetch", fetch, 2)]
    mapped = await step.map("fetch", fetch, [3, 4])
    return first + mapped + list(await asyncio.gather(step.run("fetch", fetch, 5), step.run("fetch", fetch, 6)))


@app.workflow
async def stored(step: Step) -> int:
    return await step.transaction("store", store, 7)


@app.workflow
async def charged(step: Step) -> str:
    return await step(retry=Retry(max_attempts=3, first_delay="1h")).effect("charge", ask_bank, verify=ask_bank)


@app.workflow
async def successor(number: int) -> int:
    return number + 1


@app.workflow
async def many_children(step: Step) -> list[int]:
    return await step.map("each", successor, [1, 2])


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with running(app) as lab:
        yield lab


async def test_value_is_what_the_step_returns(lab: Lab) -> None:
    fetched = lab.fake("fetch", 42)

    assert await (await app.start(one, 7)).result() == 42
    assert fetched.calls == [(7,)]
    assert repr(fetched) == "<Fake of 'fetch', called 1 times>"


@pytest.mark.parametrize("error", [ConnectionError("down"), ConnectionError])
async def test_exception_is_raised_at_each_attempt(lab: Lab, error: Any) -> None:
    fetched = lab.fake("fetch", error)

    with pytest.raises(ExecutionFailed, match="ConnectionError"):
        await (await app.start(one, 7)).result()

    assert len(fetched.calls) == 3


async def test_permanent_error_is_raised_once(lab: Lab) -> None:
    fetched = lab.fake("fetch", Permanent("no such number"))

    with pytest.raises(ExecutionFailed, match="no such number"):
        await (await app.start(one, 7)).result()

    assert len(fetched.calls) == 1


async def test_several_outcomes_are_those_of_the_attempts_and_the_last_one_stays(lab: Lab) -> None:
    fetched = lab.fake("fetch", ConnectionError("down"), 42)

    assert [await (await app.start(one, 7)).result() for _ in range(2)] == [42, 42]
    assert len(fetched.calls) == 4


async def test_async_function_runs_on_the_loop_and_knows_its_step(lab: Lab) -> None:
    async def named(number: int) -> int:
        assert current_step().name == "fetch"
        return number + (threading.current_thread() is threading.main_thread())

    lab.fake("fetch", named)

    assert await (await app.start(one, 7)).result() == 8


async def test_plain_function_runs_in_a_thread_and_knows_its_step(lab: Lab) -> None:
    def named(number: int) -> int:
        assert current_step().name == "fetch"
        return number + (threading.current_thread() is threading.main_thread())

    lab.fake("fetch", named)

    assert await (await app.start(one, 7)).result() == 7


async def test_one_fake_stands_for_all_steps_of_its_name(lab: Lab) -> None:
    fetched = lab.fake("fetch", lambda number: 10 * number)

    assert await (await app.start(many)).result() == [10, 20, 30, 40, 50, 60]
    assert sorted(fetched.calls) == [(number,) for number in range(1, 7)]


async def test_fake_of_a_full_key_stands_for_that_step_only(lab: Lab) -> None:
    lab.fake("fetch", lambda number: 10 * number)
    lab.fake("fetch#2", 0)

    assert await (await app.start(many)).result() == [10, 0, 30, 40, 50, 60]


async def test_transaction_can_be_faked(lab: Lab) -> None:
    faked = lab.fake("store", 1)

    assert await (await app.start(stored)).result() == 1
    assert [arguments[1:] for arguments in faked.calls] == [(7,)]


async def test_transaction_that_is_not_faked_says_that_there_is_no_database(lab: Lab) -> None:
    with pytest.raises(ExecutionFailed, match=r"have no connection with 'execute'; in a test, fake the step"):
        await (await app.start(stored)).result()


async def test_value_must_be_one_that_the_real_step_could_return(lab: Lab) -> None:
    lab.fake("fetch", "forty-two")

    with pytest.raises(ExecutionFailed, match="step 'fetch'"):
        await (await app.start(one, 7)).result()


async def test_children_of_a_map_are_real(lab: Lab) -> None:
    assert await (await app.start(many_children)).result() == [2, 3]


# --- workflows ----------------------------------------------------------------------------------------------------


@app.workflow
async def child(number: int, extra: int, step: Step) -> int:
    raise NotImplementedError("only fakes of it are used")


@app.workflow
async def parent(step: Step) -> int:
    given = {"number": 3, "extra": 4}
    return await step.call("child", child, given) + sum(await step.map("children", one, [1, 2]))


async def test_workflow_is_faked_wherever_it_is_called(lab: Lab) -> None:
    called, mapped = lab.fake(child, lambda number, extra: number * extra), lab.fake(one, 100)

    assert await (await app.start(parent)).result() == 212
    assert (called.calls, sorted(mapped.calls)) == ([(3, 4)], [(1,), (2,)])


async def test_faked_workflow_may_be_started_and_be_async(lab: Lab) -> None:
    async def tenfold(number: int) -> int:
        return 10 * number

    lab.fake(one, tenfold)

    assert await (await app.start(one, 7)).result() == 70


async def test_exception_of_a_faked_workflow_fails_it(lab: Lab) -> None:
    lab.fake(child, LookupError("no such child"))

    with pytest.raises(ExecutionFailed, match=r"ChildFailed.*no such child"):
        await (await app.start(parent)).result()


async def test_result_of_a_faked_workflow_must_be_one_that_it_could_return(lab: Lab) -> None:
    lab.fake(one, "forty-two")

    with pytest.raises(ExecutionFailed, match="the result of workflow 'one'"):
        await (await app.start(one, 7)).result()


async def test_workflow_has_no_attempts_for_several_outcomes(lab: Lab) -> None:
    with pytest.raises(InvalidOption, match="fake of workflow 'one': give one outcome"):
        lab.fake(one, 1, 2)


async def test_what_an_effect_is_looked_for_with_has_a_fake_of_its_own(lab: Lab) -> None:
    charge = lab.fake("charge", TimeoutError, "receipt 7")
    verify = lab.fake("charge/verify", REPEAT)

    assert await (await app.start(charged)).result() == "receipt 7"
    assert (len(charge.calls), len(verify.calls)) == (2, 1)


async def test_effect_that_is_found_is_not_repeated(lab: Lab) -> None:
    charge = lab.fake("charge", TimeoutError)

    async def found(key: str) -> str:
        return f"receipt for {len(key)} digits"

    lab.fake("charge/verify", found)

    assert await (await app.start(charged)).result() == "receipt for 32 digits"
    assert len(charge.calls) == 1


async def test_fake_without_an_outcome_is_refused(lab: Lab) -> None:
    with pytest.raises(InvalidOption, match="fake 'fetch' needs an outcome"):
        lab.fake("fetch")
