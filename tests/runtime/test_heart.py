"""The heartbeat keeps the lease whatever user code does, and says so when it cannot."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

from stepwell import Step
from stepwell.errors import DatabaseUnavailable
from tests.runtime.lab import MINUTE, SIGNAL_SECONDS, Gate, Lab, Ledger

LEASE = timedelta(milliseconds=60)


class Beats:
    """Counts beats, for any thread to wait for."""

    def __init__(self) -> None:
        self._counted = threading.Semaphore(0)

    def __call__(self) -> None:
        self._counted.release()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self._counted.acquire(timeout=SIGNAL_SECONDS)


async def test_blocked_event_loop_does_not_stop_the_heart(lab: Lab, ledger: Ledger) -> None:
    """F12: for five leases."""
    lab.store.on_beat = beats = Beats()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        async def block() -> str:
            ledger.note()
            beats.wait(15)
            return "blocked"

        return await step.run("block", block)

    handle = await lab.app.start(flow)
    async with lab.worker(lease_for=LEASE):
        assert await lab.result(handle) == "blocked"

    assert len(lab.store.sessions) == 1
    assert (await lab.see(handle)).passes == 1


async def test_step_and_sleep_longer_than_the_lease_keep_their_execution(lab: Lab, ledger: Ledger) -> None:
    """F13: five leases long, with another worker that looks for the dead."""
    lab.store.on_beat = beats = Beats()
    virtual_lease = timedelta(milliseconds=60)

    def long() -> None:
        ledger.note()
        for _ in range(15):
            beats.wait(2)
            lab.store.clock.advance(virtual_lease / 3)

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await asyncio.gather(step.run("long", long), step.sleep("nap", "200ms"))

    handle = await lab.app.start(flow)
    lab.store.is_hurried = False
    async with lab.worker(lease_for=LEASE), lab.worker(lease_for=LEASE):
        await lab.until(handle, lambda seen: bool(ledger.entries))
        await lab.result(handle)

    assert ledger.entries == ["long"]
    assert len(lab.store.sessions) == 2


async def test_beat_that_gets_no_answer_ends_the_session_with_its_lease(lab: Lab) -> None:
    """F42: nobody says that the database is gone; the step is cut all the same, and goes on in another session."""
    gate, answer = Gate(), threading.Event()

    def keep_waiting() -> None:
        if len(lab.store.sessions) == 1:
            assert answer.wait(SIGNAL_SECONDS)

    lab.store.on_beat = keep_waiting

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("gate", gate)

    handle = await lab.app.start(flow)
    async with lab.worker(lease_for=LEASE):
        async with asyncio.timeout(SIGNAL_SECONDS):
            await gate.was_cut.wait()
        gate.let_go.set()
        answer.set()
        assert await lab.result(handle) == "through"


async def test_beats_beside_completions_lose_no_session(lab: Lab) -> None:
    """F14."""
    lab.store.on_beat = beats = Beats()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("work", int)

    async with lab.worker(lease_for=timedelta(milliseconds=3)):
        for _ in range(15):
            handles = await lab.app.start_many(flow, [{}] * 10)
            for handle in handles:
                await lab.result(handle)
        await asyncio.to_thread(beats.wait, 10)

    assert len(lab.store.sessions) == 1


async def test_worker_that_cannot_extend_its_lease_stops_what_it_runs(lab: Lab) -> None:
    """F1: when the lease has run out others have taken over, so going on would double effects."""
    gate = Gate()

    def fail() -> None:
        raise DatabaseUnavailable("no answer")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker(lease_for=LEASE):
        await gate.begun.wait()
        lab.store.on_beat = fail
        async with asyncio.timeout(SIGNAL_SECONDS):
            await gate.was_cut.wait()
        lab.store.on_beat = lambda: None
        gate.let_go.set()
        assert await lab.result(handle) == "through"

    assert len(lab.store.sessions) == 2


async def test_heart_beats_on_until_what_ran_has_been_cut(lab: Lab) -> None:
    """F29: or a session that is still there, on another server, would run out meanwhile and count as a crash."""
    beats, begun, cleaned_up = Beats(), asyncio.Event(), asyncio.Event()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        async def clean_up_slowly() -> str:
            try:
                begun.set()
                await cleaned_up.wait()
            finally:
                lab.store.on_beat = beats
                await asyncio.to_thread(beats.wait, 5)
                cleaned_up.set()
            return "again"

        return await step.run("slow", clean_up_slowly)

    handle = await lab.app.start(flow)
    async with lab.worker(lease_for=LEASE):
        await begun.wait()
        await lab.store.close_session(next(iter(lab.store.sessions)))
        async with asyncio.timeout(SIGNAL_SECONDS):
            await cleaned_up.wait()
        assert await lab.result(handle) == "again"


async def test_beat_that_fails_now_and_then_costs_nothing(lab: Lab) -> None:
    gate, loop = Gate(), asyncio.get_running_loop()
    answers = iter([True, False] * 2)

    def fail_sometimes() -> None:
        is_lost = next(answers, None)
        if is_lost is None:
            loop.call_soon_threadsafe(gate.let_go.set)
        elif is_lost:
            raise DatabaseUnavailable("no answer")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("slow", gate)

    lab.store.on_beat = fail_sometimes
    handle = await lab.app.start(flow)
    async with lab.worker(lease_for=timedelta(milliseconds=300)):
        assert await lab.result(handle) == "through"

    assert len(lab.store.sessions) == 1


async def test_heart_of_another_worker_frees_what_a_dead_one_owned(lab: Lab) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        lab.store.cut_off()
        await gate.was_cut.wait()
    gate.let_go.set()
    lab.store.clock.advance(MINUTE)
    async with lab.worker(lease_for=LEASE):
        assert await lab.result(handle) == "through"
