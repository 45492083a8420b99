"""What a caller can do to executions: the one door into the engine for the API, the CLI and user code.

It deals in stored bytes; which workflow takes which input is the app's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from stepwell.core.events import execution_of
from stepwell.core.model import (
    AuditRecord,
    Created,
    Execution,
    ExecutionId,
    Filter,
    Forked,
    NewEvent,
    NewExecution,
    NewFork,
    Sent,
    StepRecord,
)
from stepwell.core.payload import is_same
from stepwell.core.status import Status
from stepwell.errors import (
    InvalidOption,
    KeyConflict,
    NotAllowed,
    ResultTimeout,
    UnknownExecution,
    UnknownStep,
)
from stepwell.store.base import Backend
from stepwell.store.connect import may_pass

CREATE_SIZE = 2_000  # executions per statement: nearly all of the gain of batching, a tenth of a second at most
PAGE = 500
CHECK_EVERY = timedelta(seconds=1)  # hints can be lost
MAX_UNASKED = 100  # starts that nobody waits for: then the next will not be waited for either
SHORTEST_CHECK = timedelta(milliseconds=20)  # and behind a pooler there are none


class Client:
    """The operations on executions. Every answer that promises something is given after it is durable."""

    def __init__(self, store: Backend) -> None:
        self.store = store
        self._habit = _Habit()
        self._results = _Results(store)

    async def start(self, new: Sequence[NewExecution]) -> list[Created]:
        """Accept executions: up to 2,000 all or none, more of them 2,000 at a time.

        Raises KeyConflict when a key belongs to another input: nothing of its part is accepted and nothing after it,
        and the parts before stay accepted. A start of the same again, without the conflict, answers with those that
        have keys. Raises InvalidOption when a deadline has passed.
        """
        self._refuse_expired(new)
        if len(new) == 1:
            return [await self._start_one(new[0])]
        created: list[Created] = []
        for start in range(0, len(new), CREATE_SIZE):
            part = new[start : start + CREATE_SIZE]
            created += check_keys(part, await self.store.create(part))
        return created

    def _refuse_expired(self, new: Sequence[NewExecution]) -> None:
        now = self.store.now()
        for one in new:
            if isinstance(one.deadline, datetime) and one.deadline <= now:
                raise InvalidOption(f"deadline {one.deadline:%Y-%m-%d %H:%M:%S} UTC has passed; nothing was started")

    async def _start_one(self, new: NewExecution) -> Created:
        new, heard = new._replace(is_awaited=self._habit.is_to_wait), self._results.heard
        (created,) = check_keys([new], await self.store.create([new]))
        if created.is_new:
            self._habit.started(created.id, told_since=heard if new.is_awaited else None)
        return created

    async def get(self, execution_id: ExecutionId) -> Execution:
        """One execution. Raises UnknownExecution."""
        execution = await self.store.get(execution_id)
        if execution is None:
            raise UnknownExecution(execution_id)
        return execution

    async def list(self, which: Filter, *, limit: int) -> Sequence[Execution]:
        """Executions, newest first, at most `limit`."""
        return await self.store.list(which, limit=limit)

    async def count(self, which: Filter) -> dict[Status, int]:
        """How many of those that are meant have each status."""
        return await self.store.count(which)

    async def steps(self, execution_id: ExecutionId) -> AsyncIterator[StepRecord]:
        """All stored outcomes and failed attempts of an execution, read in pages."""
        after = None
        while True:
            page = await self.store.steps(execution_id, after=after, limit=PAGE)
            for record in page:
                yield record
            if len(page) < PAGE:
                return
            after = (page[-1].key, page[-1].attempt)

    async def send(self, event: NewEvent) -> Sent:
        """Send an event. Raises UnknownExecution when it goes to one that is not there."""
        sent = await self.store.send(event)
        if sent is None:
            raise UnknownExecution(execution_of(event.address))
        return sent

    async def cancel(
        self, execution_id: ExecutionId, *, reason: str, force: bool = False, by: str | None = None
    ) -> Status:
        """Cancel. The status it then has: `cancelled`, or another until it has cleaned up; it will end cancelled.

        Raises UnknownExecution; NotAllowed when it had already completed or failed.
        """
        answer = await self.store.cancel(execution_id, reason=reason, force=force, by=by)
        return _done("cancel", execution_id, answer)

    async def retry(self, execution_id: ExecutionId, *, by: str | None = None) -> Status:
        """Make a failed, cancelled, parked or sleeping-before-a-retry execution go on now.

        Completed steps are kept, the failed ones run again. Raises UnknownExecution, NotAllowed.
        """
        return _done("retry", execution_id, await self.store.reopen(execution_id, by=by))

    async def pause(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> Status:
        """Let no worker claim it; one that runs it hands it back. Raises UnknownExecution, NotAllowed."""
        return _done("pause", execution_id, await self.store.pause(execution_id, by=by, reason=reason))

    async def resume(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> Status:
        """Let a paused execution go on. Raises UnknownExecution, NotAllowed."""
        return _done("resume", execution_id, await self.store.resume(execution_id, by=by, reason=reason))

    async def fork(self, new: NewFork, *, by: str) -> None:
        """Make a new execution with the history of another one. Raises UnknownExecution, UnknownStep."""
        made = await self.store.fork(new, by=by)
        if made is Forked.NO_EXECUTION:
            raise UnknownExecution(new.source)
        if made is not Forked.MADE:
            steps = [new.from_step or ""] if made is Forked.NO_STEP else list(new.edit)
            raise UnknownStep(execution_id=new.source, steps=steps)

    async def audits(
        self, execution_id: ExecutionId | None, *, before: int | None, limit: int
    ) -> Sequence[AuditRecord]:
        """What was done to one execution, or to all, newest first."""
        return await self.store.audits(execution_id, before=before, limit=limit)

    async def resolve(self, execution_id: ExecutionId, step: str, *, value: bytes | None, by: str) -> Status:
        """Say what an effect has made whose outcome is unknown; None: nothing, it is to be repeated.

        Raises UnknownExecution; NotAllowed when its outcome is not unknown, or a worker runs the execution.
        """
        answer = await self.store.resolve(execution_id, step, value=value, by=by)
        return _done(f"resolve '{step}' of", execution_id, answer, because="no effect of that name waits for it")

    async def ended(self, execution_id: ExecutionId, *, timeout: timedelta | None) -> Execution:
        """The execution once it has ended. Raises ResultTimeout, UnknownExecution."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
                return await self._results.wait(execution_id, told_since=self._habit.waits_for(execution_id))
        raise ResultTimeout(execution_id=execution_id, status=(await self.get(execution_id)).status)

    @property
    def awaited(self) -> Collection[ExecutionId]:
        """The executions whose end somebody waits for."""
        return self._results.awaited

    def abandon(self, execution_id: ExecutionId, error: BaseException) -> None:
        """Whoever waits for the end of this execution gets the error instead."""
        self._results.abandon(execution_id, error)


