"""One worker session, from its opening to its end: what runs in it, and how it stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from random import SystemRandom
from typing import Any

from stepwell.core.connections import Connected
from stepwell.core.model import Claimed, ExecutionId, SessionId, WorkerInfo
from stepwell.core.polling import SUSPECT_CRASHES
from stepwell.core.retention import DELIVERY_RETENTION
from stepwell.errors import DatabaseError, LeaseLost
from stepwell.runtime.callbacks import Links
from stepwell.runtime.executor import execute
from stepwell.runtime.heart import Heart
from stepwell.runtime.passes import Closing, Pass, Replaced, Surroundings
from stepwell.runtime.registry import Registry, Workflow
from stepwell.store.base import Backend
from stepwell.store.flush import GroupCommit
from stepwell.store.together import Together

log = logging.getLogger("stepwell.worker")

CUT_SECONDS = 5.0  # for passes that are cut to come to their end


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker works. See the settings reference for what each is good for."""

    concurrency: int = 500
    queues: tuple[str, ...] | None = None
    lease_for: timedelta = timedelta(seconds=4.5)
    grace: timedelta = timedelta(seconds=30)
    max_crashes: int = 5
    step_threads: int = 32
    workflow_threads: int = 64
    short_wait: timedelta = timedelta(seconds=2)
    is_strict: bool = True
    cancel_grace: timedelta = timedelta(minutes=5)
    deliveries_for: timedelta = DELIVERY_RETENTION
    random: Callable[[], float] = SystemRandom().random
    replaced: Replaced | None = None
    connected: Connected | None = None  # where connectors find connections, unless they know already
    links: Links | None = None  # makes URLs that answer waits


DEFAULTS = WorkerSettings()


