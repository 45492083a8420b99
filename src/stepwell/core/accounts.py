"""Applications and connections as people get to see them: nothing secret is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stepwell.core.vault import ApplicationKind, ConnectionStatus


@dataclass(frozen=True, slots=True)
class ApplicationInfo:
    """An application, without its secrets."""

    name: str
    connector: str
    kind: ApplicationKind
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A connection, and whether it can be used: `status`, and `error` says why not.

    `check_error` is what the last check, at `checked_at`, has found; None: nothing was wrong.
    """

    name: str
    connector: str
    application: str | None
    settings: Mapping[str, str]
    status: ConnectionStatus
    error: str | None
    expires_at: datetime | None
    refreshed_at: datetime | None
    checked_at: datetime | None
    check_error: str | None
    has_hook_secrets: bool


@dataclass(frozen=True, slots=True)
class Consent:
    """A person is to open `url` and to agree. What the vendor sends back, with `state`, completes it.

    `binding` is for the browser that began it alone, if it was asked for: nobody else can complete it then.
    """

    url: str = field(repr=False)  # it holds the state
    state: str = field(repr=False)
    binding: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key that seals what is stored: whether this process has it, and how many values it has sealed."""

    id: str
    is_here: bool
    is_newest: bool
    values: int
