"""Where the settings of a process come from."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from stepwell.core import retention
from stepwell.core.duration import InvalidDuration, parse_duration
from stepwell.errors import InvalidOption

DATABASE_URL = "STEPWELL_DATABASE_URL"
EMBEDDED_FOLDER = "STEPWELL_FOLDER"
SCHEMA = "STEPWELL_SCHEMA"
MIGRATE = "STEPWELL_MIGRATE"
DELIVERY_RETENTION = "STEPWELL_DELIVERY_RETENTION"
EGRESS_ALLOW = "STEPWELL_EGRESS_ALLOW"
KEYS = "STEPWELL_KEYS"
KEY_FILE = "STEPWELL_KEY_FILE"
PUBLIC_URL = "STEPWELL_PUBLIC_URL"


def database_url(given: str | None = None) -> str | None:
    """The database to use: the one given, else STEPWELL_DATABASE_URL; None means the embedded one."""
    return given or os.environ.get(DATABASE_URL) or None


def embedded_folder() -> Path:
    """Where the embedded database lives: STEPWELL_FOLDER, else `.stepwell` in the current folder."""
    return Path(os.environ.get(EMBEDDED_FOLDER) or ".stepwell").absolute()


def schema(given: str | None = None) -> str:
    """The schema to use: the one given, else STEPWELL_SCHEMA, else `stepwell`."""
    return given or os.environ.get(SCHEMA) or "stepwell"


def may_migrate() -> bool:
    """Whether opening a database also brings its schema to this version: yes, unless STEPWELL_MIGRATE=0."""
    value = os.environ.get(MIGRATE, "1").strip().lower()
    if value not in ("0", "1", "no", "yes", "false", "true"):
        raise InvalidOption(f"{MIGRATE} is {value!r}; use 0 or 1")
    return value in ("1", "yes", "true")


def egress_allowed() -> tuple[str, ...]:
    """What connectors may reach beyond the public internet: STEPWELL_EGRESS_ALLOW, separated by commas."""
    return tuple(filter(None, (part.strip() for part in os.environ.get(EGRESS_ALLOW, "").split(","))))


def keys() -> str | None:
    """The keys that encrypt credentials: STEPWELL_KEYS, as `id:base64` with commas between, the newest first."""
    return os.environ.get(KEYS) or None


def key_file() -> Path | None:
    """A file with such keys, one a line: STEPWELL_KEY_FILE."""
    text = os.environ.get(KEY_FILE)
    return Path(text).absolute() if text else None


def delivery_retention() -> timedelta:
    """How long deliveries of webhooks are kept: STEPWELL_DELIVERY_RETENTION, else 7 days."""
    try:
        kept = parse_duration(os.environ.get(DELIVERY_RETENTION) or retention.DELIVERY_RETENTION)
    except InvalidDuration as error:
        raise InvalidOption(f"{DELIVERY_RETENTION}: {error}") from None
    if kept < retention.SHORTEST_RETENTION:
        raise InvalidOption(f"{DELIVERY_RETENTION} is too short; a vendor sends again for days: write it like 7d")
    return kept


def public_url() -> str | None:
    """The URL under which others reach the server: STEPWELL_PUBLIC_URL. Raises InvalidOption."""
    text = os.environ.get(PUBLIC_URL)
    return checked_public_url(text, where=PUBLIC_URL) if text else None


def checked_public_url(url: str, *, where: str) -> str:
    """The URL without a slash at its end. Raises InvalidOption."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise InvalidOption(f"{where} is {url!r:.200}; give one like https://flows.example.com")
    return url.rstrip("/")
