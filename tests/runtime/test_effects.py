"""Effects: what is intended is stored first, what was cut is looked for, and nothing is repeated blindly."""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

import pytest

from stepwell import (
    REPEAT,
    Handle,
    InvalidOption,
    NotAllowed,
    NotYet,
    Repeat,
    Retry,
    Status,
    Step,
    StepFailed,
    SyncStep,
    current_step,
)
from stepwell.core.model import Batch, Execution
from stepwell.errors import DatabaseUnavailable
from tests.runtime.lab import HOUR, Cut, Gate, Lab

UNKNOWN = "outcome of effect 'charge' is unknown: resolve it"


class Death(NamedTuple):
    """A worker dies when it stores this: before it is stored, or before it hears that it is."""

    key: str
    is_before: bool

    def come(self, lab: Lab) -> None:
        """Let it be so, once."""

        def look(batch: Batch) -> None:
            if any(row.key == self.key for row in batch.checkpoints):
                lab.store.before_flush = lambda _: None
                lab.store.cut = Cut(lab.store.writes, is_before=False)
                if self.is_before:
                    lab.store.cut_off()
                    raise DatabaseUnavailable("this worker was cut off")

        lab.store.before_flush = look


AFTER_INTENT, AFTER_EFFECT = Death("charge/#intent1", is_before=False), Death("charge", is_before=True)
DEATHS = [Death(key, is_before) for key in ("charge/#intent1", "charge") for is_before in (True, False)]


class Bank:
    """Another system, which takes no idempotency key but can be asked by it."""

    def __init__(self) -> None:
        self.charges: list[str] = []
        self.asked: list[str] = []
        self.errors: list[Exception] = []  # raised by the next charges, in turn

    async def charge(self, cents: int) -> str:
        self.charges.append(current_step().idempotency_key)
        if self.errors:
            raise self.errors.pop(0)
        return self._receipt(cents)

    async def look(self, key: str) -> str | Repeat:
        assert key == current_step().idempotency_key
        self.asked.append(key)
        return self._receipt(7) if key in self.charges else REPEAT

    def _receipt(self, cents: int) -> str:
        return f"{cents} cents, {len(self.charges)} charged"


@pytest.fixture
def bank() -> Bank:
    return Bank()


async def cut_execution(lab: Lab, flow: Any, death: Death) -> Execution:
    """The execution once its worker has died there and another one has taken it as far as it goes."""
    handle = await lab.app.start(flow)
    death.come(lab)
    async with lab.worker():
        await lab.until(handle, lambda _: lab.store.is_cut)
    lab.store.bury()
    return await lab.run_to_rest(handle)


@pytest.mark.parametrize("death", DEATHS, ids=str)
async def test_effect_with_verify_happens_once_wherever_its_worker_dies(lab: Lab, bank: Bank, death: Death) -> None:
    """F22, F26."""

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", bank.charge, 7, verify=bank.look)

    handle = await lab.app.start(flow)
    death.come(lab)
    await lab.survive(handle)

    assert await lab.result(handle) == "7 cents, 1 charged"
    assert len(bank.charges) == 1
    assert len(bank.asked) == (death in (AFTER_INTENT, AFTER_EFFECT))


async def test_effect_that_nothing_interrupts_is_not_asked_about(lab: Lab, bank: Bank) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        receipt = await step.effect("charge", bank.charge, 7, verify=bank.look)
        await step.sleep("pause", "1h")
        return receipt

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == "7 cents, 1 charged"

    assert not bank.asked
    assert {key: one.kind for key, one in (await lab.steps(handle)).items()} == {
        "charge": "effect",
        "charge/#intent1": "intent",
        "pause": "sleep",
    }


async def test_plain_workflow_makes_effects_too(lab: Lab) -> None:
    done: list[str] = []

    def charge() -> int:
        done.append(current_step().idempotency_key)
        return 7

    def look(key: str) -> int | Repeat:
        return 7 if key in done else REPEAT

    @lab.app.workflow
    def flow(step: SyncStep) -> int:
        return step.effect("charge", charge, verify=look)

    handle = await lab.app.start(flow)
    AFTER_EFFECT.come(lab)
    await lab.survive(handle)

    assert await lab.result(handle) == 7
    assert len(done) == 1


