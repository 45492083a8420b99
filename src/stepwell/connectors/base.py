"""What every connector is: a class bound to the name of a connection, with actions and triggers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

from stepwell.core.connections import Connection
from stepwell.core.duration import DurationLike
from stepwell.core.ids import time_of
from stepwell.core.triggers import WebhookTrigger
from stepwell.core.triggers import reconcile as lost_and_found
from stepwell.core.webhooks import Found
from stepwell.errors import InvalidOption
from stepwell.running import current_connected, default_connection, running_step

Function = TypeVar("Function", bound=Callable[..., Any])


class Repeat(StrEnum):
    """What becomes of an action that is called again because nobody knows whether it worked."""

    SAFE = "safe"  # calling it twice is as calling it once
    KEYED = "keyed"  # it sends our idempotency key, and the vendor does it once
    VERIFY = "verify"  # it looks for its own earlier effect, which carries our key, before it makes another


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """An action of a connector: its method's name, and what a repeat does."""

    name: str
    repeat: Repeat


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a connection of a connector has. A secret is stored encrypted."""

    name: str
    meaning: str
    is_secret: bool = False
    is_required: bool = True

    def way_to_set(self, connection: str) -> str:
        """The command that sets it, for a person."""
        how = (
            f"rotate {connection} --secret {self.name}"
            if self.is_secret
            else f"change {connection} --set {self.name}=..."
        )
        return f"`stepwell connections {how}` sets it"


def action(*, repeat: str) -> Callable[[Function], Function]:
    """Declare a method as an action of its connector. `repeat` is "safe", "keyed" or "verify"."""
    kind = Repeat(repeat)

    def declare(function: Function) -> Function:
        function.__stepwell_action__ = ActionInfo(function.__name__, kind)  # type: ignore[attr-defined]
        return function

    return declare


class Connector:
    """One system outside, reached through the stored connection of that name.

    Without a name it is the connection whose delivery has started the execution. Give its actions to `step.run`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]] = ()

    def __init__(self, connection: str | None = None) -> None:
        self._connection = connection

    @classmethod
    def actions(cls) -> Iterator[ActionInfo]:
        """What it can do, by name."""
        for attribute in sorted(dir(cls)):
            info = getattr(getattr(cls, attribute, None), "__stepwell_action__", None)
            if info is not None:
                yield info

    @classmethod
    def triggers(cls) -> tuple[str, ...]:
        """The names of its methods that make triggers."""
        return tuple(attribute for attribute in sorted(dir(cls)) if attribute.startswith("on_"))

    def connection_name(self) -> str:
        """The connection that is used here. Raises InvalidOption when there is none."""
        name = self._connection or default_connection.get()
        if name is None:
            raise InvalidOption(
                f"{type(self).__name__}() names no connection, and this execution was not started by a delivery of one;"
                f' write {type(self).__name__}("the-connection\'s-name")'
            )
        return name

    async def connection(self) -> Connection:
        """The connection with credentials that are good now.

        Raises UnknownConnection, NeedsReauthorisation, InvalidOption when it is one of another system.
        """
        return self.checked(await current_connected().connections.use(self.connection_name()))

    def checked(self, connection: Connection) -> Connection:
        """The connection, if it is one of this system and has what that needs. Raises InvalidOption."""
        if connection.connector != self.name:
            raise InvalidOption(f"connection '{connection.name}' is one of {connection.connector}, not of {self.name}")
        for setting in self.settings:
            given = connection.secrets if setting.is_secret else connection.settings
            if setting.is_required and setting.name not in given:
                raise InvalidOption(
                    f"connection '{connection.name}' has no {setting.name} ({setting.meaning});"
                    f" {setting.way_to_set(connection.name)}"
                )
        return connection

    def trigger(
        self,
        *types: str,
        id: str | None = None,
        reconcile: DurationLike | None = None,
        find: Callable[[str | None], Awaitable[Found]] | None = None,
    ) -> WebhookTrigger:
        """A trigger for deliveries of these types; of this connection only, if it names one.

        With `reconcile`, a duration, it also asks the vendor so often, by `find`, for events whose deliveries got lost.
        Raises InvalidOption.
        """
        if reconcile is None:
            return WebhookTrigger(self.name, types, self._connection, id)
        if find is None:
            raise InvalidOption(f"reconcile={reconcile!r}: {self.title} cannot be asked for what it told of {types}")
        if self._connection is None:
            raise InvalidOption(
                f"reconcile={reconcile!r} needs to know whom to ask; name a connection:"
                f' {type(self).__name__}("the-connection\'s-name")'
            )
        return WebhookTrigger(self.name, types, self._connection, id, lost_and_found(find, every=reconcile))


def action_key(label: str) -> str:
    """The idempotency key of one action of the running step: the same on every attempt, and after a crash.

    Several actions of one step have different ones, by `label` and by the order of those with the same label. Outside
    of a step there is no other attempt: a new one each time.
    """
    step = running_step.get()
    return str(uuid4()) if step is None else step.key_of(label)


def may_be_a_repeat() -> bool:
    """Whether the running action may have been called before for the same purpose. False only if it surely was not."""
    step = running_step.get()
    return step is not None and step.may_be_a_repeat


CLOCKS_DIFFER_BY = timedelta(minutes=10)  # ours and a vendor's, at the most


def not_before() -> datetime | None:
    """The time before which the running step can have had no effect anywhere; None if that is not known.

    It is when its execution was accepted, which is part of the execution's id, less what clocks may differ by.
    """
    step = running_step.get()
    if step is None or step.execution_id.version != 7:
        return None
    return time_of(step.execution_id) - CLOCKS_DIFFER_BY
