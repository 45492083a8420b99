"""Applications and connections as they are stored, and what is decided about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

SHARE_OF_LIFE = 0.8  # of an access token, after which it is refreshed
JITTER = 0.1  # of its life, both ways, lest all processes come at once
LEAST_LEFT = timedelta(seconds=10)  # a token that ends earlier may have ended when the request arrives


class ConnectionStatus(StrEnum):
    """Whether a connection can be used."""

    OK = "ok"
    NEEDS_REAUTH = "needs_reauth"  # its credentials are refused and cannot be renewed
    DISABLED = "disabled"  # by somebody


class ApplicationKind(StrEnum):
    """How an application authenticates its connections."""

    AUTHORIZATION_CODE = "oauth2-code"  # OAuth 2 with a person's consent (RFC 6749, section 4.1, and RFC 7636)
    CLIENT_CREDENTIALS = "oauth2-client"  # OAuth 2 in its own name (RFC 6749, section 4.4)
    INSTALLATION = "github-app"  # a GitHub App as its installation in an account, by its private key
    SHARED = "shared"  # an API key, or a user and a password, that all its connections have

    @property
    def is_oauth(self) -> bool:
        """Whether its connections have tokens that are renewed."""
        return self is not ApplicationKind.SHARED


@dataclass(frozen=True, slots=True)
class StoredApplication:
    """An application as it is stored; `credentials` are sealed."""

    name: str
    connector: str
    kind: ApplicationKind
    settings: Mapping[str, str]
    credentials: bytes
    revision: int = 1


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection as it is stored; `credentials` and `hook_secrets` are sealed.

    `expires_at` is that of the access token. `renewing_at`: a refresh began then whose answer is not stored yet.
    `revision` grows with every change, not with checks and refreshes that begin.
    """

    name: str
    connector: str
    application: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    credentials: bytes = b""
    hook_secrets: bytes | None = None
    status: ConnectionStatus = ConnectionStatus.OK
    error: str | None = None
    expires_at: datetime | None = None
    refreshed_at: datetime | None = None
    renewing_at: datetime | None = None
    checked_at: datetime | None = None
    check_error: str | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Authorisation:
    """A consent that somebody was asked for, until it is redeemed or expires. `verifier` is sealed (RFC 7636)."""

    state: bytes  # SHA-256 of what the vendor sends back
    connection: str
    redirect_uri: str
    verifier: bytes
    binding: bytes | None = None  # SHA-256 of what only the browser that began it has


@dataclass(frozen=True, slots=True)
class StoredEndpoints:
    """What verifies deliveries, all of one moment: connections without their credentials, and their applications."""

    connections: tuple[StoredConnection, ...]
    applications: tuple[StoredApplication, ...]


def renew_at(refreshed_at: datetime, expires_at: datetime, *, random: float) -> datetime:
    """When a token is to be refreshed: at 80 % of its life, give or take 10 % by `random`, 0 to 1."""
    share = SHARE_OF_LIFE + JITTER * (2 * random - 1)
    return refreshed_at + (expires_at - refreshed_at) * share


def is_good(expires_at: datetime | None, now: datetime) -> bool:
    """Whether a token can still be sent."""
    return expires_at is None or now + LEAST_LEFT < expires_at
