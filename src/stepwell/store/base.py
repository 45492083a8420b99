"""The protocols every store keeps. They say exactly what must be atomic.

Every implementation upholds:

- **Fencing.** Every write of a worker is tied to its session; a session that has ended writes nothing.
- **One clock.** Leases and timers are stamped and compared by the store's clock, never by a worker's.
- **Once.** Repeating an operation that already took effect changes nothing.

A caller asks for the narrowest protocol that serves it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from stepwell.core.callbacks import Callback, NewCallback
from stepwell.core.connections import Budgets
from stepwell.core.dispatching import Dispatch, EventTrigger, Settled, TriggerSpec
from stepwell.core.model import (
    EVERYTHING,
    AuditRecord,
    Batch,
    Checkpoint,
    Child,
    Claim,
    ClaimRequest,
    Created,
    EventRecord,
    Execution,
    ExecutionId,
    Filter,
    Flushed,
    Forked,
    Found,
    Look,
    NewCheckpoint,
    NewEvent,
    NewExecution,
    NewFork,
    Order,
    Reaped,
    Sent,
    SessionId,
    StepRecord,
    WaitRecord,
    WorkerInfo,
)
from stepwell.core.schedule import Cursor, Decision, DueSchedules, Schedule, ScheduleSpec
from stepwell.core.status import Status
from stepwell.core.tokens import Admission, NewToken, Token
from stepwell.core.vault import Authorisation, StoredApplication, StoredConnection, StoredEndpoints
from stepwell.core.webhooks import Accepted, Delivery, DeliveryFilter, HookSpec, NewDelivery
from stepwell.core.workers import WorkerRecord


class Pulse(Protocol):
    """The heartbeat of one session; synchronous, because it lives in a thread that user code cannot starve."""

    def beat(self) -> frozenset[ExecutionId] | None:
        """Extend the lease and hear which owned executions somebody asked to cancel or to pause.

        None: the session has ended, drop everything. Whoever still cuts what it ran goes on beating: on another server
        the session is kept from expiring, which would count as a crash, until it is closed. Raises DatabaseUnavailable.
        """

    def reap(self) -> Reaped:
        """End expired sessions and free what they owned; too many crashes in a row fail an execution."""

    def close(self) -> None:
        """Give back the connection. The session goes on until it expires or is closed."""


class Sessions(Protocol):
    """A worker's lease on everything it owns."""

    async def open_session(self, worker: WorkerInfo, *, lease_for: timedelta) -> SessionId:
        """Begin a session that ends by itself unless it beats within `lease_for`."""

    async def close_session(self, session: SessionId) -> None:
        """End a session at once and hand back what it still owns, due now. Waits for its writes in flight."""

    async def set_idle(self, session: SessionId, *, is_idle: bool) -> None:
        """Say whether this worker waits for work, so that a start knows whether to send a hint."""

    def pulse(self, session: SessionId, *, lease_for: timedelta, max_crashes: int) -> Pulse:
        """The session's heartbeat, with a connection of its own."""


class Store(Sessions, Protocol):
    """The operations that must be atomic: one statement each in PostgreSQL."""

    def now(self) -> datetime:
        """The store's clock as far as this process knows it: never ahead of it, and never before an answer's `now`."""

    async def create(self, new: Sequence[NewExecution]) -> Sequence[Created]:
        """Accept executions, all or none, and answer in the order given.

        A key that is taken yields the earlier execution; if that one has another input, nothing is stored.
        """

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        """Lease up to `limit` due executions. No two sessions hold the same one. Raises LeaseLost."""

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        """Store a batch, all of it or (per execution no longer owned) none. Raises LeaseLost, nothing stored."""

    async def send(self, event: NewEvent) -> Sent | None:
        """Accept an event, and let go on who waits for it. None: no such execution has this address.

        An execution that begins to wait while this happens gets it, too.
        """

    async def look(self, looks: Sequence[Look]) -> Sequence[Found]:
        """The next event for each, in the order asked; where there is none, the call now waits for it.

        An event that comes after this lets its execution go on, or makes it due at once when it would park. A call that
        has begun to wait for another topic only hears for which.
        """

    def transaction(self, session: SessionId, *, is_async: bool) -> AbstractAsyncContextManager[Transaction]:
        """A database transaction whose writes commit together with one checkpoint."""


