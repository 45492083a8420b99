"""The store on PostgreSQL: load a statement, bind, map the row. Decisions come from the caller or live in the SQL."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import psycopg

from stepwell.core.connections import Budgets
from stepwell.core.model import (
    EVERYTHING,
    Batch,
    Checkpoint,
    Child,
    Claim,
    ClaimRequest,
    Completed,
    Created,
    Ending,
    EventRecord,
    Execution,
    ExecutionId,
    Filter,
    Flushed,
    Found,
    Look,
    NewEvent,
    NewExecution,
    Sent,
    SessionId,
    StepRecord,
    WaitRecord,
    WorkerInfo,
)
from stepwell.core.status import Status
from stepwell.core.workers import WorkerRecord
from stepwell.errors import DatabaseUnavailable, EmbeddedUnavailable, LeaseLost
from stepwell.store import binary, rows
from stepwell.store.base import Callbacks, Catalog, Inbox, Pulse, Tokens, Transaction, Triggers, Vault
from stepwell.store.budgets import PostgresBudgets
from stepwell.store.callbacks import PostgresCallbacks
from stepwell.store.catalog import PostgresCatalog
from stepwell.store.connect import Route, find_route, is_passing, unavailable, with_lock_timeout, with_plans_for_values
from stepwell.store.control import PostgresControl
from stepwell.store.flush import MAX_TRIES, PAUSE_SECONDS
from stepwell.store.identity import new_id
from stepwell.store.inbox import PostgresInbox
from stepwell.store.listing import Listings
from stepwell.store.mail import Mail
from stepwell.store.migrate import check_version
from stepwell.store.pulse import PostgresPulse
from stepwell.store.statements import DEFAULT_SCHEMA, Statement, checked_schema, statement
from stepwell.store.tokens import PostgresTokens
from stepwell.store.transaction import Transactions
from stepwell.store.triggers import PostgresTriggers
from stepwell.store.upkeep import PostgresUpkeep
from stepwell.store.vault import PostgresVault
from stepwell.store.wire import Line, Rows, Wire

log = logging.getLogger("stepwell.store")

MAX_LOOKS = 1_000  # each sees what the one before it could not: only a storm on one topic asks for a second
MAX_PAGES = 10  # of the outbox at one claim; the next claim goes on
ITEMS_PAGE = 2_000  # rows of a map read at once: bounds memory, and few round trips for 100,000
SHORT_PATIENCE_SECONDS = 10.0  # for statements of a worker, which take a tenth of a second: its lease is long over then
LONG_PATIENCE_SECONDS = 600.0  # for a count of everything, and for chores


class PostgresStore(PostgresControl):
    """Keeps the Backend protocol on one PostgreSQL schema.

    Nine pinned connections, each opened when it is first needed. Flushes have their own, so that nothing delays a
    step; reading has, so that no long listing delays a claim; starts and sent events have, because one may wait for a
    transaction of somebody else's that has started the same key: for five seconds, or, behind a pooler, which takes no
    settings, for as long as that is open; looking for events has, because it waits for those who send them; listings
    have a second one, with plans of their own; upkeep has one, and so have deliveries of webhooks, and credentials.
    The main one, which hears hints, carries the rest. A lost connection is replaced by the next call; a call whose
    connection was lost raises DatabaseUnavailable, its outcome unknown.
    """

    def __init__(self, url: str, *, schema: str = DEFAULT_SCHEMA, revive: Callable[[], object] | None = None) -> None:
        """`revive`, which may block, is called before a lost connection is replaced: it starts a server of our own."""
        self.url, self.schema, self._revive = url, checked_schema(schema), revive
        self._heard_on: Wire | None = None
        self._route: Route | None = None
        self._clock = (datetime.fromtimestamp(0, UTC), time.monotonic())
        self._main = Line(self.route, self._listen, patience_seconds=SHORT_PATIENCE_SECONDS)
        self._flushes = Line(self.route, patience_seconds=SHORT_PATIENCE_SECONDS)
        self._starts, self._reads, self._waits = Line(self._impatient_route), Line(self.route), Line(self.route)
        self._finds = Line(self._route_for_values, patience_seconds=LONG_PATIENCE_SECONDS)
        self._chores = Line(self.route, patience_seconds=LONG_PATIENCE_SECONDS)
        self._deliveries = Line(self._impatient_route)
        self._listings = Listings(self._read, partial(self._read, on=self._finds))
        self._mail = Mail(partial(self._read, on=self._finds))
        self._upkeep = PostgresUpkeep(partial(self._run, on=self._chores))
        self._listeners: dict[object, Callable[[str], None]] = {}
        self._unclosed: set[SessionId] = set()
        self._claims_on: dict[SessionId, Wire] = {}
        self._posting: asyncio.Task[None] | None = None
        self._transactions = Transactions(self.schema, self.url)
        self.catalog: Catalog = PostgresCatalog(self._run, self._observe)
        self.triggers: Triggers = PostgresTriggers(self._run)
        self.budgets: Budgets = PostgresBudgets(partial(self._run, on=self._chores))
        accept = partial(self._run, on=self._deliveries)
        self.inbox: Inbox = PostgresInbox(self._run, read=self._read, accept=accept)
        self.tokens: Tokens = PostgresTokens(self._run)
        self._credentials = Line(self._impatient_route)
        self.vault: Vault = PostgresVault(partial(self._run, on=self._credentials), self.route, self.schema)
        answer = partial(self._run, on=self._starts)
        self.callbacks: Callbacks = PostgresCallbacks(answer, read=self._read, post=self._begin_posting)

    async def open(self) -> None:
        route = await self.route()
        await asyncio.to_thread(check_version, route.conninfo, self.schema)
        asked_at = time.monotonic()
        self._observe((await self._run("now"))[0][0], asked_at=asked_at)

    async def close(self) -> None:
        if self._posting is not None:
            self._posting.cancel()
        await self._transactions.close()
        for line in (
            self._main, self._flushes, self._starts, self._reads, self._waits, self._finds, self._chores,
            self._deliveries, self._credentials,
        ):  # fmt: skip
            line.close()

    async def route(self) -> Route:
        """How to connect; found out once."""
        if self._route is None:
            self._route = await asyncio.to_thread(find_route, self.url)
        elif self._revive is not None:
            try:
                await asyncio.to_thread(self._revive)
            except EmbeddedUnavailable as error:
                raise DatabaseUnavailable(str(error)) from error
        return self._route

    async def _impatient_route(self) -> Route:
        return with_lock_timeout(await self.route())

    async def _route_for_values(self) -> Route:
        return with_plans_for_values(await self.route())

    # --- hints ----------------------------------------------------------------------------------------------------

    @property
    def is_prompt(self) -> bool:
        return self._heard_on is not None and self._heard_on.broken is None

    def subscribe(self, listener: Callable[[str], None]) -> Callable[[], None]:
        token = object()
        self._listeners[token] = listener
        return lambda: self._listeners.pop(token, None) and None

    async def _listen(self, wire: Wire) -> None:
        """Hear hints on a fresh connection; whatever was missed meanwhile counts as heard."""
        if wire.is_pooled:
            return
        wire.on_hint = self._heard
        await wire.run(self._sql("listen"))
        self._heard_on = wire
        self._heard("work")
        self._heard("done")

    def _heard(self, hint: str) -> None:
        for listener in tuple(self._listeners.values()):
            listener(hint)

    # --- sessions -------------------------------------------------------------------------------------------------

    async def open_session(self, worker: WorkerInfo, *, lease_for: timedelta) -> SessionId:
        for unclosed in tuple(self._unclosed):
            await self.close_session(unclosed)
        session = SessionId(new_id())
        await self._run(
            "open_session",
            session.bytes,
            worker.name.encode(),
            binary.texts(worker.workflows),
            binary.texts(worker.queues),
            binary.float8(lease_for.total_seconds()),
        )
        return session

    async def close_session(self, session: SessionId) -> None:
        """As Sessions.close_session. One that could not be closed is closed before the next one is opened.

        So an outage that ends within the lease is no crash of anybody's.
        """
        self._unclosed.add(session)
        self._claims_on.pop(session, None)
        await self._run("close_session", session.bytes)
        self._unclosed.discard(session)

    async def set_idle(self, session: SessionId, *, is_idle: bool) -> None:
        await self._run("set_idle", session.bytes, binary.boolean(is_idle))

    def pulse(self, session: SessionId, *, lease_for: timedelta, max_crashes: int) -> Pulse:
        assert self._route is not None, "a session is open, so the store is"
        return PostgresPulse(self._route, session, schema=self.schema, lease_for=lease_for, max_crashes=max_crashes)

    def now(self) -> datetime:
        known, at = self._clock
        return known + timedelta(seconds=time.monotonic() - at)

    def _observe(self, now: datetime, *, asked_at: float) -> None:
        """Correct our idea of the store's clock, which was `now` at some moment since it was asked.

        The answer may have taken long, and so be of the past: what we knew before stands if it can be true.
        """
        answered_at = time.monotonic()
        latest = now + timedelta(seconds=answered_at - asked_at)
        self._clock = (min(max(self.now(), now), latest), answered_at)

    # --- the operations -------------------------------------------------------------------------------------------

    async def create(self, new: Sequence[NewExecution]) -> Sequence[Created]:
        """As Store.create. After a lost connection it is asked once more: ids that are there already are left alone."""
        try:
            return rows.created_of(new, await self._create(new))
        except psycopg.errors.LockNotAvailable as error:
            raise _held_up(new) from error

    async def _create(self, new: Sequence[NewExecution]) -> Rows:
        """What stands there for keys; nothing stands there for what is new."""
        try:
            if len(new) == 1 and await self._run("create_one", *rows.create_one_parameters(new[0]), on=self._starts):
                return []
            return await self._run("create", *rows.create_parameters(new), on=self._starts)
        except DatabaseUnavailable:
            return await self._create_again(rows.create_parameters(new))

    async def _create_again(self, parameters: Sequence[bytes]) -> Rows:
        try:
            return await self._run("create", *parameters, on=self._starts)
        except psycopg.errors.UniqueViolation:  # the first one was still under way, and has committed since (F23)
            return await self._run("create", *parameters, on=self._starts)

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        asked_at, wire = time.monotonic(), await self._main.wire()
        if self._claims_on.setdefault(session, wire) is not wire:
            # the server may have crashed, and taken back what this session has claimed but the disk did not have yet:
            # claimed again by the same session, it would run twice here
            raise LeaseLost("the connection that this session has claimed on was lost")
        found = await wire.run(
            self._sql("claim"),
            session.bytes,
            binary.texts(request.queues),
            binary.texts(request.workflows),
            binary.int4(request.limit),
            binary.timestamptz(request.not_before) if request.not_before else binary.MINUS_INFINITY,
            binary.boolean(request.with_suspect),
            binary.texts(request.versions),
            binary.int4s(list(request.versions.values())),
            binary.boolean(not wire.is_pooled),
        )
        if not found[0][1]:
            raise LeaseLost("this worker's session has ended")
        self._observe(found[0][0], asked_at=asked_at)
        if found[0][4]:
            self._begin_posting()
        return rows.claim_of(found)

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        if stored := await self._flush_one(session, batch):
            return stored
        if rows.is_plain(batch):
            return await self._flush_plain(session, batch)
        return await self._flush_any(session, batch)

    async def _flush_any(self, session: SessionId, batch: Batch) -> Flushed:
        answer = await self._run("flush", session.bytes, *rows.batch_parameters(batch), on=self._flushes)
        return _flushed(*answer[0][:3])

    async def _flush_plain(self, session: SessionId, batch: Batch) -> Flushed:
        """The short way for checkpoints and completions. Some of these may turn out to be somebody else's business."""
        parameters = rows.checkpoint_parameters(batch.checkpoints)
        if not batch.endings:
            answer = await self._run("checkpoint", session.bytes, *parameters, on=self._flushes)
            return _flushed(*answer[0])
        parameters += rows.completion_parameters(batch.endings)
        answer = await self._run("complete", session.bytes, *parameters, on=self._flushes)
        is_alive, refused, left, told, _ = answer[0]
        flushed = _flushed(is_alive, refused, told)
        if not left:
            return flushed
        rest = await self._flush_rest(
            session, Batch(endings=[row for row in batch.endings if row.execution_id in left])
        )
        return Flushed(flushed.refused | rest.refused, flushed.cancelling | rest.cancelling)

    async def _flush_rest(self, session: SessionId, rest: Batch) -> Flushed:
        """What the short way has left. All else is stored, and must not be again: this alone is what is repeated."""
        for tries in count(1):
            try:
                return await self._flush_any(session, rest)
            except LeaseLost:
                break
            except psycopg.Error as error:
                if not is_passing(error) or tries > MAX_TRIES:
                    raise DatabaseUnavailable(f"{len(rest.endings)} ends could not be stored: {error}") from error
            await asyncio.sleep(PAUSE_SECONDS * tries)
        return Flushed(frozenset(row.execution_id for row in rest.endings), frozenset())

    async def _flush_one(self, session: SessionId, batch: Batch) -> Flushed | None:
        """The short way for what a lone workflow writes. None: there is none for this, or it stored nothing."""
        match batch:
            case Batch([checkpoint], [], [], []) if not rows.ends_a_wait(checkpoint):
                parameters = rows.checkpoint_one_parameters(checkpoint)
                answer = await self._run("checkpoint_one", session.bytes, *parameters, on=self._flushes)
            case Batch([], [], [Ending(execution_id, Completed(result))], []):
                parameters = (execution_id.bytes, result)
                answer = await self._run("complete_one", session.bytes, *parameters, on=self._flushes)
            case _:
                return None
        return Flushed(frozenset(), frozenset(answer[0][-1] or ())) if answer else None

    async def send(self, event: NewEvent) -> Sent | None:
        """As Store.send. A lost connection leaves the outcome unknown: sent again with its id, it is taken once."""
        try:
            return await self._send(event, on=self._starts)
        except psycopg.errors.LockNotAvailable as error:
            raise DatabaseUnavailable(
                f"event '{event.name}' is held up by a transaction still open; try again"
            ) from error

    async def _send(self, event: NewEvent, *, on: Line, posted: int | None = None) -> Sent | None:
        """`posted`: its number in the outbox, out of which it is moved."""
        parameters = *rows.event_parameters(event), None if posted is None else binary.int8(posted)
        for _ in range(MAX_LOOKS):
            answer = await self._run("send", *parameters, on=on)
            is_known, is_behind, is_done, is_new, waiting, _ = answer[0]
            if not is_known:
                return None
            if is_done:
                return Sent(is_new, waiting)
            if is_behind:
                await self._empty_outbox(on)
        raise DatabaseUnavailable(f"so much happens to event '{event.name}' that it could not be sent; try again")

    def _begin_posting(self) -> None:
        """Empty the outbox beside everything else; what fails is tried again after a later claim."""
        if self._posting is None or self._posting.done():
            posting = self._empty_outbox(self._waits)
            self._posting = asyncio.get_running_loop().create_task(posting, name="stepwell-post", context=Context())
            self._posting.add_done_callback(_log_failure)

    async def _empty_outbox(self, on: Line) -> None:
        """Put what was sent inside transactions into its topics: each event once, whoever does it."""
        for _ in range(MAX_PAGES):
            page = await self._run("outbox", on=on)
            for number, event in map(rows.posted_of, page):
                await self._send(event, on=on, posted=number)
            if not page:
                return

    async def look(self, looks: Sequence[Look]) -> Sequence[Found]:
        answers: list[Found] = [None] * len(looks)
        open_places = list(range(len(looks)))
        for _ in range(MAX_LOOKS):
            found = await self._run(
                "look", *rows.look_parameters([looks[place] for place in open_places]), on=self._waits
            )
            for place, row in zip(open_places, found, strict=True):
                answers[place] = rows.found_of(row)
            open_places = [place for place, row in zip(open_places, found, strict=True) if row[-1]]
            if not open_places:
                return answers
        raise DatabaseUnavailable("so many events are being sent that looking for one did not succeed; tried again")

    def transaction(self, session: SessionId, *, is_async: bool) -> AbstractAsyncContextManager[Transaction]:
        return self._transactions.open(session, is_async=is_async)

    # --- reading --------------------------------------------------------------------------------------------------

    async def get(self, execution_id: ExecutionId) -> Execution | None:
        found = await self._read("execution", execution_id.bytes)
        return rows.execution_of(found[0]) if found else None

    async def list(self, which: Filter, *, limit: int) -> Sequence[Execution]:
        return await self._listings.page(which, limit)

    async def count(self, which: Filter = EVERYTHING) -> dict[Status, int]:
        return await self._listings.count(which)

    async def steps(
        self, execution_id: ExecutionId, *, after: tuple[str, int] | None, limit: int
    ) -> Sequence[StepRecord]:
        key, attempt = after or ("", 0)
        found = await self._read("steps", execution_id.bytes, key.encode(), binary.int4(attempt), binary.int4(limit))
        return [rows.step_of(row) for row in found]

    async def items(
        self, execution_id: ExecutionId, key: str, *, after: int | None = None
    ) -> AsyncIterator[tuple[int, Checkpoint]]:
        prefix = f"{key}/#"
        last, end = f"{prefix}{'' if after is None else after}", f"{prefix}~"  # digits sort before "~"
        while True:
            page = await self._read("items", execution_id.bytes, last.encode(), end.encode(), binary.int4(ITEMS_PAGE))
            for item, *stored in page:
                yield int(item[len(prefix) :]), Checkpoint(*stored)
            if len(page) < ITEMS_PAGE:
                return
            last = page[-1][0]

    async def progress(self, execution_id: ExecutionId) -> dict[str, int]:
        return dict(await self._read("progress", execution_id.bytes))

    async def events(
        self, *, name: str | None, address: str | None, limit: int, id: str | None = None
    ) -> Sequence[EventRecord]:
        return await self._mail.events(name=name, address=address, limit=limit, id=id)

    async def waits(
        self, *, execution_id: ExecutionId | None, name: str | None, address: str | None, limit: int
    ) -> Sequence[WaitRecord]:
        return await self._mail.waits(execution_id=execution_id, name=name, address=address, limit=limit)

    async def called(self, calls: Sequence[tuple[ExecutionId, str]]) -> Sequence[Child | None]:
        parents, keys = binary.uuids([call[0] for call in calls]), binary.texts([call[1] for call in calls])
        found = {row[0]: rows.child_of(row) for row in await self._read("called", parents, keys)}
        return [found.get(place) for place in range(1, len(calls) + 1)]

    async def ended(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        await self._main.wire()  # whoever waits for an end hears of it there: connect again if that was lost
        return [rows.execution_of(row) for row in await self._read("ended", binary.uuids(ids))]

    async def watch(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        await self._main.wire()
        return [rows.execution_of(row) for row in await self._read("watch", binary.uuids(ids))]

    async def workers(self) -> Sequence[WorkerRecord]:
        return [rows.worker_of(row) for row in await self._read("workers")]

    # --- upkeep ---------------------------------------------------------------------------------------------------

    async def remove(self, keep: Mapping[str, timedelta]) -> bool:
        return await self._upkeep.remove(keep)

    async def remove_events(self, keep: timedelta) -> bool:
        return await self._upkeep.remove_events(keep)

    async def remove_deliveries(self, keep: timedelta) -> bool:
        return await self._upkeep.remove_deliveries(keep)

    async def sweep(self) -> bool:
        return await self._upkeep.sweep()

    async def remove_places(self) -> bool:
        return await self._upkeep.remove_places()

    async def make_searchable(self) -> bool:
        return await self._upkeep.make_searchable()

    def _sql(self, name: str) -> Statement:
        return statement(name, self.schema)

    async def _read(self, name: str, *parameters: bytes | None, on: Line | None = None) -> Rows:
        """The rows of a statement that changes nothing, so that whatever stops it, it may be repeated."""
        try:
            return await self._run(name, *parameters, on=on or self._reads)
        except psycopg.OperationalError as error:
            raise unavailable(error) from error

    async def _run(self, name: str, *parameters: bytes | None, on: Line | None = None) -> Rows:
        return await (await (on or self._main).wire()).run(self._sql(name), *parameters)


def _flushed(is_alive: bool, refused: Sequence[ExecutionId] | None, told: Sequence[ExecutionId]) -> Flushed:
    """The answer to a flush. Raises LeaseLost: nothing was stored."""
    if not is_alive:
        raise LeaseLost("this worker's session has ended")
    return Flushed(frozenset(refused or ()), frozenset(told))


def _log_failure(posting: asyncio.Task[None]) -> None:
    if not posting.cancelled() and (error := posting.exception()):
        log.warning("events sent inside transactions are not yet in their places: %s", error)


def _held_up(new: Sequence[NewExecution]) -> DatabaseUnavailable:
    """Somebody else's open transaction has started one of the keys, or has locked the table."""
    keys = sorted({one.key for one in new if one.key is not None})
    if not keys:
        return DatabaseUnavailable("the table of executions is locked by a transaction still open; try again")
    which = f"key '{keys[0]}'" if len(keys) == 1 else f"one of {len(keys)} keys"
    return DatabaseUnavailable(f"{which} is being started by a transaction still open; try again")