def _done(
    operation: str, execution_id: ExecutionId, answer: tuple[Status, bool] | None, *, because: str = ""
) -> Status:
    if answer is None:
        raise UnknownExecution(execution_id)
    status, is_done = answer
    if not is_done:
        raise NotAllowed(operation=operation, execution_id=execution_id, status=status, because=because)
    return status


def check_keys(new: Sequence[NewExecution], created: Sequence[Created]) -> Sequence[Created]:
    """The same, unless a key belongs to an execution with another input: KeyConflict."""
    for row, made in zip(new, created, strict=True):
        if made.input is not None and not is_same(made.input, row.input):
            raise KeyConflict(workflow=row.workflow, key=row.key or "", execution_id=made.id)
    return created


class _Habit:
    """Whether this process waits for the executions that it starts one by one.

    If it waited for one of the last, the next start asks at once to be told of the end. A request of its own (`watch`)
    costs a commit, and holds the row just when a worker has heard of the start and wants to claim it.
    """

    def __init__(self) -> None:
        self.is_to_wait = False
        self._started: dict[ExecutionId, int | None] = {}  # not waited for yet: since which hint we are told

    def started(self, execution_id: ExecutionId, *, told_since: int | None) -> None:
        """`told_since`: how many hints had come before a start that has asked; None: it has not."""
        self._started[execution_id] = told_since
        if len(self._started) > MAX_UNASKED:
            del self._started[next(iter(self._started))]
            self.is_to_wait = False

    def waits_for(self, execution_id: ExecutionId) -> int | None:
        """Somebody now does. How many hints had come before the start, if that has asked already."""
        self.is_to_wait = self.is_to_wait or execution_id in self._started
        return self._started.pop(execution_id, None)