@pytest.mark.parametrize("death", [AFTER_INTENT, AFTER_EFFECT], ids=["before it", "after it"])
async def test_effect_without_verify_waits_for_an_operator_after_a_crash(lab: Lab, bank: Bank, death: Death) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", bank.charge, 7)

    seen = await cut_execution(lab, flow, death)

    assert (seen.status, seen.why, seen.due_at) == (Status.WAITING, UNKNOWN, None)
    assert len(bank.charges) == (death is AFTER_EFFECT)


async def test_operator_says_what_the_effect_made(lab: Lab, bank: Bank) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", bank.charge, 7)

    seen = await cut_execution(lab, flow, AFTER_EFFECT)

    assert await lab.app.resolve(seen.id, "charge", value="found in the books") is Status.PENDING
    async with lab.worker():
        assert await lab.app.result(seen.id) == "found in the books"
    assert len(bank.charges) == 1


async def test_operator_has_it_repeated_and_what_is_cut_again_is_unknown_again(lab: Lab, bank: Bank) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", bank.charge, 7)

    seen = await cut_execution(lab, flow, AFTER_INTENT)

    assert await lab.app.resolve(seen.id, "charge", repeat=True) is Status.PENDING
    AFTER_EFFECT.come(lab)
    async with lab.worker():
        await lab.until(_handle(lab, seen), lambda _: lab.store.is_cut)
    lab.store.bury()
    seen = await lab.run_to_rest(_handle(lab, seen))
    assert (seen.why, len(bank.charges)) == (UNKNOWN, 1)

    await lab.app.resolve(seen.id, "charge", repeat=True)
    async with lab.worker():
        assert await lab.app.result(seen.id) == "7 cents, 2 charged"


async def test_nothing_is_resolved_that_is_not_unknown(lab: Lab, bank: Bank) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", gate)

    handle = await lab.app.start(flow)
    with pytest.raises(NotAllowed, match="is pending, and no effect of that name waits for it"):
        await lab.app.resolve(handle.id, "charge", repeat=True)
    async with lab.worker():
        await gate.begun.wait()
        with pytest.raises(NotAllowed, match="is running, and no effect of that name waits for it"):
            await lab.app.resolve(handle.id, "charge", value="by hand")
        gate.let_go.set()
        assert await lab.result(handle) == "through"
    with pytest.raises(NotAllowed, match="is completed"):
        await lab.app.resolve(handle.id, "charge", value="by hand")
    with pytest.raises(InvalidOption, match="value that the effect made, or repeat"):
        await lab.app.resolve(handle.id, "charge")
    with pytest.raises(InvalidOption, match="value that the effect made, or repeat"):
        await lab.app.resolve(handle.id, "charge", value=1, repeat=True)


async def test_attempt_after_a_failed_one_looks_first(lab: Lab, bank: Bank) -> None:
    bank.errors = [ConnectionError("the answer was lost")]

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", bank.charge, 7, verify=bank.look)

    assert await lab.run(flow) == "7 cents, 1 charged"
    assert len(bank.asked) == 1


async def test_attempt_that_raised_is_tried_again_without_verify(lab: Lab, bank: Bank) -> None:
    bank.errors = [ConnectionError("refused")] * 3

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(4, first_delay="1h")).effect("charge", bank.charge, 7)

    assert await lab.run(flow) == "7 cents, 4 charged"
    assert len(set(bank.charges)) == 1


async def test_effect_that_used_up_its_attempts_fails_and_is_looked_for_when_it_is_retried_by_hand(
    lab: Lab, bank: Bank
) -> None:
    bank.errors = [ConnectionError("the answer was lost")]

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(1)).effect("charge", bank.charge, 7, verify=bank.look)

    handle = await lab.app.start(flow)
    async with lab.worker():
        failed = await lab.until(handle, lambda _: False)
        assert failed.status is Status.FAILED

        await lab.app.retry(handle.id)

        assert await lab.result(handle) == "7 cents, 1 charged"


