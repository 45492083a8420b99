"""`@stepwell.step`, with parentheses and without."""

from __future__ import annotations

from typing import Any

import pytest

import stepwell
from stepwell import InvalidOption, Retry, Step, StepFailed
from tests.runtime.lab import Lab, Ledger


async def test_bare_decorator_names_the_step_and_leaves_the_function_as_it_is(lab: Lab, ledger: Ledger) -> None:
    @stepwell.step
    async def fetch_rate(currency: str) -> int:
        return len(currency)

    @stepwell.step
    def double_it(number: int) -> int:
        ledger.note()
        return 2 * number

    @lab.app.workflow
    async def flow(step: Step) -> int:
        return await step.run(double_it, await step.run(fetch_rate, "euro"))

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == 8

    assert set(await lab.steps(handle)) == {"fetch-rate", "double-it"}
    assert await fetch_rate("euro") == 4


async def test_decorator_with_options_gives_them_to_every_call(lab: Lab, ledger: Ledger) -> None:
    @stepwell.step(name="charge", retry=Retry(2, first_delay="1s"))
    def fail() -> None:
        ledger.note()
        raise ConnectionError("no answer")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.run(fail)
        except StepFailed as error:
            return error.step
        return "no error"

    assert await lab.run(flow) == "charge"
    assert ledger.entries == ["charge", "charge"]


@pytest.mark.parametrize("given", ["fetch", Retry(3), 30])
def test_option_without_its_name_is_refused(given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"give options by name: @stepwell\.step\(name=\.\.\.\)"):
        stepwell.step(given)


@pytest.mark.parametrize("options", [{"name": ""}, {"name": "a/b"}, {"retry": 3}, {"timeout": "soon"}])
def test_option_that_makes_no_sense_is_refused(options: Any) -> None:
    with pytest.raises(InvalidOption):
        stepwell.step(**options)(print)
