"""How long an execution is kept after its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration

RetentionLike = DurationLike | Literal["forever"]

DEFAULT_RETENTION = timedelta(days=30)
DELIVERY_RETENTION = timedelta(days=7)  # longer than any vendor sends again what was not answered well
SHORTEST_RETENTION = timedelta(minutes=1)  # whoever waits for a result needs a moment to read it


def parse_retention(value: RetentionLike | None) -> timedelta | None:
    """How long executions are kept: 30 days unless said otherwise, None for "forever". Raises InvalidDuration."""
    if value is None:
        return DEFAULT_RETENTION
    if value == "forever":
        return None
    kept = parse_duration(value)
    if kept < SHORTEST_RETENTION:
        raise InvalidDuration(f"{value!r} is too short; keep executions for a minute at least, or 'forever'")
    return kept