async def test_effect_that_could_not_run_yet_is_not_looked_for(lab: Lab, bank: Bank) -> None:
    """A vendor whose limit is used up is not asked again and again whether it has done what it was never told to do."""
    busy = [NotYet("1h", "the rate limit is used up")] * 5

    async def charge(cents: int) -> str:
        if busy:
            raise busy.pop()
        return await bank.charge(cents)

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", charge, 7, verify=bank.look)

    receipt = await lab.run(flow)

    assert (len(bank.charges), bank.asked) == (1, [])
    assert receipt


async def test_failed_effect_without_verify_is_repeated_when_it_is_retried_by_hand(lab: Lab, bank: Bank) -> None:
    bank.errors = [ConnectionError("refused")]

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(1)).effect("charge", bank.charge, 7)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await lab.until(handle, lambda _: False)
        await lab.app.retry(handle.id)

        assert await lab.result(handle) == "7 cents, 2 charged"


async def test_verify_that_raises_uses_up_attempts_and_the_effect_is_not_repeated(lab: Lab, bank: Bank) -> None:
    def look(key: str) -> str | Repeat:
        raise ConnectionError("down")

    bank.errors = [ConnectionError("the answer was lost")]

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            return await step(retry=Retry(3, first_delay="1s")).effect("charge", bank.charge, 7, verify=look)
        except StepFailed as failed:
            return f"{failed.attempts}: {failed.message}"

    assert await lab.run(flow) == "3: down"
    assert len(bank.charges) == 1


async def test_effect_that_timed_out_without_verify_is_unknown(lab: Lab) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(timeout="10ms", retry=Retry(1)).effect("charge", gate)

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)

    assert (seen.status, seen.why) == (Status.WAITING, UNKNOWN)
    await lab.app.resolve(handle.id, "charge", value="late but there")
    async with lab.worker():
        assert await lab.result(handle) == "late but there"


async def test_branches_beside_an_unknown_effect_go_on(lab: Lab, bank: Bank) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[object]:
        async def other() -> int:
            await step.sleep("pause", "1h")
            return await step.run("work", lab.ledger.double, 4)

        return list(await asyncio.gather(step.effect("charge", bank.charge, 7), other()))

    seen = await cut_execution(lab, flow, AFTER_INTENT)
    assert seen.why is not None
    assert seen.why.startswith(UNKNOWN)

    lab.store.pass_time(2 * HOUR)
    async with lab.worker():
        await lab.run_until(lambda: _has(lab, seen, "pause/work"), is_working=True)
        await lab.app.resolve(seen.id, "charge", value="found")
        assert await lab.app.result(seen.id) == ["found", 8]


async def test_effect_begun_with_other_arguments_parks_and_restored_code_continues(lab: Lab, bank: Bank) -> None:
    """F56."""
    cents = 7

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.effect("charge", bank.charge, cents, verify=bank.look)

    handle = await lab.app.start(flow)
    AFTER_EFFECT.come(lab)
    async with lab.worker():
        await lab.until(handle, lambda _: lab.store.is_cut)
    lab.store.bury()
    cents = 8
    parked = await lab.run_to_rest(handle)

    assert re.match("parked: 'charge' is an effect begun with other arguments", parked.why or "")
    cents, lab.store.is_hurried = 7, True
    async with lab.worker():
        assert await lab.result(handle) == "7 cents, 1 charged"


async def test_step_in_the_place_of_an_effect_that_was_begun_parks(lab: Lab, bank: Bank) -> None:
    """F56."""
    is_changed = False

    @lab.app.workflow
    async def flow(step: Step) -> str:
        call = step.run if is_changed else step.effect
        return await call("charge", bank.charge, 7)

    handle = await lab.app.start(flow)
    AFTER_EFFECT.come(lab)
    async with lab.worker():
        await lab.until(handle, lambda _: lab.store.is_cut)
    lab.store.bury()
    is_changed = True
    parked = await lab.run_to_rest(handle)

    assert re.match("parked: 'charge' is an effect that was begun", parked.why or "")
    assert len(bank.charges) == 1


def _handle(lab: Lab, seen: Execution) -> Handle[Any]:
    return Handle(lab.app, seen.id, is_new=False)


async def _has(lab: Lab, seen: Execution, key: str) -> bool:
    return key in {record.key for record in await lab.app.steps(seen.id)}
