"""Durations as people write them: "30s", "10m", "24h", "7d", "1h30m"."""

from __future__ import annotations

import re
from datetime import timedelta

DurationLike = str | timedelta

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")

MAX_DURATION = timedelta(days=365_000)  # 1,000 years: beyond it dates leave Python's and PostgreSQL's common range


class InvalidDuration(ValueError):
    """The text is no duration; the message shows the accepted form."""


def parse_duration(value: DurationLike) -> timedelta:
    """A non-negative duration of at most 1,000 years, from a timedelta or text such as "90s", "1h30m", "0.5d".

    Raises InvalidDuration for anything else, among it negative, infinite and NaN values.
    """
    if isinstance(value, timedelta):
        return _checked(value, value)
    text = value.strip().replace(" ", "") if isinstance(value, str) else ""
    if not _WHOLE.fullmatch(text):
        raise InvalidDuration(f"{value!r} is no duration; write it like '30s', '10m', '24h', '7d' or '1h30m'")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > MAX_DURATION.total_seconds():
        raise InvalidDuration(f"{value!r} is longer than 1,000 years")
    return timedelta(seconds=seconds)


def _checked(duration: timedelta, shown: object) -> timedelta:
    if duration < timedelta(0):
        raise InvalidDuration(f"{shown!r} is negative")
    if duration > MAX_DURATION:
        raise InvalidDuration(f"{shown!r} is longer than 1,000 years")
    return duration
