"""The App: what wires settings, database, workflows, client and worker together. The only place that does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, overload
from uuid import UUID

from stepwell.app import settings
from stepwell.app.callbacks import CallbackCalls
from stepwell.app.checks import (
    Deadline,
    bound_json,
    checked_choice,
    checked_count,
    checked_inputs,
    checked_lease,
    checked_limit,
    checked_queues,
    execution_id_of,
)
from stepwell.app.control import ControlCalls
from stepwell.app.decorator import Decorator
from stepwell.app.events import Events
from stepwell.app.filters import Facts, FilterOptions, filter_of
from stepwell.app.handle import Handle, result_of
from stepwell.app.hooks import HookCalls
from stepwell.app.schedules import ScheduleCalls
from stepwell.app.starting import new_execution, new_executions
from stepwell.app.sync import SyncApp
from stepwell.app.tokens import TokenCalls
from stepwell.app.working import working
from stepwell.client import check_keys
from stepwell.core.duration import DurationLike
from stepwell.core.model import DEFAULT_QUEUE, Created, Execution, StepRecord
from stepwell.core.retention import RetentionLike
from stepwell.core.retry import Retry
from stepwell.core.status import Status
from stepwell.core.triggers import Trigger
from stepwell.core.workers import WorkerRecord
from stepwell.inputs import NOTHING
from stepwell.runtime.functions import duration_option
from stepwell.runtime.registry import Workflow
from stepwell.runtime.shift import DEFAULTS, WorkerSettings
from stepwell.runtime.starters import put_in_force
from stepwell.runtime.worker import Worker
from stepwell.store.foreign import create_on, create_on_sync

P = ParamSpec("P")
R = TypeVar("R")

AnyWorkflow = Workflow[..., Any] | str


class App(Events, ControlCalls, HookCalls, ScheduleCalls, TokenCalls, CallbackCalls):
    """The workflows of a program and the database in which their executions live.

    Without a URL the database is that of STEPWELL_DATABASE_URL, else an embedded PostgreSQL in `.stepwell/`. It is
    opened by the first call that needs it; `async with app:` or `await app.close()` gives everything back.
    """

    @cached_property
    def sync(self) -> SyncApp:
        """The same calls for code without an event loop: scripts, Flask, Django."""
        return SyncApp(self)

    # --- workflows ------------------------------------------------------------------------------------------------

    @overload
    def workflow(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
    @overload
    def workflow(self, function: Callable[P, R], /) -> Workflow[P, R]: ...
    @overload
    def workflow(
        self,
        /,
        *,
        id: str | None = None,
        queue: str = DEFAULT_QUEUE,
        retry: Retry | None = None,
        timeout: DurationLike | None = None,
        trigger: Trigger | Sequence[Trigger] | None = None,
        version: int | None = None,
        retention: RetentionLike | None = None,
        egress: Sequence[str] | None = None,
    ) -> Decorator: ...
    def workflow(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        id: str | None = None,
        queue: str = DEFAULT_QUEUE,
        retry: Retry | None = None,
        timeout: DurationLike | None = None,
        trigger: Trigger | Sequence[Trigger] | None = None,
        version: int | None = None,
        retention: RetentionLike | None = None,
        egress: Sequence[str] | None = None,
    ) -> Any:
        """Register a function, sync or async, as a workflow.

        Its parameter annotated `Step` (`SyncStep` in a plain function) is injected; the others are its input. `id` is
        by default its name with dashes; `retry` is the default of its steps; `timeout` counts from its first pass;
        `trigger`, one or several, starts executions by the clock, by events or by polling. An execution is kept for
        `retention` after its end: 30 days, or another duration, or "forever". Of several functions of one id an
        execution begins with that of the highest `version`, and keeps it. Its connectors reach the hosts of `egress`
        only, in which `*` stands for any text.
        """

        def register(function: Callable[..., Any]) -> Workflow[..., Any]:
            return self.registry.add(
                function,
                id=id,
                queue=queue,
                retry=retry,
                timeout=timeout,
                trigger=trigger,
                retention=retention,
                version=version,
                egress=egress,
            )

        return Decorator(register) if function is None else register(function)

    # --- starting -------------------------------------------------------------------------------------------------

    @overload
    async def start(
        self,
        workflow: Workflow[..., R],
        input: Any = NOTHING,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
        connection: Any = None,
    ) -> Handle[R]: ...
    @overload
    async def start(
        self,
        workflow: str,
        input: Any = NOTHING,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
        connection: Any = None,
    ) -> Handle[Any]: ...
    async def start(
        self,
        workflow: AnyWorkflow,
        input: Any = NOTHING,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
        connection: Any = None,
    ) -> Handle[Any]:
        """Accept an execution; when this has returned, it survives any crash and any worker will carry it on.

        `input` is the value of the workflow's one parameter, or a mapping of its parameters. The same key means the
        same execution; with another input it raises KeyConflict. After `deadline`, a time or a duration, it does not
        begin, and stops if it has; one that has passed is refused. `connection`, a psycopg connection of the engine's
        database, makes the start part of its transaction. Raises InvalidInput with every fault; nothing is stored then.
        """
        bound = self.registry.bound(workflow, input)
        new = [new_execution(bound, key=key, delay=delay, deadline=deadline, tags=tags)]
        if connection is not None:
            created = check_keys(new, await create_on(connection, new, schema=self._schema))
        else:
            created = await (await self.open()).start(new)
        return self._handle(created[0])

    @overload
    async def start_many(
        self,
        workflow: Workflow[..., R],
        inputs: Iterable[Any],
        *,
        keys: Sequence[str] | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> list[Handle[R]]: ...
    @overload
    async def start_many(
        self,
        workflow: str,
        inputs: Iterable[Any],
        *,
        keys: Sequence[str] | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> list[Handle[Any]]: ...
    async def start_many(
        self,
        workflow: AnyWorkflow,
        inputs: Iterable[Any],
        *,
        keys: Sequence[str] | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> list[Handle[Any]]:
        """Accept many executions of one workflow, one per input, with few statements. See start.

        Up to 2,000 are accepted all or none, more of them 2,000 at a time: after a KeyConflict those of earlier
        statements stay accepted, and are found again by their keys.
        """
        bound = [self.registry.bound(workflow, one) for one in checked_inputs(inputs)]
        new = new_executions(bound, keys=keys, deadline=deadline, tags=tags)
        return [self._handle(created) for created in await (await self.open()).start(new)]

    async def start_json(
        self,
        workflow: str,
        input: bytes | None = None,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> Handle[Any]:
        """`start` with the input as the JSON text that came from outside; None is no input.

        What JSON has no type for comes as text and is read by the workflow's annotations.
        """
        bound = bound_json(self.registry, workflow, input)
        new = new_execution(bound, key=key, delay=delay, deadline=deadline, tags=tags)
        return self._handle((await (await self.open()).start([new]))[0])

    async def start_many_json(
        self,
        workflow: str,
        inputs: Iterable[bytes],
        *,
        keys: Sequence[str] | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> list[Handle[Any]]:
        """`start_many` with inputs that are JSON text from outside, as for start_json."""
        bound = [bound_json(self.registry, workflow, text) for text in checked_inputs(inputs)]
        new = new_executions(bound, keys=keys, deadline=deadline, tags=tags)
        return [self._handle(created) for created in await (await self.open()).start(new)]

    @overload
    def start_on(
        self,
        connection: Any,
        workflow: Workflow[..., R],
        input: Any = NOTHING,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> Handle[R]: ...
    @overload
    def start_on(
        self,
        connection: Any,
        workflow: str,
        input: Any = NOTHING,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> Handle[Any]: ...
    def start_on(
        self,
        connection: Any,
        workflow: AnyWorkflow,
        input: Any = NOTHING,
        *,
        key: str | None = None,
        delay: DurationLike | None = None,
        deadline: Deadline | None = None,
        tags: Sequence[str] = (),
    ) -> Handle[Any]:
        """`start` in the transaction of a synchronous psycopg connection, without an event loop."""
        bound = self.registry.bound(workflow, input)
        new = [new_execution(bound, key=key, delay=delay, deadline=deadline, tags=tags)]
        return self._handle(check_keys(new, create_on_sync(connection, new, schema=self._schema))[0])

    def _handle(self, created: Created) -> Handle[Any]:
        return Handle(self, created.id, is_new=created.is_new)

    # --- executions -----------------------------------------------------------------------------------------------

    async def result(self, execution_id: UUID | str, *, timeout: DurationLike | None = None) -> Any:
        """What the execution returned, once it has ended.

        Raises ExecutionFailed, ExecutionCancelled, UnknownExecution; ResultTimeout when it takes longer than `timeout`.
        """
        client = await self.open()
        execution = await client.ended(execution_id_of(execution_id), timeout=duration_option("timeout", timeout))
        return result_of(execution, self.registry.output(execution.workflow, execution.version))

    async def get(self, execution_id: UUID | str) -> Execution:
        """The execution as it is now, with the reason why it is not moving. Raises UnknownExecution."""
        return await (await self.open()).get(execution_id_of(execution_id))

    async def status(self, execution_id: UUID | str) -> Status:
        """The execution's status. Raises UnknownExecution."""
        return (await self.get(execution_id)).status

    async def steps(self, execution_id: UUID | str) -> list[StepRecord]:
        """Every stored outcome and failed attempt of the execution. Raises UnknownExecution."""
        client, known = await self.open(), execution_id_of(execution_id)
        records = [record async for record in client.steps(known)]
        if not records:
            await client.get(known)
        return records

    async def list(
        self, *, before: UUID | str | None = None, limit: int = 100, **which: Unpack[FilterOptions]
    ) -> Sequence[Execution]:
        """Executions, newest first, at most `limit`. `before` is the id of the last one of the page before.

        `status` (one or several), `workflow`, `key`, `tags` (all of them), `parent`, `text`, and times: from
        `created_after` on and earlier than `created_before`, `finished_after` and `finished_before` likewise.
        """
        return await (await self.open()).list(filter_of(which, before=before), limit=checked_limit(limit))

    async def search(
        self, text: str, *, before: UUID | str | None = None, limit: int = 100, **which: Unpack[Facts]
    ) -> Sequence[Execution]:
        """`list` of executions in which each word of `text` begins a word: of the key, the tags, the reason, the input,
        the result; or whose id begins with `text`.
        """
        return await self.list(before=before, limit=limit, text=text, **which)

    async def count(self, **which: Unpack[FilterOptions]) -> dict[Status, int]:
        """How many executions have each status, of those that `list` would give."""
        return await (await self.open()).count(filter_of(which))

    async def workers(self) -> Sequence[WorkerRecord]:
        """The worker processes by name, also those that died and were not noticed yet."""
        return await (await self.open()).store.workers()

    # --- working --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def worker(
        self,
        *,
        concurrency: int = DEFAULTS.concurrency,
        queues: Sequence[str] | None = None,
        grace: DurationLike = DEFAULTS.grace,
        step_threads: int = DEFAULTS.step_threads,
        lease: DurationLike = DEFAULTS.lease_for,
        max_crashes: int = DEFAULTS.max_crashes,
        on_changed_arguments: Literal["park", "warn"] = "park",
        cancel_grace: DurationLike = DEFAULTS.cancel_grace,
    ) -> AsyncIterator[Worker]:
        """Run executions in this process while the block runs. Leaving it drains: running steps get their `grace`.

        A worker that died is noticed when its `lease` has run out; one execution may take `max_crashes` with it. A
        cancelled workflow has its `cancel_grace`, counted from the request, to clean up. Raises
        DatabaseNotReady, InvalidOption.
        """
        chosen = WorkerSettings(
            concurrency=checked_count("concurrency", concurrency),
            queues=checked_queues(queues),
            lease_for=checked_lease(lease) or DEFAULTS.lease_for,
            grace=duration_option("grace", grace) or DEFAULTS.grace,
            max_crashes=checked_count("max_crashes", max_crashes),
            step_threads=checked_count("step_threads", step_threads),
            is_strict=checked_choice("on_changed_arguments", on_changed_arguments, ("park", "warn")) == "park",
            cancel_grace=duration_option("cancel_grace", cancel_grace) or DEFAULTS.cancel_grace,
        )
        worker = await self.new_worker(chosen)
        async with working(worker):
            yield worker

    async def declare(self) -> None:
        """Let what the code declares be the schedules and triggers of its workflows. Workers do this by themselves.

        A process that takes webhooks, and may be there before any worker, does it for these.
        """
        await put_in_force((await self.open()).store, self.registry)

    async def new_worker(self, chosen: WorkerSettings) -> Worker:
        """A worker that has not begun, for a program that runs it itself. The code's triggers are now in force."""
        store = (await self.open()).store
        await put_in_force(store, self.registry)
        lent = (await self._open_accounts()).connected
        kept, links = settings.delivery_retention(), chosen.links or self.links
        chosen = replace(chosen, connected=chosen.connected or lent, deliveries_for=kept, links=links)
        return Worker(store, self.registry, chosen)