class Control(Protocol):
    """What is done to an execution from outside. `by` says who did it, for the audit; None leaves no record.

    The answer is (status, whether it was done), or None for an unknown id.
    """

    async def cancel(
        self, execution_id: ExecutionId, *, reason: str, force: bool = False, by: str | None = None
    ) -> tuple[Status, bool] | None:
        """Cancel; true also when it was or is being cancelled.

        What has not begun ends at once; what has begun ends after its clean-up, or at once by `force`.
        """

    async def reopen(self, execution_id: ExecutionId, *, by: str | None = None) -> tuple[Status, bool] | None:
        """Make a failed, cancelled or parked execution due now; its failed steps run again.

        Children that it has called, and whose failure ended it or that ended because it did, are reopened with it.
        """

    async def pause(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> tuple[Status, bool] | None:
        """No worker claims it any more; one that runs it hands it back. Not what has ended or is being cancelled."""

    async def resume(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> tuple[Status, bool] | None:
        """A paused execution goes on."""

    async def resolve(
        self, execution_id: ExecutionId, key: str, *, value: bytes | None, by: str
    ) -> tuple[Status, bool] | None:
        """Say what an effect has made whose outcome is unknown (None: nothing, repeat it): (status, whether it was).

        While a worker runs the execution nothing can be said: it may just be doing it.
        """

    async def fork(self, new: NewFork, *, by: str) -> Forked:
        """Make a new execution with the history of another one."""

    async def orders(self, ids: Sequence[ExecutionId]) -> dict[ExecutionId, Order]:
        """What the worker of these executions is told."""

    async def audits(
        self, execution_id: ExecutionId | None, *, before: int | None, limit: int
    ) -> Sequence[AuditRecord]:
        """What was done to one execution, or to all, newest first."""


class Transaction(Protocol):
    """An open transaction of the engine's database; leaving it with an exception rolls everything back."""

    connection: Any  # psycopg.AsyncConnection, or psycopg.Connection for a synchronous step

    async def commit(self, checkpoint: NewCheckpoint) -> None:
        """Store the checkpoint and commit. Raises LeaseLost (rolled back) when this session no longer owns it."""


class Reader(Protocol):
    """Looking without touching; used alike by API, CLI and dashboard."""

    async def get(self, execution_id: ExecutionId) -> Execution | None:
        """One execution."""

    async def list(self, which: Filter, *, limit: int) -> Sequence[Execution]:
        """Those that are meant, newest first: by `created_at`, of equal ones by id."""

    async def count(self, which: Filter = EVERYTHING) -> dict[Status, int]:
        """How many of those that are meant have each status."""

    async def steps(
        self, execution_id: ExecutionId, *, after: tuple[str, int] | None, limit: int
    ) -> Sequence[StepRecord]:
        """A page of the stored outcomes and failed attempts, ordered by (key, attempt)."""

    def items(
        self, execution_id: ExecutionId, key: str, *, after: int | None = None
    ) -> AsyncIterator[tuple[int, Checkpoint]]:
        """The stored items of a map as (index, checkpoint), read in pages; those that are listed after one of them.

        They are in the order of their keys, which is that of the digits of their numbers.
        """

    async def progress(self, execution_id: ExecutionId) -> dict[str, int]:
        """How many items of each of its maps are stored, by the map's key."""

    async def events(
        self, *, name: str | None, address: str | None, limit: int, id: str | None = None
    ) -> Sequence[EventRecord]:
        """The events that are kept, newest first; those that are just being accepted come before them."""

    async def waits(
        self, *, execution_id: ExecutionId | None, name: str | None, address: str | None, limit: int
    ) -> Sequence[WaitRecord]:
        """Who waits for events, by execution and step."""

    async def called(self, calls: Sequence[tuple[ExecutionId, str]]) -> Sequence[Child | None]:
        """The child that each call (parent, key) has started, in the order asked."""

    async def ended(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        """Those of the executions that have ended."""

    async def watch(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        """The executions as they are now, and a "done" hint whenever one of them ends after that."""

    async def workers(self) -> Sequence[WorkerRecord]:
        """The worker sessions by name, also those that have expired and were not ended yet."""


class Wakeups(Protocol):
    """Hints that something may have changed. They can be lost; polling is the truth."""

    @property
    def is_prompt(self) -> bool:
        """Whether hints are heard now: else, as behind a pooler or when the connection is lost, ask more often."""

    def subscribe(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener` with "work", "done", "schedule" or "event" on each hint; the answer unsubscribes."""


class Catalog(Protocol):
    """What has been declared or set: schedules. Kept beside the Store, and never part of a step."""

    async def apply_schedules(self, declared: Sequence[ScheduleSpec], *, workflows: Sequence[str]) -> None:
        """Let these be the schedules of these workflows; those no longer declared are switched off, not deleted."""

    async def due_schedules(self, workflows: Sequence[str]) -> DueSchedules:
        """The schedules of these workflows about which something is to be decided now, and when to ask again."""

    async def fire(self, schedule: Schedule, decision: Decision, new: Sequence[NewExecution]) -> bool:
        """Start the executions and note the decision, or neither if the schedule has changed since it was read."""

    async def schedules(self) -> Sequence[Schedule]:
        """All schedules, also those no longer declared, by id."""

    async def schedule(self, schedule_id: str) -> tuple[datetime, Schedule] | None:
        """One schedule, and the store's time at which it is so. None: unknown."""

    async def cursor(self, schedule_id: str) -> Cursor:
        """How far a poll has come."""

    async def advance(self, schedule_id: str, cursor: Cursor, *, since: Cursor, new: Sequence[NewExecution]) -> bool:
        """Start the executions and move the cursor, or neither: False if it is no longer where it was read."""

    async def pause_schedule(self, schedule_id: str, *, reason: str) -> bool:
        """Let it start nothing until it is resumed. False: unknown."""

    async def resume_schedule(self, schedule_id: str) -> bool:
        """Let it go on with its next tick; those of the pause are not made up. False: unknown."""


class Triggers(Protocol):
    """Events that start executions. An event is decided once for each trigger that was in force when it was sent."""

    async def apply_triggers(self, declared: Sequence[TriggerSpec], *, workflows: Sequence[str]) -> None:
        """Let these be the triggers of these workflows; those no longer declared are switched off, not deleted."""

    async def triggers(self) -> Sequence[EventTrigger]:
        """All triggers, also those no longer declared, by id."""

    async def take(self, triggers: Sequence[str], *, limit: int, lease_for: timedelta) -> Sequence[Dispatch]:
        """Events that are to be decided for these triggers. For that time nobody else takes them."""

    async def settle(self, decided: Sequence[Settled]) -> int:
        """Start what was decided, all of it but what somebody else has decided meanwhile; how many that leaves."""

    async def put_off(self, dispatch: Dispatch, *, error: str, delay: timedelta) -> None:
        """Try again after that time to decide about it."""


class Inbox(Protocol):
    """What webhooks bring: which deliveries start executions, and those that were accepted."""

    async def apply_hooks(self, declared: Sequence[HookSpec], *, workflows: Sequence[str]) -> None:
        """Let these be the webhook triggers of these workflows; those no longer declared are switched off.

        The revision grows if that changes anything.
        """

    async def hooks(self) -> tuple[int, Sequence[HookSpec]]:
        """The intake's revision, and the triggers in force at it, by id.

        It grows with every change of a trigger, or of a secret by which deliveries are verified.
        """

    async def accept(self, deliveries: Sequence[NewDelivery], *, revision: int) -> Sequence[Accepted] | None:
        """Store deliveries with the executions that they start, all or none, and answer in the order given.

        None: the revision is another one by now, and nothing was stored. A delivery that is stored already, by its
        source, connection and dedupe key, is counted and answered as the first one was; it starts nothing. An execution
        that is there already, by its key, is named whatever its input is. Which of two that race is the first is open;
        the other one waits for it.
        """

    async def started(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these (workflow, key) for which there is an execution."""

    async def deliveries(self, which: DeliveryFilter, *, before: UUID | None, limit: int) -> Sequence[Delivery]:
        """Those that are meant, newest first, without headers and bodies. `before`: the last one of the page before."""

    async def delivery(self, delivery_id: UUID) -> Delivery | None:
        """One delivery, with all that it said."""

    async def replay(self, delivery_id: UUID, new: Sequence[NewExecution]) -> bool:
        """Start these executions, whatever keys they have, and name them with the delivery. False: it is unknown."""


class Tokens(Protocol):
    """Who may use the HTTP API. Kept beside the Store, and never part of a step."""

    async def create_token(self, new: NewToken) -> Token | None:
        """Store it. None: a token that is not revoked has this name."""

    async def revoke_token(self, name: str, *, by: str) -> Token | None:
        """Refuse it from now on. None: no token that is not revoked has this name."""

    async def tokens(self) -> Sequence[Token]:
        """All of them, also expired and revoked ones, by name."""

    async def identify(self, digest: bytes | None) -> Admission:
        """Whose text has this digest, if it is good now; and whether any token was ever created.

        That it was used is noted, once a minute at most.
        """


class Renewal(Protocol):
    """One connection whose tokens nobody else renews meanwhile, in any process."""

    connection: StoredConnection  # as it is now

    async def keep(self, changed: StoredConnection) -> bool:
        """Store it; False: what is stored is no longer what `connection` said. Ends the renewal.

        Raises DatabaseUnavailable when the connection to the database was lost: nobody knows whether it is stored.
        """


class Vault(Protocol):
    """Applications and connections. What is secret in them is sealed before it comes here."""

    async def add_application(self, new: StoredApplication) -> bool:
        """False: the name is taken."""

    async def change_application(self, changed: StoredApplication) -> bool:
        """Store it in the place of the one with its revision. False: that has changed since, or was removed."""

    async def applications(self, name: str | None = None) -> Sequence[StoredApplication]:
        """One, or all by their names."""

    async def remove_application(self, name: str) -> bool:
        """False: it is not there, or connections belong to it."""

    async def add_connection(self, new: StoredConnection) -> bool:
        """False: the name is taken."""

    async def change_connection(self, changed: StoredConnection, *, has_hooks_changed: bool) -> bool:
        """Store it in the place of the one with its revision. False: that has changed since, or was removed.

        One that is ok then lets every execution go on that waits for it, also one that just begins to.
        """

    async def connections(self, name: str | None = None) -> Sequence[StoredConnection]:
        """One, or all by their names."""

    async def remove_connection(self, name: str) -> bool:
        """False: it is not there. Executions that wait for it go on, and find it unknown."""

    async def note_check(self, name: str, error: str | None) -> bool:
        """Note that it was checked now, and what that met. False: it is not there."""

    async def need(self, name: str, execution_id: ExecutionId) -> bool:
        """Note that an execution waits until the connection is ok. False: it is, or it is not there."""

    def renewal(self, name: str) -> AbstractAsyncContextManager[Renewal | None]:
        """Renew the tokens of a connection, one at a time over all processes. None: it is not there.

        That it began is stored before the block.
        """

    async def begin_authorisation(self, new: Authorisation, *, valid_for: timedelta) -> None:
        """Remember that a person is asked for consent."""

    async def redeem_authorisation(self, state: bytes) -> Authorisation | None:
        """Take what was asked for. None: unknown, redeemed before, or expired."""

    async def endpoints(self) -> StoredEndpoints:
        """What verifies deliveries. Every change of it lets the intake's revision grow in the same statement."""


class Callbacks(Protocol):
    """URLs that answer waits: what is stored of them. Who may answer one is decided before, by its URL."""

    async def open_callback(self, new: NewCallback) -> datetime:
        """Make it, once: made already, it stays what it is. Answers until when it can be answered."""

    async def answer(self, callback_id: UUID, payload: bytes, *, by: str | None) -> bool:
        """Note the answer and send it to the execution as an event: both, or neither (False).

        That is: if it was not answered, has not expired, and its execution has not ended.
        """

    async def callback(self, callback_id: UUID) -> Callback | None:
        """One callback."""

    async def callbacks(self, execution_id: ExecutionId) -> Sequence[Callback]:
        """Those of one execution, in the order in which they were made."""


class Upkeep(Protocol):
    """What workers do beside executions, a piece at a time. Nothing waits for it, and it waits for nothing.

    Each answers whether there is more to do at once. Any number of workers may do it side by side.
    """

    async def remove(self, keep: Mapping[str, timedelta]) -> bool:
        """Remove executions of these workflows that ended longer ago than each keeps them.

        A child stays as long as its parent may still go on: until that has completed or been removed.
        """

    async def remove_events(self, keep: timedelta) -> bool:
        """Remove events that were sent longer ago, unless somebody waits for the next one of their topic.

        Those that were sent to one execution stay as long as that.
        """

    async def remove_deliveries(self, keep: timedelta) -> bool:
        """Remove deliveries that were accepted longer ago. What they have started stays."""

    async def sweep(self) -> bool:
        """Delete what is still stored of removed executions."""

    async def remove_places(self) -> bool:
        """Remove places before budgets whose turn was long ago."""

    async def make_searchable(self) -> bool:
        """Enter what has ended into the index of words. Until then a search looks through it one by one."""


class Backend(Store, Control, Reader, Upkeep, Wakeups, Protocol):
    """All a process needs of one database."""

    catalog: Catalog
    triggers: Triggers
    budgets: Budgets
    inbox: Inbox
    tokens: Tokens
    vault: Vault
    callbacks: Callbacks

    async def open(self) -> None:
        """Connect. Raises DatabaseUnavailable or DatabaseNotReady."""

    async def close(self) -> None:
        """Give everything back. Idempotent."""
