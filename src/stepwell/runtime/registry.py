"""Names → workflow functions, with what was declared of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

from stepwell.codec import Codec, codec_for, resolve_annotation, result_codec
from stepwell.core.duration import DurationLike
from stepwell.core.model import DEFAULT_QUEUE
from stepwell.core.replay import checked_name, versioned
from stepwell.core.retention import RetentionLike
from stepwell.core.retry import Retry
from stepwell.core.schedule import ScheduleSpec
from stepwell.core.triggers import Trigger, as_triggers
from stepwell.core.webhooks import HookSpec
from stepwell.errors import InvalidInput, InvalidOption, UnknownWorkflow
from stepwell.inputs import NOTHING, InputCodec, unchecked_input
from stepwell.runtime.declared import hooks_of, looks_of, polls_of, specs_of, triggered_by
from stepwell.runtime.dispatcher import Listening
from stepwell.runtime.functions import duration_option, egress_option, retention_option, retry_option
from stepwell.runtime.step import Step
from stepwell.runtime.sync_step import SyncStep

_VERSIONED = re.compile(r"@[0-9]+\Z")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Workflow(Generic[P, R]):
    """A registered workflow. Calling it calls the plain function, durable calls and all; to start one, use the app."""

    id: str
    function: Callable[P, R | Awaitable[R]]
    queue: str
    retry: Retry
    timeout: timedelta | None
    retention: timedelta | None
    is_async: bool
    step_parameter: str | None
    triggers: tuple[Trigger, ...]
    version: int | None
    egress: tuple[str, ...] | None
    input: InputCodec
    output: Codec[R]
    app: Any = None  # the App it was registered with, a matter of the layer above

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R | Awaitable[R]:
        return self.function(*args, **kwargs)


class Bound(NamedTuple):
    """A workflow, the queue its executions go to, and their checked input."""

    workflow: str
    queue: str
    input: bytes


class Registry:
    """The workflows of one app."""

    def __init__(self, app: object = None) -> None:
        self._app = app
        self._workflows: dict[str, Workflow[Any, Any]] = {}  # the newest version of each
        self._versions: dict[tuple[str, int | None], Workflow[Any, Any]] = {}
        self._schedules: dict[str, ScheduleSpec] = {}
        self._listening: dict[str, Listening] = {}
        self._hooks: dict[str, HookSpec] = {}

    def __getitem__(self, name: str) -> Workflow[Any, Any]:
        try:
            return self._workflows[name]
        except KeyError:
            raise UnknownWorkflow(name, tuple(self._workflows)) from None

    def version(self, name: str, version: int | None) -> Workflow[Any, Any]:
        """What an execution runs on that began with this version; None: without one, which is older than any."""
        if version is None and name in self and (name, None) not in self._versions:
            version = min(number for one, number in self._versions if one == name and number is not None)
        try:
            return self._versions[name, version]
        except KeyError:
            raise UnknownWorkflow(versioned(name, version), self.codes) from None

    def __contains__(self, name: object) -> bool:
        return name in self._workflows

    @property
    def names(self) -> tuple[str, ...]:
        """The workflows' ids, sorted."""
        return tuple(sorted(self._workflows))

    @property
    def codes(self) -> tuple[str, ...]:
        """The workflows' ids, and each version as a worker says that it has it, sorted."""
        return tuple(sorted({*self._workflows, *(versioned(*code) for code in self._versions)}))

    @property
    def newest(self) -> dict[str, int]:
        """The version with which executions of a workflow begin, of those that have versions."""
        newest = ((name, workflow.version) for name, workflow in self._workflows.items())
        return {name: version for name, version in newest if version is not None}

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that the workflows use, sorted."""
        return tuple(sorted({workflow.queue for workflow in self._workflows.values()} | {DEFAULT_QUEUE}))

    @property
    def listening(self) -> Mapping[str, Listening]:
        """What events start, by the ids of the triggers."""
        return self._listening

    @property
    def hooks(self) -> tuple[HookSpec, ...]:
        """What webhooks start."""
        return tuple(self._hooks.values())

    @property
    def schedules(self) -> tuple[ScheduleSpec, ...]:
        """What the workflows' triggers declare."""
        return tuple(self._schedules.values())

    @property
    def looks(self) -> tuple[str, ...]:
        """Those of the schedules by which vendors are asked for what webhooks have not brought."""
        return tuple(id for workflow in self._workflows.values() for id in looks_of(workflow))

    def bound(self, workflow: Workflow[..., Any] | str, value: Any) -> Bound:
        """The workflow with this input: the value of its one parameter, or a mapping of its parameters.

        A process without workflows is a bare client: the worker will check the input. Raises InvalidInput.
        """
        if isinstance(workflow, str):
            if not self.names:
                return Bound(checked_name(workflow, "a workflow"), DEFAULT_QUEUE, unchecked_input(workflow, value))
            workflow = self[workflow]
        if not isinstance(workflow, Workflow):
            raise InvalidOption(f"{workflow!r:.100} is no workflow; give what @app.workflow made, or its id")
        codec = workflow.input
        if value is NOTHING:
            return Bound(workflow.id, workflow.queue, codec.bind((), {}))
        if len(codec.names) == 1:
            return Bound(workflow.id, workflow.queue, codec.bind((value,), {}))
        if isinstance(value, Mapping):
            return Bound(workflow.id, workflow.queue, codec.bind((), value))
        raise InvalidInput(
            workflow.id, [("$", f"give a mapping of its parameters ({', '.join(codec.names) or 'none'})")]
        )

    def output(self, workflow: Workflow[..., Any] | str, version: int | None = None) -> Codec[Any]:
        """How the workflow's result is read; as plain JSON, if this process does not have it."""
        if isinstance(workflow, Workflow):
            return workflow.output
        known = self._versions.get((workflow, version)) or self._workflows.get(workflow)
        return known.output if known else codec_for(Any)

    @property
    def kept(self) -> dict[str, timedelta]:
        """How long executions are kept after their end, by workflow; those that are kept forever are not there."""
        kept = ((name, workflow.retention) for name, workflow in sorted(self._workflows.items()))
        return {name: retention for name, retention in kept if retention is not None}

    def add(
        self,
        function: Callable[P, Any],
        *,
        id: str | None,
        queue: str,
        retry: Retry | None,
        timeout: DurationLike | None,
        trigger: Trigger | Sequence[Trigger] | None = None,
        retention: RetentionLike | None = None,
        version: int | None = None,
        egress: Sequence[str] | None = None,
    ) -> Workflow[P, Any]:
        """Register a function. Raises InvalidOption when the id is taken or an annotation cannot be stored."""
        name = _checked_id(_default_id(function) if id is None else id)
        self._check_version(name, version)
        is_async = inspect.iscoroutinefunction(function)
        parameter = _step_parameter(function, is_async=is_async)
        workflow: Workflow[P, Any] = Workflow(
            id=name,
            function=function,
            queue=checked_name(queue, "a queue"),
            retry=retry_option(retry) or Retry(),
            timeout=duration_option("timeout", timeout),
            retention=retention_option(retention),
            is_async=is_async,
            step_parameter=parameter,
            triggers=as_triggers(trigger),
            version=version,
            egress=egress_option(egress),
            input=InputCodec(function, workflow=name, step_parameter=parameter),
            output=result_codec(function),
            app=self._app,
        )
        self._enter(workflow)
        return workflow

    def _check_version(self, name: str, version: int | None) -> None:
        """Raises InvalidOption when it can be none, or is there already."""
        if version is not None and (not isinstance(version, int) or version < 1):
            raise InvalidOption(f"workflow '{name}': version is {version!r:.100}, use 1 or more")
        if (name, version) in self._versions:
            called = versioned(name, version)
            raise InvalidOption(f"two workflows are called '{called}'; give one another id: @app.workflow(id=...)")

    def _enter(self, workflow: Workflow[Any, Any]) -> None:
        """Executions begin with it from now on, and its triggers hold, unless a newer version is there."""
        older = self._workflows.get(workflow.id)
        if older is None or (older.version or 0) < (workflow.version or 0):
            self._declare(workflow, instead_of=older)
            self._workflows[workflow.id] = workflow
        self._versions[workflow.id, workflow.version] = workflow

    def _declare(self, workflow: Workflow[Any, Any], *, instead_of: Workflow[Any, Any] | None) -> None:
        """Let its triggers hold; those of an older version no longer do."""
        gone = {instead_of.id, *(poll.id for poll in polls_of(instead_of))} if instead_of else set()
        schedules = {id: spec for id, spec in self._schedules.items() if spec.workflow not in gone}
        listening = {id: one for id, one in self._listening.items() if one.workflow not in gone}
        hooks = {id: spec for id, spec in self._hooks.items() if spec.workflow not in gone}
        hooks = _joined(hooks, hooks_of(workflow), "two triggers by webhooks")
        schedules = _joined(schedules, {spec.id: spec for spec in specs_of(workflow)}, "two schedules")
        self._listening = _joined(listening, triggered_by(workflow), "two triggers by events")
        self._schedules, self._hooks = schedules, hooks
        for id in gone - {workflow.id}:
            del self._workflows[id], self._versions[id, None]
        for poll in polls_of(workflow):
            self.add(
                poll.function,
                id=poll.id,
                queue=workflow.queue,
                retry=workflow.retry,
                timeout=None,
                trigger=poll.trigger,
            )


