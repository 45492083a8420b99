"""Events that start executions: which ones, and which execution each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from stepwell.core.model import NewExecution

MAX_KEY_BYTES = 1_000  # an index entry holds 2,704, the workflow's name with it


@dataclass(frozen=True, slots=True)
class EventInfo:
    """Which event has started an execution: a workflow's parameter that is annotated so gets it.

    `key` is that of the event, or none; `number` its place among the events of its name and key.
    """

    name: str
    key: str | None
    number: int
    id: str | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """An `on_event` trigger as the code declares it. In `pattern`, `*` stands for any text."""

    id: str
    workflow: str
    pattern: str


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """A trigger by events as it is now.

    `waiting` is how many events are not decided yet, `error` what its code raised about the latest of them.
    """

    id: str
    workflow: str
    pattern: str
    is_declared: bool
    waiting: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An event that is to be decided for one trigger. Without a payload the event has been removed."""

    trigger: str
    name: str
    address: str
    number: int
    info: EventInfo | None = None
    payload: bytes | None = None

    @property
    def key(self) -> str:
        """The key of the execution that it starts: a workflow has one for each event, whichever trigger it is for."""
        key = f":{self.address[2:]}" if self.address else ""
        text = f"event:{self.name}{key}#{self.number}"
        return text if len(text.encode()) <= MAX_KEY_BYTES else f"event:{blake2b(text.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided: the execution that the event starts, or none."""

    dispatch: Dispatch
    new: NewExecution | None = None


def matches(pattern: str, name: str) -> bool:
    """Whether an event of that name is one of the pattern's, in which `*` stands for any text."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    if not name.startswith(first) or not name[len(first) :].endswith(last):
        return False
    name = name[len(first) : len(name) - len(last)]
    for part in middle:
        at = name.find(part)
        if at < 0:
            return False
        name = name[at + len(part) :]
    return True


def as_like(pattern: str) -> str:
    """The same as a pattern of SQL's `like`."""
    escaped = "".join(f"\\{sign}" if sign in "\\%_" else sign for sign in pattern)
    return escaped.replace("*", "%")
