"""What is known of a kind of sender: one row of the table of sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from stepwell.core.webhooks import Envelope
from stepwell.sources.request import Request
from stepwell.sources.schemes import Scheme
from stepwell.sources.verdicts import Answer, Refused

Settings = Mapping[str, str]

MIB = 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """What an endpoint can be told. `pattern` is what its whole value must match; `default` is for people."""

    name: str
    meaning: str
    pattern: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Retries:
    """When a vendor sends again what was not answered well: after each delay, counted from the answer before.

    `after` are the statuses that are tried again; None means all but 2xx. `gives_up_on` are those that end a
    subscription at once.
    """

    delays: tuple[timedelta, ...] = ()
    after: frozenset[int] | None = None
    gives_up_on: frozenset[int] = frozenset()

    def next_delay(self, status: int, *, attempt: int) -> timedelta | None:
        """How long the vendor waits before it sends again, after so many attempts; None if it does not."""
        is_tried_again = not 200 <= status < 300 if self.after is None else status in self.after
        if status in self.gives_up_on or not is_tried_again or attempt > len(self.delays):
            return None
        return self.delays[attempt - 1]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a delivery that is made here says of itself in headers."""

    type: str
    id: str
    tenant: str | None


def no_headers(_sent: Sent) -> dict[str, str]:
    """For vendors that say everything in the body."""
    return {}


def no_fault(_settings: Settings) -> str | None:
    """For sources whose settings go together in any way."""
    return None


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of sender: how it proves itself, how its deliveries are told apart, and how it behaves.

    `scheme` is asked with the endpoint's settings; `fault` says what of them does not go together. `classify` reads a
    verified request. `handshake` answers a request that is no delivery. `headers` are what a sender says beside its
    proof. `answer_within` is None where the vendor does not publish it.
    """

    name: str
    scheme: Callable[[Settings], Scheme]
    classify: Callable[[Request, Settings], Envelope | Refused]
    settings: tuple[Setting, ...] = ()
    fault: Callable[[Settings], str | None] = no_fault
    handshake: Callable[[Request, Settings], Answer | None] | None = None
    is_handshake_open: bool = False  # it may come without a credential, though never with a wrong one
    headers: Callable[[Sent], dict[str, str]] = no_headers
    content_type: str = "application/json"
    answer_within: timedelta | None = None
    retries: Retries = Retries()
    max_body_bytes: int = MIB


def always(scheme: Scheme) -> Callable[[Settings], Scheme]:
    """For vendors that prove themselves in one way only."""
    return lambda _settings: scheme


def regardless(function: Callable[[Request], T]) -> Callable[[Request, Settings], T]:
    """For vendors whose requests are read in one way only."""
    return lambda request, _settings: function(request)


def seconds(*delays: float) -> tuple[timedelta, ...]:
    """Delays of a retry schedule."""
    return tuple(timedelta(seconds=delay) for delay in delays)
