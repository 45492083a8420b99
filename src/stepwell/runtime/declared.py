"""What a workflow's triggers declare: schedules, and the workflows that look for what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, get_args

from stepwell.core.dispatching import EventInfo
from stepwell.core.replay import checked_name
from stepwell.core.schedule import ScheduleSpec, Tick
from stepwell.core.timing import EPOCH
from stepwell.core.triggers import OnEventTrigger, PollTrigger, ScheduleTrigger, Trigger, WebhookTrigger
from stepwell.core.webhooks import HookSpec, WebhookEvent
from stepwell.errors import InvalidInput, InvalidOption
from stepwell.inputs import InputCodec
from stepwell.runtime.dispatcher import Listening
from stepwell.runtime.polls import poll_function
from stepwell.runtime.reconciling import reconcile_function


class Triggered(Protocol):
    """What there is to know of a workflow here."""

    @property
    def id(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def triggers(self) -> tuple[Trigger, ...]: ...
    @property
    def input(self) -> InputCodec: ...


class Poll(NamedTuple):
    """A workflow that the engine makes for a trigger."""

    id: str
    function: Callable[..., Any]
    trigger: ScheduleTrigger


def polls_of(workflow: Triggered) -> Iterator[Poll]:
    """The workflows that look for what this one is to be started with."""
    for trigger in workflow.triggers:
        if isinstance(trigger, PollTrigger):
            name = trigger.id or f"{workflow.id}.poll"
            function = poll_function(trigger, name, workflow=workflow.id, queue=workflow.queue, input=workflow.input)
            yield Poll(name, function, trigger.schedule)
        elif isinstance(trigger, WebhookTrigger) and trigger.reconcile is not None:
            name = _look(workflow, trigger)
            yield Poll(name, reconcile_function(trigger, trigger.reconcile, name), trigger.reconcile.schedule)


def looks_of(workflow: Triggered) -> list[str]:
    """The schedules by which vendors are asked for what webhooks have not brought."""
    triggers = (one for one in workflow.triggers if isinstance(one, WebhookTrigger) and one.reconcile is not None)
    return [_look(workflow, trigger) for trigger in triggers]


def _look(workflow: Triggered, trigger: WebhookTrigger) -> str:
    return f"{trigger.id or workflow.id}.reconcile"


def triggered_by(workflow: Triggered) -> Mapping[str, Listening]:
    """What of the workflow events start, by the ids of its triggers; the second one without an id is `name#2`."""
    triggers = [trigger for trigger in workflow.triggers if isinstance(trigger, OnEventTrigger)]
    info = _parameter_of(workflow.input, EventInfo)
    return {
        name: Listening(trigger.pattern, workflow.id, workflow.queue, workflow.input, info, trigger.where)
        for name, trigger in zip(_names(workflow, triggers), triggers, strict=True)
    }


def specs_of(workflow: Triggered) -> list[ScheduleSpec]:
    """The schedules that the workflow declares; the second one without an id is called `name#2`.

    Raises InvalidOption when a tick would not be enough to start it.
    """
    parameter = _parameter_of(workflow.input, Tick)
    triggers = [trigger for trigger in workflow.triggers if isinstance(trigger, ScheduleTrigger)]
    if triggers:
        _check_that_ticks_suffice(workflow, parameter)
    return [
        ScheduleSpec(name, workflow.id, workflow.queue, trigger.timing, trigger.policy, parameter)
        for name, trigger in zip(_names(workflow, triggers), triggers, strict=True)
    ]


def hooks_of(workflow: Triggered) -> dict[str, HookSpec]:
    """What of the workflow webhooks start, by the ids of its triggers; the second one without an id is `name#2`.

    Raises InvalidOption when a delivery would not be enough to start it, or none can come from that source.
    """
    triggers = [trigger for trigger in workflow.triggers if isinstance(trigger, WebhookTrigger)]
    parameter = _parameter_of(workflow.input, WebhookEvent)
    if triggers:
        _check_that_sources_are_known(workflow, triggers)
        _check_that_deliveries_suffice(workflow, parameter)
    return {
        name: HookSpec(name, workflow.id, workflow.queue, parameter, trigger.source, trigger.types, trigger.connection)
        for name, trigger in zip(_names(workflow, triggers), triggers, strict=True)
    }


def _names(
    workflow: Triggered, triggers: Sequence[ScheduleTrigger] | Sequence[OnEventTrigger] | Sequence[WebhookTrigger]
) -> list[str]:
    names: list[str] = []
    for trigger in triggers:
        nth = sum(one.id is None for one in triggers[: len(names) + 1])
        default = workflow.id if nth == 1 else f"{workflow.id}#{nth}"
        names.append(default if trigger.id is None else checked_name(trigger.id, "a trigger"))
    return names


def _parameter_of(given: InputCodec, wanted: type) -> str | None:
    """The parameter annotated as that or a subclass of it, or as one of several things of which it is one."""
    kinds = given.annotations.items()
    return next((name for name, kind in kinds if any(_is_one(one, wanted) for one in (kind, *get_args(kind)))), None)


def _is_one(kind: object, wanted: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, wanted)


def _check_that_sources_are_known(workflow: Triggered, triggers: Sequence[WebhookTrigger]) -> None:
    from stepwell.sources import SOURCES  # only programs with such triggers pay for it

    for trigger in triggers:
        if trigger.source not in SOURCES and trigger.reconcile is None:
            raise InvalidOption(
                f"workflow '{workflow.id}': no source of webhooks is called {trigger.source!r:.100};"
                f" there are: {', '.join(SOURCES)}"
            )


def _check_that_deliveries_suffice(workflow: Triggered, parameter: str | None) -> None:
    others = [name for name in workflow.input.required if name != parameter]
    if others:
        raise InvalidOption(
            f"workflow '{workflow.id}' is started by webhooks: one parameter may be annotated as WebhookEvent, the"
            f" others need defaults ({', '.join(others)})"
        )


def _check_that_ticks_suffice(workflow: Triggered, parameter: str | None) -> None:
    example = {parameter: Tick(workflow.id, EPOCH)} if parameter else {}
    try:
        workflow.input.bind((), example)
    except InvalidInput as error:
        raise InvalidOption(
            f"workflow '{workflow.id}' is started by a schedule: one parameter may be annotated as Tick, the others"
            f" need defaults ({'; '.join(f'{path} {message}' for path, message in error.faults)})"
        ) from None