class Shift:
    """A session with its heartbeat, its group commit and the passes that run in it."""

    def __init__(
        self,
        store: Backend,
        registry: Registry,
        session: SessionId,
        settings: WorkerSettings,
        *,
        threads: Executor,
        workflow_threads: Executor,
        on_free: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.session = session
        self.lost: Exception | None = None
        self._store, self._registry, self._settings = store, registry, settings
        self._on_free, self._on_lost = on_free, on_lost
        self._commit = GroupCommit(store, session, on_lost=self.lose, on_cancelling=self._hear)
        self._heart = Heart(
            store.pulse(session, lease_for=settings.lease_for, max_crashes=settings.max_crashes),
            lease_for=settings.lease_for,
            on_lost=self.lose,
            on_cancelling=self._hear,
        )
        self._around = Surroundings(
            store=store,
            session=session,
            commit=self._commit,
            threads=threads,
            thread_slots=asyncio.Semaphore(settings.step_threads),
            workflow_threads=workflow_threads,
            random=settings.random,
            short_wait=settings.short_wait,
            is_strict=settings.is_strict,
            cancel_grace=settings.cancel_grace,
            registry=registry,
            looks=Together(store.look),
            calls=Together(store.called),
            replaced=settings.replaced,
            links=settings.links,
        )
        self._passes: dict[ExecutionId, Pass] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard: set[ExecutionId] = set()
        self._hearing: set[asyncio.Task[None]] = set()
        self._suspects = 0
        self._heart.start()

    @property
    def free(self) -> int:
        """How many more executions may run here."""
        return self._settings.concurrency - len(self._tasks)

    @property
    def has_suspect(self) -> bool:
        """Whether an execution that has crashed workers runs here; it must be the only one."""
        return self._suspects > 0

    def start(self, claimed: Claimed) -> None:
        """Run a pass of the execution."""
        self._suspects += _is_suspect(claimed)
        workflow = self._registry.version(claimed.workflow, claimed.version)
        # made here, not in the task: what is closed before the task begins must find it
        pass_ = self._passes[claimed.id] = Pass(claimed, self._around, retry=workflow.retry)
        task = asyncio.get_running_loop().create_task(self._run(pass_, workflow))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _run(self, pass_: Pass, workflow: Workflow[Any, Any]) -> None:
        try:
            await execute(pass_, workflow)
        finally:
            self._suspects -= _is_suspect(pass_.execution)
            if self._passes.get(pass_.id) is pass_:  # else the next pass of the execution runs here already
                del self._passes[pass_.id]
                self._heard.discard(pass_.id)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = asyncio.CancelledError("somebody cancelled it") if task.cancelled() else task.exception()
        if error is not None and self.lost is None:
            # an execution that is owned but not run would wait for ever: give the session up, with all it owns (F7)
            log.error("a pass ended with an error of the engine", exc_info=error)
            self._commit.give_up(LeaseLost(f"an error of the engine: {error!r}"))
        self._on_free()

    def _hear(self, ids: Iterable[ExecutionId]) -> None:
        """Somebody has cancelled or paused executions that run here. It is said again until they have stopped."""
        unknown = [id for id in ids if id not in self._heard and id in self._passes]
        if unknown:
            self._heard.update(unknown)
            task = asyncio.get_running_loop().create_task(self._obey(unknown), name="stepwell-orders")
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)

    async def _obey(self, ids: Sequence[ExecutionId]) -> None:
        try:
            orders = await self._store.orders(ids)
        except DatabaseError as error:
            log.warning("what is to become of %s executions cannot be asked: %s", len(ids), error)
            self._heard.difference_update(ids)
            return
        for execution_id, order in orders.items():
            pass_ = self._passes.get(execution_id)
            if pass_ is None or (order.cancel_requested_at is None and not order.is_paused):
                self._heard.discard(execution_id)  # taken back meanwhile: the next one is heard again
            elif order.cancel_requested_at is not None:
                why, until = order.cancel_reason, self._store.now() + self._settings.cancel_grace
                pass_.interrupt(Closing.CANCELLED, asked_at=order.cancel_requested_at, until=until, reason=why)
            else:
                pass_.close(Closing.PAUSED)

    def lose(self, error: Exception) -> None:
        """The session has ended, or nobody knows: stop everything at once, write nothing more."""
        if self.lost is not None:
            return
        self.lost = error
        log.warning("this worker's session has ended: %s", error)
        self._commit.give_up(error)
        self._close_all(Closing.LOST, at_once=True)
        self._on_lost()

    async def end(self) -> None:
        """Give running steps their grace, hand the rest back at once, end the session."""
        if self.lost is None:
            self._close_all(Closing.HANDED_BACK)
            await self._wait(self._settings.grace.total_seconds())
        self._close_all(Closing.HANDED_BACK, at_once=True)
        await self._wait(CUT_SECONDS)
        await self._commit.drain()
        await self._heart.stop()
        try:
            await self._store.close_session(self.session)
        except DatabaseError as error:
            log.warning("the session could not be closed (%s); it ends by itself within its lease", error)

    def _close_all(self, why: Closing, *, at_once: bool = False) -> None:
        for pass_ in tuple(self._passes.values()):
            pass_.close(why, at_once=at_once)

    async def _wait(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)


def _is_suspect(claimed: Claimed) -> bool:
    return claimed.crashes >= SUSPECT_CRASHES


async def open_shift(
    store: Backend,
    registry: Registry,
    settings: WorkerSettings,
    *,
    name: str,
    threads: Executor,
    workflow_threads: Executor,
    on_free: Callable[[], None],
    on_lost: Callable[[], None],
) -> Shift:
    """Open a session and begin. Raises DatabaseUnavailable."""
    info = WorkerInfo(name, registry.codes, settings.queues or registry.queues)
    session = await store.open_session(info, lease_for=settings.lease_for)
    return Shift(
        store,
        registry,
        session,
        settings,
        threads=threads,
        workflow_threads=workflow_threads,
        on_free=on_free,
        on_lost=on_lost,
    )
