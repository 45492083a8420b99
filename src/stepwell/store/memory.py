"""The store as plain dicts: the executable specification that PostgreSQL is compared with, and what tests run on.

Each operation is one synchronous section under a lock, as it is one statement in PostgreSQL. The lock is there only for
the heartbeat's thread. `memory_rows.py` has what happens to a single row.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime, timedelta

from psycopg.errors import UniqueViolation

from stepwell.core.connections import Budgets
from stepwell.core.events import execution_of
from stepwell.core.model import (
    EVERYTHING,
    AuditRecord,
    Batch,
    Checkpoint,
    Child,
    Claim,
    ClaimRequest,
    Completed,
    Created,
    Ending,
    Execution,
    ExecutionId,
    Filter,
    Flushed,
    Found,
    Kind,
    Look,
    NewCheckpoint,
    NewChild,
    NewEvent,
    NewExecution,
    Reaped,
    Sent,
    SessionId,
    StepRecord,
    Waiting,
    WorkerInfo,
)
from stepwell.core.status import Status
from stepwell.core.workers import WorkerRecord
from stepwell.errors import LeaseLost
from stepwell.store.base import Callbacks, Catalog, Inbox, Pulse, Tokens, Transaction, Triggers, Vault
from stepwell.store.clock import VirtualClock
from stepwell.store.identity import new_id
from stepwell.store.memory_budgets import MemoryBudgets
from stepwell.store.memory_callbacks import MemoryCallbacks
from stepwell.store.memory_catalog import MemoryCatalog
from stepwell.store.memory_control import MemoryControl
from stepwell.store.memory_hands import MemoryPulse, MemoryTransaction, on_own_thread
from stepwell.store.memory_inbox import MemoryInbox
from stepwell.store.memory_listing import listed, matches
from stepwell.store.memory_mail import MemoryMail
from stepwell.store.memory_rows import ENDED_PARENT, ExecutionRow, WorkerRow, Written
from stepwell.store.memory_tokens import MemoryTokens
from stepwell.store.memory_topics import Topics
from stepwell.store.memory_triggers import MemoryTriggers
from stepwell.store.memory_upkeep import MemoryUpkeep
from stepwell.store.memory_vault import MemoryVault
from stepwell.store.memory_words import why

SESSIONS_PER_REAP = 100


class MemoryStore(MemoryMail, MemoryControl, MemoryUpkeep):
    """Keeps the Backend protocol in this process's memory, by a clock that tests set.

    Listeners are called inside the operation, or, for what the heartbeat's thread does, on the loop they subscribed on.
    Its transactions have no connection (None): there is no database that a step could share with the engine.
    """

    is_prompt = True

    def __init__(self, *, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self._lock: AbstractContextManager[object] = threading.RLock()
        self._workers: dict[SessionId, WorkerRow] = {}
        self._executions: dict[ExecutionId, ExecutionRow] = {}
        self._keys: dict[tuple[str, str], ExecutionRow] = {}
        self._children: dict[tuple[ExecutionId, str], ExecutionRow] = {}
        self._topics = Topics()
        self._listeners: dict[object, Callable[[str], None]] = {}
        self._triggers = MemoryTriggers(self, lock=self._lock, now=self.now)
        self.triggers: Triggers = self._triggers
        self._inbox = MemoryInbox(self, lock=self._lock, now=self.now)
        self.inbox: Inbox = self._inbox
        self._callbacks = MemoryCallbacks(self, lock=self._lock, now=self.now)
        self.callbacks: Callbacks = self._callbacks
        self.tokens: Tokens = MemoryTokens(lock=self._lock, now=self.now)
        self._audit: list[AuditRecord] = []
        self._noted = self._moment = 0  # the numbers of audits, and of what was stored last
        self._budgets = MemoryBudgets(self.now)
        self.budgets: Budgets = self._budgets
        self.catalog: Catalog = MemoryCatalog(self, lock=self._lock, now=self.now, hint=self._hint)
        self.vault: Vault = MemoryVault(self, self._inbox.change_secrets, lock=self._lock, now=self.now)

    async def open(self) -> None:
        """Nothing is to be connected."""

    async def close(self) -> None:
        """What is stored stays, as it does in a database."""

    # --- hints ----------------------------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[str], None]) -> Callable[[], None]:
        token = object()
        self._listeners[token] = on_own_thread(listener)
        return lambda: self._listeners.pop(token, None) and None

    def _hint(self, hint: str) -> None:
        for listener in tuple(self._listeners.values()):
            listener(hint)

    def _hint_work(self) -> None:
        self._hint_idle("work")

    def _hint_idle(self, hint: str) -> None:
        if any(worker.is_idle for worker in self._workers.values()):
            self._hint(hint)

    def _hint_done(self, rows: Iterable[ExecutionRow]) -> None:
        if any(row.is_awaited and row.status.is_final for row in rows):
            self._hint("done")

    def _hint_freed(self, rows: Sequence[ExecutionRow]) -> None:
        if any(row.status is Status.PENDING for row in rows):
            self._hint("work")
        self._hint_done(rows)

    # --- sessions -------------------------------------------------------------------------------------------------

    async def open_session(self, worker: WorkerInfo, *, lease_for: timedelta) -> SessionId:
        with self._lock:
            session = SessionId(new_id())
            self._workers[session] = WorkerRow(worker, self.clock.now(), self.clock.now() + lease_for)
            return session

    async def close_session(self, session: SessionId) -> None:
        with self._lock:
            self._workers.pop(session, None)
            rows, now = self._owned_by({session}), self.clock.now()
            for row in rows:
                row.wait_until(now, "handed back")
            self._hint_freed(rows)

    async def set_idle(self, session: SessionId, *, is_idle: bool) -> None:
        with self._lock:
            if session in self._workers:
                self._workers[session].is_idle = is_idle

    def pulse(self, session: SessionId, *, lease_for: timedelta, max_crashes: int) -> Pulse:
        return MemoryPulse(self, session, lease_for=lease_for, max_crashes=max_crashes)

    def beat(self, session: SessionId, *, lease_for: timedelta) -> frozenset[ExecutionId] | None:
        """As Pulse.beat."""
        with self._lock:
            if session not in self._workers:
                return None
            self._workers[session].expires_at = self.clock.now() + lease_for
            return self._cancelling(session)

    def reap(self, *, max_crashes: int) -> Reaped:
        """As Pulse.reap."""
        with self._lock:
            now = self.clock.now()
            expired = sorted((row.expires_at, id) for id, row in self._workers.items() if row.expires_at < now)
            dead = {session for _, session in expired[:SESSIONS_PER_REAP]}
            for session in dead:
                del self._workers[session]
            rows = self._owned_by(dead)
            for row in rows:
                row.crash(now, max_crashes)
            self._end_family(rows, but={row.id for row in rows})
            self._hint_freed(rows)
            failed = tuple(row.id for row in rows if row.status is Status.FAILED)
            return Reaped(len(dead), sum(row.status is Status.PENDING for row in rows), failed)

    def _cancelling(self, session: SessionId) -> frozenset[ExecutionId]:
        return frozenset(row.id for row in self._owned_by({session}) if row.is_told)

    def _owned_by(self, sessions: set[SessionId]) -> list[ExecutionRow]:
        return [row for row in self._executions.values() if row.owner in sessions]

    # --- the operations -------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.clock.now()

    async def create(self, new: Sequence[NewExecution]) -> Sequence[Created]:
        with self._lock:
            first = {(one.workflow, one.key): one for one in reversed(new) if one.key is not None}
            is_refused = any(row.new.input != one.input for one in first.values() if (row := self._holder(one)))
            return [self._answer(one) for one in new] if is_refused else self.accept(new)

    def accept(self, new: Sequence[NewExecution]) -> list[Created]:
        """Accept executions; a key that is taken leaves the earlier one alone."""
        with self._lock:
            before = len(self._executions)
            answers = [self._accept(one) for one in new]
            if len(self._executions) > before:
                self._hint_work()
            return answers

    def has(self, workflow: str, key: str) -> bool:
        """Whether there is an execution of that key."""
        return (workflow, key) in self._keys

    def unfinished_of(self, schedule_id: str) -> list[ExecutionId]:
        """The schedule's executions that have not ended, the earliest first."""
        rows = self._executions.values()
        return sorted(row.id for row in rows if row.new.schedule == schedule_id and not row.status.is_final)

    def _holder(self, new: NewExecution) -> ExecutionRow | None:
        """The execution that has this one's key."""
        return None if new.key is None else self._keys.get((new.workflow, new.key))

    def _answer(self, new: NewExecution) -> Created:
        holder = self._holder(new)
        if holder is None or holder.id == new.id:
            return Created(new.id, is_new=True, input=None)
        return Created(holder.id, is_new=False, input=holder.new.input)

    def _accept(self, new: NewExecution) -> Created:
        if new.id in self._executions or self._holder(new):
            return self._answer(new)
        now = self.clock.now()
        due_at = now + timedelta(seconds=new.delay_seconds)
        deadline_at = now + new.deadline if isinstance(new.deadline, timedelta) else new.deadline
        due_at = min(due_at, deadline_at or due_at)
        row = ExecutionRow(new, now, due_at, is_awaited=new.is_awaited, deadline_at=deadline_at)
        self._executions[new.id] = row
        if new.key is not None:
            self._keys[new.workflow, new.key] = row
        return self._answer(new)

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        with self._lock:
            now = self.clock.now()
            if session not in self._workers or not self._workers[session].is_alive(now):
                raise LeaseLost("this worker's session has ended")
            rows = self._due(request, now)
            reached = max((row.due_at for row in rows if row.due_at and not row.is_suspect), default=None)
            for row in rows:
                row.lease_to(session, now, request.versions)
            next_due_at = self._next_due_at(request, now) if len(rows) < request.limit else None
            return Claim(now, [row.claimed() for row in rows], next_due_at, reached)

    def _due(self, request: ClaimRequest, now: datetime) -> list[ExecutionRow]:
        """What to lease: one suspect, so that its next crash blames nobody else, then the others queue by queue."""
        due = [(due_at, row) for due_at, row in self._claimable(request) if due_at <= now]
        suspects = [row for _, row in due if row.is_suspect] if request.with_suspect else []
        healthy = [
            row
            for queue in request.queues
            for due_at, row in due
            if row.new.queue == queue and not row.is_suspect and due_at >= (request.not_before or due_at)
        ]
        return [*suspects[:1], *healthy][: request.limit]

    def _next_due_at(self, request: ClaimRequest, now: datetime) -> datetime | None:
        return next((due_at for due_at, _ in self._claimable(request) if due_at > now), None)

    def _claimable(self, request: ClaimRequest) -> list[tuple[datetime, ExecutionRow]]:
        """What this worker could run now or later, by the time at which it is due."""
        rows = [
            (row.due_at, row)
            for row in self._executions.values()
            if row.due_at is not None
            and row.paused_by is None
            and row.new.queue in request.queues
            and row.code in request.workflows
        ]
        return sorted(rows, key=lambda pair: pair[0])

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        with self._lock:
            if session not in self._workers:
                raise LeaseLost("this worker's session has ended")
            owned = {row.id: row for row in self._owned_by({session})}
            written: list[Written] = [*batch.checkpoints, *batch.attempts, *batch.endings]
            accepted = [(owned[one.execution_id], one) for one in written if one.execution_id in owned]
            _refuse_repetitions(accepted)
            children = [child for child in batch.children if child.execution_id in owned]
            if any((child.execution_id, child.key) in self._children for child in children):
                raise UniqueViolation("one of these children has been started already")
            for child in children:
                self._bear(child)
            self._moment += 1
            for row, one in accepted:
                row.write(one, self.clock.now(), self._moment)
                self._forget_wait(one)
            self._conclude([(row, one) for row, one in accepted if isinstance(one, Ending)])
            self._hint_done(owned.values())
            asked = (*written, *batch.children)
            return Flushed(frozenset(one.execution_id for one in asked) - frozenset(owned), self._cancelling(session))

    def _bear(self, child: NewChild) -> None:
        new = NewExecution(child.id, child.workflow, child.input, child.queue, tags=child.tags)
        row = ExecutionRow(new, created_at=self.clock.now(), due_at=self.clock.now(), child=child)
        self._executions[child.id] = self._children[child.execution_id, child.key] = row
        self._hint_work()

    def _forget_wait(self, one: Written) -> None:
        if isinstance(one, NewCheckpoint) and one.kind in (Kind.WAIT, Kind.FIRST):
            self._topics.forget(one.execution_id, one.key)

    def _conclude(self, ended: Sequence[tuple[ExecutionRow, Ending]]) -> None:
        """What follows from the ends of passes."""
        self._end_family([row for row, _ in ended])
        if any(isinstance(one.outcome, Waiting | Completed) and row.status is Status.PENDING for row, one in ended):
            self._hint_work()

    def _end_family(self, rows: Sequence[ExecutionRow], *, but: Collection[ExecutionId] = ()) -> None:
        """What has ended waits no longer; its caller goes on; what it has called is cancelled, unless it failed.

        `but`: callers who are due anyway.
        """
        ended = [row for row in rows if row.status.is_final]
        for row in ended:
            self._topics.forget(row.id)
        callers = {row.caller: None for row in ended if row.caller and row.caller not in but}
        woken = [self._executions[caller].signal(self.clock.now()) for caller in callers if caller]
        if any(woken):
            self._hint_work()
        for row in ended:
            if row.status in (Status.COMPLETED, Status.CANCELLED):
                self._cancel_children(row)

    def _cancel_children(self, parent: ExecutionRow) -> None:
        children = [row for row in self._executions.values() if row.caller == parent.id and not row.status.is_final]
        for row in children:
            row.ask_to_cancel(row.cancel_reason or ENDED_PARENT, self.clock.now())
        self._hint_done(children)
        if any(row.status is Status.PENDING for row in children):
            self._hint_work()

    async def send(self, event: NewEvent) -> Sent | None:
        return self.deliver(event)

    def deliver(self, event: NewEvent) -> Sent | None:
        """As Store.send."""
        with self._lock:
            receiver = execution_of(event.address)
            if receiver is not None and ExecutionId(receiver) not in self._executions:
                return None
            if not self._topics.append(event, self.clock.now()):
                return Sent(is_new=False, waiting=0)
            if self._triggers.sent(event, self._topics.newest(event)):
                self._hint_idle("event")
            reached = self._topics.reached_by(event)
            waiting = sum(reached[row.id] and row.cancel_requested_at is None for row in self._known([*reached]))
            self.let_go_on(reached, f"event '{event.name}'")
            return Sent(is_new=True, waiting=waiting)

    def let_go_on(self, ids: Iterable[ExecutionId], reason: str) -> None:
        """What these executions waited for has come."""
        woken = [row.signal(self.clock.now(), reason) for row in self._known(sorted(ids))]
        if any(woken):
            self._hint_work()

    async def look(self, looks: Sequence[Look]) -> Sequence[Found]:
        with self._lock:
            return [self._topics.look(look, is_open=self.is_open(look.execution_id)) for look in looks]

    def is_open(self, execution_id: ExecutionId) -> bool:
        """Whether it is there and has not ended."""
        row = self._executions.get(execution_id)
        return row is not None and not row.status.is_final

    @asynccontextmanager
    async def transaction(self, session: SessionId, *, is_async: bool) -> AsyncIterator[Transaction]:  # noqa: ARG002
        yield MemoryTransaction(self, session)

    def record(self, session: SessionId, checkpoint: NewCheckpoint) -> None:
        """As Transaction.commit."""
        with self._lock:
            row = self._executions.get(checkpoint.execution_id)
            if session not in self._workers or row is None or row.owner != session:
                raise LeaseLost("this worker's session has ended")
            _refuse_repetitions([(row, checkpoint)])
            self._moment += 1
            row.write(checkpoint, self.clock.now(), self._moment)

    # --- reading --------------------------------------------------------------------------------------------------

    async def get(self, execution_id: ExecutionId) -> Execution | None:
        with self._lock:
            row = self._executions.get(execution_id)
            return row.shown(self._why(row)) if row else None

    async def list(self, which: Filter, *, limit: int) -> Sequence[Execution]:
        with self._lock:
            page = listed(self._executions, which)[:limit]
            return [row.shown(self._why(row)) for row in page]

    async def count(self, which: Filter = EVERYTHING) -> dict[Status, int]:
        with self._lock:
            counts = Counter(row.status for row in self._executions.values() if matches(row, which))
            return {status: counts[status] for status in Status}

    async def steps(
        self, execution_id: ExecutionId, *, after: tuple[str, int] | None, limit: int
    ) -> Sequence[StepRecord]:
        with self._lock:
            row = self._executions.get(execution_id)
            records = sorted(row.records(), key=_place) if row else []
            return [record for record in records if after is None or _place(record) > after][:limit]

    async def items(
        self, execution_id: ExecutionId, key: str, *, after: int | None = None
    ) -> AsyncIterator[tuple[int, Checkpoint]]:
        prefix = f"{key}/#"
        last = f"{prefix}{'' if after is None else after}"
        with self._lock:
            row = self._executions.get(execution_id)
            stored = sorted(row.checkpoints.items()) if row else []
        for name, one in stored:
            number = name.removeprefix(prefix)
            if one.checkpoint.kind == Kind.ITEM and number != name and "/" not in number and name > last:
                yield int(number), one.checkpoint

    async def progress(self, execution_id: ExecutionId) -> dict[str, int]:
        with self._lock:
            row = self._executions.get(execution_id)
            stored = row.checkpoints.items() if row else ()
            return dict(Counter(key.rpartition("/#")[0] for key, one in stored if one.checkpoint.kind == Kind.ITEM))

    async def called(self, calls: Sequence[tuple[ExecutionId, str]]) -> Sequence[Child | None]:
        with self._lock:
            return [row.called() if (row := self._children.get(call)) else None for call in calls]

    async def ended(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        with self._lock:
            return [row.shown(self._why(row)) for row in self._known(ids) if row.status.is_final]

    async def watch(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        with self._lock:
            rows = self._known(ids)
            for row in rows:
                row.is_awaited = True
            return [row.shown(row.reason) for row in rows]

    async def workers(self) -> Sequence[WorkerRecord]:
        with self._lock:
            rows = sorted(self._workers.items(), key=lambda pair: (pair[1].info.name, pair[1].started_at))
            return [row.shown(self.clock.now(), running=len(self._owned_by({session}))) for session, row in rows]

    def _known(self, ids: Sequence[ExecutionId]) -> Sequence[ExecutionRow]:
        return [self._executions[id] for id in dict.fromkeys(ids) if id in self._executions]

    def _why(self, row: ExecutionRow) -> str | None:
        return why(row, self._workers, self.clock.now())


def _refuse_repetitions(written: Sequence[tuple[ExecutionRow, Written]]) -> None:
    """A stored outcome is never replaced. Told in PostgreSQL's words, so that callers meet one kind of error."""
    for row, one in written:
        if row.has(one):
            raise UniqueViolation(f"execution {row.id} has this outcome already: {one!r}")


def _place(record: StepRecord) -> tuple[str, int]:
    return record.key, record.attempt