def _default_id(function: object) -> str:
    if isinstance(name := getattr(function, "__name__", None), str):
        return name.replace("_", "-")
    raise InvalidOption(f"{function!r:.100} is no function with a name; if it can be called, give it an id=")


def _checked_id(name: str) -> str:
    if _VERSIONED.search(checked_name(name, "a workflow")):
        raise InvalidOption(f"'{name}' cannot name a workflow: it looks like a version of one; use version=")
    return name


def _joined(known: Mapping[str, T], new: Mapping[str, T], what: str) -> dict[str, T]:
    for name in new:
        if name in known:
            raise InvalidOption(f"{what} are called '{name}'; give one another id=...")
    return {**known, **new}


def _step_parameter(function: Callable[..., Any], *, is_async: bool) -> str | None:
    """The parameter annotated as Step (SyncStep in a plain function). Raises InvalidOption."""
    if not callable(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidOption(f"{function!r:.100} cannot be a workflow: use a function that returns one result")
    found: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        annotation = parameter.annotation
        if isinstance(annotation, str) and "Step" in annotation:
            annotation = resolve_annotation(function, parameter.name, annotation)
        if annotation is (SyncStep if is_async else Step):
            wanted, kind = ("Step", "an async") if is_async else ("SyncStep", "a plain")
            raise InvalidOption(f"{function.__name__} is {kind} function: annotate '{parameter.name}' as {wanted}")
        if annotation is Step or annotation is SyncStep:
            found.append(parameter.name)
    if len(found) > 1:
        raise InvalidOption(f"{function.__name__} has several parameters for its steps ({', '.join(found)}); use one")
    return found[0] if found else None
