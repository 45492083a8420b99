"""Connections: stored credentials of one account at a vendor, as connectors get to see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn, Protocol


class Secret:
    """Text that shows itself to nobody: only `reveal()` gives it. It cannot be stored, formatted or compared."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text. Hand it to nothing but the request it authenticates."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be stored or sent elsewhere")


@dataclass(frozen=True, slots=True)
class Connection:
    """One account at a vendor: `settings` (shop, organization, base_url ...) and `secrets`, each by its name.

    `revision` grows with every change of it, so that what was made of an older one is known to be old.
    """

    name: str
    connector: str
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a vendor's allowance may be used: `capacity` at once, growing back by `per_second`.

    `name` tells several budgets of a connection apart.
    """

    name: str
    capacity: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Admission:
    """No delay: go ahead. Else how long to wait, and what for."""

    delay: timedelta = timedelta(0)
    reason: str = ""


class Connections(Protocol):
    """Where connectors get credentials from."""

    async def use(self, name: str) -> Connection:
        """The connection with credentials that are good for a while: refreshed when most of their life is over.

        Raises UnknownConnection, NeedsReauthorisation.
        """

    async def renew(self, refused: Connection) -> Connection:
        """The connection with others than these credentials, which the vendor has refused: stored since, or new.

        Raises NeedsReauthorisation when there is no way to get any.
        """


class Budgets(Protocol):
    """What the vendors allow, counted over all workers."""

    async def admit(self, connection: str, budget: Budget, *, cost: float, ticket: str) -> Admission:
        """Whether to go ahead: then `cost` is taken. Else it is the ticket's turn later, and its place is kept."""

    async def correct(self, connection: str, budget: Budget, *, left: float) -> None:
        """The vendor says that so much is left now."""

    async def close_until(self, connection: str, *, delay: timedelta, reason: str) -> None:
        """Nothing of the connection is admitted for that long: the vendor said so."""

    async def report(self, connection: str, *, is_failure: bool) -> None:
        """The vendor answered, or failed. Failures in a row close the connection for a while."""


class Clients(Protocol):
    """The HTTP clients of a process, one for each connection."""

    async def of(self, connection: Connection, *, base_url: str) -> Any:
        """The httpx2.AsyncClient of this connection, whose requests go through the egress rules."""


@dataclass(frozen=True, slots=True)
class Connected:
    """What an App lends to connectors."""

    connections: Connections
    budgets: Budgets
    clients: Clients
