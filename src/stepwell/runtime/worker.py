"""A worker: claims executions as slots come free and runs them, session after session, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from random import SystemRandom

from stepwell.core.model import Claim, ClaimRequest
from stepwell.core.polling import FIRST_CLAIM_SIZE, Head, next_claim_size, next_poll
from stepwell.core.retry import Retry
from stepwell.errors import DatabaseError, DatabaseNotReady, DatabaseUnavailable, InvalidOption, LeaseLost
from stepwell.failpoints import failpoint
from stepwell.running import connected
from stepwell.runtime.branches import counted_tasks
from stepwell.runtime.registry import Registry
from stepwell.runtime.shift import Shift, WorkerSettings, open_shift
from stepwell.runtime.starters import Starters
from stepwell.runtime.upkeep import ENTER_EVERY, upkeep
from stepwell.store.base import Backend
from stepwell.store.connect import is_passing

log = logging.getLogger("stepwell.worker")

GATHER_SECONDS = 0.005  # few free slots wait this long for more: a claim of one costs as much as one of twenty

_RECONNECT = Retry(10**9, first_delay="250ms", max_delay="10s")


class Worker:
    """Runs executions of the registry's workflows. `run` once; `stop` makes it return."""

    def __init__(self, store: Backend, registry: Registry, settings: WorkerSettings) -> None:
        if not registry.names:
            raise InvalidOption("this worker has no workflows; import the module that defines them first")
        if settings.concurrency < 1:
            raise InvalidOption(f"concurrency is {settings.concurrency}, use at least 1")
        self._store, self._registry, self._settings = store, registry, settings
        self._queues = settings.queues or registry.queues
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._threads = ThreadPoolExecutor(settings.step_threads, thread_name_prefix="stepwell-step")
        self._workflow_threads = ThreadPoolExecutor(settings.workflow_threads, thread_name_prefix="stepwell-workflow")
        self._random = SystemRandom().random
        self._starters = Starters(store, registry)
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failures = 0  # in a row
        self.ready = asyncio.Event()
        self._forget()

    def _forget(self) -> None:
        """What was known of the queue belongs to one session."""
        self._head = Head()
        self._claim_size = FIRST_CLAIM_SIZE
        self._idle_for = timedelta(0)
        self._is_idle = False
        self._is_hungry = False

    def stop(self) -> None:
        """Claim nothing more; running steps get their grace, the rest is handed back at once."""
        self._stopping.set()
        self._changed.set()

    async def run(self) -> None:
        """Work until stopped. Goes on after any error, in a new session, with growing, random pauses.

        Raises DatabaseNotReady when the first session cannot be opened because of it: that takes an operator.
        """
        if (lent := connected.get() or self._settings.connected) is not None:
            connected.set(replace(lent, budgets=self._store.budgets))  # whoever lends: limits end by the store's clock
        async with AsyncExitStack() as stack:
            stack.enter_context(counted_tasks())
            stack.callback(self._store.subscribe(self._hear))
            stack.callback(self._threads.shutdown, wait=False, cancel_futures=True)
            stack.callback(self._workflow_threads.shutdown, wait=False, cancel_futures=True)
            first_after = ENTER_EVERY * (0.5 + self._random())
            kept = self._settings.deliveries_for
            chores = upkeep(self._store, self._registry, first_after=first_after, deliveries_for=kept)
            await stack.enter_async_context(chores)
            while not self._stopping.is_set():
                try:
                    await self._work_shift()
                except Exception as error:
                    if isinstance(error, DatabaseNotReady) and not self.ready.is_set():
                        raise
                    await self._pause_after(error)

    async def join(self) -> None:
        """Return when no thread of this worker runs code of the user's any more."""
        for threads in (self._threads, self._workflow_threads):
            await asyncio.to_thread(threads.shutdown, wait=True)

    async def _pause_after(self, error: Exception) -> None:
        """Only a stop cuts the pause short: hints come in numbers while a database comes back."""
        self._failures += 1
        pause = (_RECONNECT.longest_delay(self._failures) * (0.5 + self._random() / 2)).total_seconds()
        if isinstance(error, DatabaseError) or is_passing(error):
            log.warning("%s; trying again in %.1f s", error, pause)
        else:
            log.error("the worker's session ended with an error; trying again in %.1f s", pause, exc_info=error)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()

    async def _work_shift(self) -> None:
        """One session. Raises what ended it, unless it was a stop or the lease.

        An error that leaves the session alive ends it as a stop does, unless it passes: running steps get their grace.
        """
        shift = await open_shift(
            self._store,
            self._registry,
            self._settings,
            name=self._name,
            threads=self._threads,
            workflow_threads=self._workflow_threads,
            on_free=self._slot_freed,
            on_lost=self._changed.set,
        )
        self._forget()
        self.ready.set()
        try:
            while not self._stopping.is_set() and shift.lost is None:
                await self._wait(await self._look(shift))
        except (DatabaseUnavailable, LeaseLost) as error:
            shift.lose(error)
        finally:
            await shift.end()
        if isinstance(shift.lost, DatabaseUnavailable):
            raise shift.lost

    async def _look(self, shift: Shift) -> timedelta | None:
        """Start and claim what is due; how long to wait until the next look (None: until something has changed).

        What the database would take later ends no session: its steps may be longer than the grace they would have.
        """
        try:
            is_hinted = self._is_idle and self._store.is_prompt
            delays = [await self._starters.tick(is_hinted=is_hinted), await self.tick(shift)]
        except Exception as error:
            if not is_passing(error):
                raise
            await self._pause_after(error)
            return timedelta(0)
        self._failures = 0
        return min((delay for delay in delays if delay is not None), default=None)

    async def tick(self, shift: Shift) -> timedelta | None:
        """Claim once for the slots that are free; how long to wait until the next (None: until a slot is free)."""
        if self._is_hungry and shift.free < self._claim_size // 4:
            await asyncio.sleep(GATHER_SECONDS)
        limit = min(shift.free, self._claim_size)
        if limit <= 0:
            self._is_hungry = True
            return None
        claim = await self._claim(shift, limit)
        for claimed in claim.executions:
            shift.start(claimed)
        wait = next_poll(claim, asked_for=limit, idle_for=None if self._store.is_prompt else self._idle_for)
        self._is_hungry = not wait or shift.has_suspect  # when it has ended, the next one may be claimed
        self._idle_for = timedelta(0) if claim.executions else wait
        if not await self._is_known_idle(shift, is_idle=bool(wait)):
            return timedelta(0)
        return None if not wait and shift.free <= 0 else wait

    async def _claim(self, shift: Shift, limit: int) -> Claim:
        queues = self._queues = (*self._queues[1:], self._queues[0])  # each is the first one in turn
        # one queue may have been read far beyond what waits in another
        not_before = self._head.not_before(self._store.now()) if len(queues) == 1 else None
        request = ClaimRequest(
            queues=queues,
            workflows=self._registry.codes,
            limit=limit,
            not_before=not_before,
            versions=self._registry.newest,
            with_suspect=not shift.has_suspect,
        )
        claim = await self._store.claim(shift.session, request)
        self._head = self._head.after(claim, was_full_look=not_before is None)
        self._claim_size = next_claim_size(claim, self._claim_size)
        failpoint("after_claim")
        return claim

    async def _is_known_idle(self, shift: Shift, *, is_idle: bool) -> bool:
        """Tell those who start executions whether we wait for hints. False: look once more before waiting.

        A start that came before our word sent no hint. The word stands while little is to do; only a full claim takes
        it back, so that light load costs no statement for it.
        """
        if is_idle == self._is_idle or not self._store.is_prompt:
            return True
        await self._store.set_idle(shift.session, is_idle=is_idle)
        self._is_idle = is_idle
        return not is_idle

    def _hear(self, hint: str) -> None:
        if hint == "work":
            self._idle_for = timedelta(0)
            self._changed.set()
        elif self._starters.hear(hint):
            self._changed.set()

    def _slot_freed(self) -> None:
        is_awaited = self._starters.hear_of_an_end()
        if self._is_hungry or is_awaited or self._stopping.is_set():
            self._changed.set()

    async def _wait(self, delay: timedelta | None) -> None:
        """Return after the delay, or as soon as something has changed."""
        if delay == timedelta(0):
            return
        timer = None
        if delay is not None:
            timer = asyncio.get_running_loop().call_later(delay.total_seconds(), self._changed.set)
        await self._changed.wait()
        self._changed.clear()
        if timer is not None:
            timer.cancel()
