"""Rows of any database as JSON, and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

Row = dict[str, Any]


def plain(value: Any) -> Any:
    """A column's value as JSON carries it: dates, decimals and UUIDs as text, bytes as base64, a time span as seconds.

    What is JSON already stays as it is.
    """
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case list() | tuple():
            return [plain(one) for one in value]
        case dict():
            return {str(name): plain(one) for name, one in value.items()}
        case _:
            return value


def plain_row(row: Mapping[str, Any]) -> Row:
    """A row by the names of its columns."""
    return {name: plain(value) for name, value in row.items()}
