"""The App's calls for code without an event loop: a bridge to one in a background thread, without logic of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload
from uuid import UUID

from stepwell.app.control import Bulk
from stepwell.app.filters import Facts, FilterOptions
from stepwell.app.sync_connections import SyncApplicationCalls, SyncConnectionCalls, SyncKeyCalls
from stepwell.core.callbacks import Callback, CallbackInfo
from stepwell.core.dispatching import EventTrigger
from stepwell.core.duration import DurationLike
from stepwell.core.model import AuditRecord, EventRecord, Execution, Sent, StepRecord, WaitRecord
from stepwell.core.schedule import Schedule
from stepwell.core.status import Status
from stepwell.core.webhooks import Delivery, HookSpec
from stepwell.errors import InvalidOption
from stepwell.inputs import NOTHING
from stepwell.runtime.branches import outside_the_workflow

if TYPE_CHECKING:
    from stepwell.app.application import AnyWorkflow, App
    from stepwell.app.checks import Deadline
    from stepwell.runtime.registry import Workflow

R = TypeVar("R")
T = TypeVar("T")


class SyncHandle(Generic[R]):
    """One execution. See Handle."""

    def __init__(self, app: SyncApp, execution_id: UUID, *, is_new: bool) -> None:
        self._app, self.id, self.is_new = app, execution_id, is_new

    def result(self, timeout: DurationLike | None = None) -> R:
        """See App.result."""
        result: R = self._app.result(self.id, timeout=timeout)
        return result

    def status(self) -> Status:
        """See App.status."""
        return self._app.status(self.id)

    def cancel(self, *, reason: str = "cancelled", force: bool = False) -> Status:
        """See App.cancel."""
        return self._app.cancel(self.id, reason=reason, force=force)

    def send_event(self, name: str, payload: Any = None, *, id: str | None = None) -> Sent:
        """See Handle.send_event."""
        return self._app.send_event(name, payload, to=self.id, id=id)


class SyncApp:
    """Each call does what the App's of the same name does, from any thread but that of the loop which it waits for.

    An App that is open on an event loop, such as one with a worker, is used there. Else the first call starts a thread
    with a loop. After a fork (gunicorn, Celery) the child begins its own.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    @overload
    def start(
        self,
        workflow: Workflow[..., R],
        input: Any = ...,
        *,
        key: str | None = ...,
        delay: DurationLike | None = ...,
        deadline: Deadline | None = ...,
        tags: Sequence[str] = ...,
        connection: Any = ...,
    ) -> SyncHandle[R]: ...
    @overload
    def start(
        self,
        workflow: str,
        input: Any = ...,
        *,
        key: str | None = ...,
        delay: DurationLike | None = ...,
        deadline: Deadline | None = ...,
        tags: Sequence[str] = ...,
        connection: Any = ...,
    ) -> SyncHandle[Any]: ...
    def start(
        self,
        workflow: AnyWorkflow,
        input: Any = NOTHING,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
        connection: Any = None,
    ) -> SyncHandle[Any]:
        """See App.start. With a psycopg connection the start runs on it, in this thread and its transaction."""
        if connection is not None:
            made = self._app.start_on(connection, workflow, input, key=key, delay=delay, deadline=deadline, tags=tags)
        else:
            made = self._await(self._app.start(workflow, input, key=key, delay=delay, deadline=deadline, tags=tags))
        return SyncHandle(self, made.id, is_new=made.is_new)

    @overload
    def start_many(
        self,
        workflow: Workflow[..., R],
        inputs: Iterable[Any],
        *,
        keys: Sequence[str] | None = ...,
        deadline: Deadline | None = ...,
        tags: Sequence[str] = ...,
    ) -> list[SyncHandle[R]]: ...
    @overload
    def start_many(
        self,
        workflow: str,
        inputs: Iterable[Any],
        *,
        keys: Sequence[str] | None = ...,
        deadline: Deadline | None = ...,
        tags: Sequence[str] = ...,
    ) -> list[SyncHandle[Any]]: ...
    def start_many(
        self,
        workflow: AnyWorkflow,
        inputs: Iterable[Any],
        *,
        keys: Sequence[str] | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> list[SyncHandle[Any]]:
        """See App.start_many."""
        made = self._await(self._app.start_many(workflow, inputs, keys=keys, deadline=deadline, tags=tags))
        return [SyncHandle(self, handle.id, is_new=handle.is_new) for handle in made]

    def result(self, execution_id: UUID | str, *, timeout: DurationLike | None = None) -> Any:
        """See App.result."""
        return self._await(self._app.result(execution_id, timeout=timeout))

    def get(self, execution_id: UUID | str) -> Execution:
        """See App.get."""
        return self._await(self._app.get(execution_id))

    def status(self, execution_id: UUID | str) -> Status:
        """See App.status."""
        return self._await(self._app.status(execution_id))

    def steps(self, execution_id: UUID | str) -> Sequence[StepRecord]:
        """See App.steps."""
        return self._await(self._app.steps(execution_id))

    def list(
        self, *, before: UUID | str | None = None, limit: int = 100, **which: Unpack[FilterOptions]
    ) -> Sequence[Execution]:
        """See App.list."""
        return self._await(self._app.list(before=before, limit=limit, **which))

    def search(
        self, text: str, *, before: UUID | str | None = None, limit: int = 100, **which: Unpack[Facts]
    ) -> Sequence[Execution]:
        """See App.search."""
        return self._await(self._app.search(text, before=before, limit=limit, **which))

    def count(self, **which: Unpack[FilterOptions]) -> dict[Status, int]:
        """See App.count."""
        return self._await(self._app.count(**which))

    def cancel(
        self, execution_id: UUID | str, *, reason: str = "cancelled", force: bool = False, by: str | None = None
    ) -> Status:
        """See App.cancel."""
        return self._await(self._app.cancel(execution_id, reason=reason, force=force, by=by))

    def pause(self, execution_id: UUID | str, *, reason: str | None = None, by: str | None = None) -> Status:
        """See App.pause."""
        return self._await(self._app.pause(execution_id, reason=reason, by=by))

    def resume(self, execution_id: UUID | str, *, reason: str | None = None, by: str | None = None) -> Status:
        """See App.resume."""
        return self._await(self._app.resume(execution_id, reason=reason, by=by))

    def fork(
        self,
        execution_id: UUID | str,
        input: Any = NOTHING,
        *,
        from_step: str | None = None,
        edit: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> SyncHandle[Any]:
        """See App.fork."""
        made = self._await(self._app.fork(execution_id, input, from_step=from_step, edit=edit, by=by))
        return SyncHandle(self, made.id, is_new=made.is_new)

    def audit(
        self, execution_id: UUID | str | None = None, *, before: int | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """See App.audit."""
        return self._await(self._app.audit(execution_id, before=before, limit=limit))

    def cancel_many(
        self,
        *,
        reason: str = "cancelled",
        force: bool = False,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """See App.cancel_many."""
        return self._await(self._app.cancel_many(reason=reason, force=force, by=by, dry_run=dry_run, **which))

    def retry_many(self, *, by: str | None = None, dry_run: bool = False, **which: Unpack[FilterOptions]) -> Bulk:
        """See App.retry_many."""
        return self._await(self._app.retry_many(by=by, dry_run=dry_run, **which))

    def pause_many(
        self,
        *,
        reason: str | None = None,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """See App.pause_many."""
        return self._await(self._app.pause_many(reason=reason, by=by, dry_run=dry_run, **which))

    def resume_many(
        self,
        *,
        reason: str | None = None,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """See App.resume_many."""
        return self._await(self._app.resume_many(reason=reason, by=by, dry_run=dry_run, **which))

    def fork_many(
        self,
        *,
        from_step: str | None = None,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """See App.fork_many."""
        return self._await(self._app.fork_many(from_step=from_step, by=by, dry_run=dry_run, **which))

    def send_event(
        self,
        name: str,
        payload: Any = None,
        *,
        key: str | None = None,
        to: UUID | str | None = None,
        id: str | None = None,
        connection: Any = None,
    ) -> Sent:
        """See App.send_event. With a psycopg connection it is sent on that, in this thread and its transaction."""
        if connection is not None:
            return self._app.send_event_on(connection, name, payload, key=key, to=to, id=id)
        return self._await(self._app.send_event(name, payload, key=key, to=to, id=id))

    def events(
        self,
        name: str | None = None,
        *,
        key: str | None = None,
        to: UUID | str | None = None,
        limit: int = 100,
    ) -> Sequence[EventRecord]:
        """See App.events."""
        return self._await(self._app.events(name, key=key, to=to, limit=limit))

    def waits(
        self,
        name: str | None = None,
        *,
        key: str | None = None,
        execution_id: UUID | str | None = None,
        limit: int = 100,
    ) -> Sequence[WaitRecord]:
        """See App.waits."""
        return self._await(self._app.waits(name, key=key, execution_id=execution_id, limit=limit))

    def callbacks(self, execution_id: UUID | str) -> Sequence[CallbackInfo]:
        """See App.callbacks."""
        return self._await(self._app.callbacks(execution_id))

    def callback(self, url: str) -> Callback:
        """See App.callback."""
        return self._await(self._app.callback(url))

    def answer_callback(self, url: str, answer: Any, *, by: str | None = None) -> Callback:
        """See App.answer_callback."""
        return self._await(self._app.answer_callback(url, answer, by=by))

    def retry(self, execution_id: UUID | str, *, by: str | None = None) -> Status:
        """See App.retry."""
        return self._await(self._app.retry(execution_id, by=by))

    def resolve(
        self,
        execution_id: UUID | str,
        step: str,
        *,
        value: Any = NOTHING,
        repeat: bool = False,
        by: str | None = None,
    ) -> Status:
        """See App.resolve."""
        return self._await(self._app.resolve(execution_id, step, value=value, repeat=repeat, by=by))

    def schedules(self) -> Sequence[Schedule]:
        """See App.schedules."""
        return self._await(self._app.schedules())

    def triggers(self) -> Sequence[EventTrigger]:
        """See App.triggers."""
        return self._await(self._app.triggers())

    def hooks(self) -> Sequence[HookSpec]:
        """See App.hooks."""
        return self._await(self._app.hooks())

    def deliveries(
        self,
        *,
        source: str | None = None,
        connection: str | None = None,
        type: str | None = None,
        is_reconciled: bool | None = None,
        before: UUID | str | None = None,
        limit: int = 100,
    ) -> Sequence[Delivery]:
        """See App.deliveries."""
        return self._await(
            self._app.deliveries(
                source=source,
                connection=connection,
                type=type,
                is_reconciled=is_reconciled,
                before=before,
                limit=limit,
            )
        )

    def delivery(self, delivery_id: UUID | str) -> Delivery:
        """See App.delivery."""
        return self._await(self._app.delivery(delivery_id))

    def replay(self, delivery_id: UUID | str) -> Sequence[SyncHandle[Any]]:
        """See App.replay."""
        return [SyncHandle(self, made.id, is_new=True) for made in self._await(self._app.replay(delivery_id))]

    def pause_schedule(self, schedule: str, *, reason: str = "paused") -> Schedule:
        """See App.pause_schedule."""
        return self._await(self._app.pause_schedule(schedule, reason=reason))

    def resume_schedule(self, schedule: str) -> Schedule:
        """See App.resume_schedule."""
        return self._await(self._app.resume_schedule(schedule))

    def run_schedule(self, schedule: str) -> SyncHandle[Any]:
        """See App.run_schedule."""
        made = self._await(self._app.run_schedule(schedule))
        return SyncHandle(self, made.id, is_new=made.is_new)

    @property
    def connections(self) -> SyncConnectionCalls:
        """See App.connections."""
        return SyncConnectionCalls(self._app.connections, self._await)

    @property
    def applications(self) -> SyncApplicationCalls:
        """See App.applications."""
        return SyncApplicationCalls(self._app.applications, self._await)

    @property
    def keys(self) -> SyncKeyCalls:
        """See App.keys."""
        return SyncKeyCalls(self._app.keys, self._await)

    def database_url(self) -> str:
        """See App.database_url."""
        return self._await(self._app.database_url())

    def close(self) -> None:
        """See App.close; also ends the background thread."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._process == os.getpid():
            if self._app.running_loop is loop:
                asyncio.run_coroutine_threadsafe(self._app.close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def _await(self, call: Coroutine[Any, Any, T]) -> T:
        loop = self._app.running_loop or self._running_loop()
        if loop is asyncio._get_running_loop():
            call.close()
            raise InvalidOption("app.sync would wait for the event loop that it blocks; await the App's own call here")
        with outside_the_workflow():
            return asyncio.run_coroutine_threadsafe(call, loop).result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                if self._process:
                    self._app.forget()
                self._loop, self._process = asyncio.new_event_loop(), os.getpid()
                threading.Thread(target=_run, args=[self._loop], name="stepwell-sync", daemon=True).start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