class _Results:
    """Waits for the end of any number of executions with one question for all of them."""

    def __init__(self, store: Backend) -> None:
        self._store = store
        self._waiting: dict[ExecutionId, set[asyncio.Future[Execution]]] = {}
        self._unmarked: set[ExecutionId] = set()
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._is_listening = False
        self.heard = 0  # hints of an end, since the first wait

    async def wait(self, execution_id: ExecutionId, *, told_since: int | None) -> Execution:
        """The execution once it has ended.

        `told_since`: the store was asked to tell of it when so many hints had been heard. Without another one it has
        not ended, and a question would only take the processor from the worker that now runs it.
        """
        future: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(execution_id, set()).add(future)
        if told_since is None:
            self._unmarked.add(execution_id)
        if self._watching is None:
            self._changed.clear()
            self._watching = asyncio.create_task(self._watch(), name="stepwell-results")
        if told_since != self.heard or not self._store.is_prompt:
            self._changed.set()
        try:
            return await future
        finally:
            self._forget(execution_id, future)

    @property
    def awaited(self) -> Collection[ExecutionId]:
        return tuple(self._waiting)

    def abandon(self, execution_id: ExecutionId, error: BaseException) -> None:
        for future in self._futures(execution_id):
            future.set_exception(error)

    def _forget(self, execution_id: ExecutionId, future: asyncio.Future[Execution]) -> None:
        futures = self._waiting.get(execution_id, set())
        futures.discard(future)
        if not futures:
            self._waiting.pop(execution_id, None)
        if not self._waiting:
            self._changed.set()  # the watch ends now, and does not outlive an app that is closed next

    async def _watch(self) -> None:
        self._listen()
        pause = SHORTEST_CHECK
        try:
            await self._pause(CHECK_EVERY)
            while self._waiting:
                self._changed.clear()
                found = await self._look()
                pause = SHORTEST_CHECK if found else min(pause * 2, CHECK_EVERY)
                await self._pause(CHECK_EVERY if self._store.is_prompt else pause)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._fail(error)
        finally:
            self._watching = None

    def _listen(self) -> None:
        """From the first wait on, so that no end of what is started later is missed."""
        if not self._is_listening:
            self._is_listening = True
            self._store.subscribe(self._hear)

    async def _look(self) -> bool:
        """Ask about those not asked about before, else about all; whether any has ended."""
        fresh, self._unmarked = self._unmarked & self._waiting.keys(), set()
        try:
            found = await (self._store.watch(list(fresh)) if fresh else self._store.ended(list(self._waiting)))
        except Exception as error:
            if not may_pass(error):
                raise
            self._unmarked |= fresh
            return False
        for execution_id in fresh - {execution.id for execution in found}:
            for future in self._futures(execution_id):
                future.set_exception(UnknownExecution(execution_id))
        ended = [execution for execution in found if execution.status.is_final]
        for execution in ended:
            for future in self._futures(execution.id):
                future.set_result(execution)
        return bool(ended)

    def _futures(self, execution_id: ExecutionId) -> Iterator[asyncio.Future[Execution]]:
        return (future for future in self._waiting.get(execution_id, ()) if not future.done())

    def _fail(self, error: Exception) -> None:
        for execution_id in self.awaited:
            self.abandon(execution_id, error)

    def _hear(self, hint: str) -> None:
        if hint == "done":
            self.heard += 1
            self._changed.set()

    async def _pause(self, longest: timedelta) -> None:
        timer = asyncio.get_running_loop().call_later(longest.total_seconds(), self._changed.set)
        await self._changed.wait()
        timer.cancel()
