"""The memory store's listings: which rows are meant, in which order, and which are too old to be kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from stepwell.core.ids import time_of
from stepwell.core.model import ExecutionId, Filter
from stepwell.core.search import MAX_TEXT, Place, ids_like, patterns_of, spread
from stepwell.core.status import Status
from stepwell.store.memory_rows import ExecutionRow


def listed(rows: Mapping[ExecutionId, ExecutionRow], which: Filter) -> list[ExecutionRow]:
    """What is meant, newest first."""
    place = _place_of(rows, which.before)
    meant = [row for row in rows.values() if matches(row, which) and (place is None or _place(row) < place)]
    return sorted(meant, key=_place, reverse=True)


def matches(row: ExecutionRow, which: Filter) -> bool:
    """Whether a filter means it, wherever the page begins."""
    new = row.new
    return (
        (not which.statuses or row.status in which.statuses)
        and which.workflow in (None, new.workflow)
        and which.key in (None, new.key)
        and set(which.tags) <= set(new.tags)
        and which.parent in (None, row.child.execution_id if row.child else None)
        and _is_within(row.created_at, which.created_after, which.created_before)
        and _is_within(row.finished_at, which.finished_after, which.finished_before)
        and (which.text is None or _has_text(row, which.text))
    )


def _is_within(at: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if at is None:
        return after is None and before is None
    return (after is None or at >= after) and (before is None or at < before)


def _has_text(row: ExecutionRow, text: str) -> bool:
    given, ids = patterns_of(text), ids_like(text)
    if ids is not None and ids[0] <= row.id <= ids[1]:
        return True
    tags = " ".join(row.new.tags) if row.new.tags else None
    words = spread([row.new.key, tags, row.reason, _beginning(row.new.input), _beginning(row.result)])
    return all(pattern in words for pattern in given)


def _beginning(stored: bytes | None) -> str | None:
    is_readable = stored is not None and not stored.startswith(b"\x01")
    return stored.decode()[:MAX_TEXT] if stored is not None and is_readable else None


def _place(row: ExecutionRow) -> Place:
    return Place(row.created_at, row.id)


def _place_of(rows: Mapping[ExecutionId, ExecutionRow], before: UUID | None) -> Place | None:
    if before is None:
        return None
    row = rows.get(ExecutionId(before))
    return _place(row) if row else Place(time_of(before), before)


def old(rows: Mapping[ExecutionId, ExecutionRow], keep: Mapping[str, timedelta], now: datetime) -> list[ExecutionRow]:
    """What ended longer ago than its workflow is kept, and no parent may ask for."""
    ended = [row for row in rows.values() if row.finished_at is not None and row.new.workflow in keep]
    return [row for row in ended if _is_over(row, now - keep[row.new.workflow]) and not _is_wanted(row, rows)]


def _is_over(row: ExecutionRow, since: datetime) -> bool:
    return row.finished_at is not None and row.finished_at < since


def _is_wanted(row: ExecutionRow, rows: Mapping[ExecutionId, ExecutionRow]) -> bool:
    parent = rows.get(row.child.execution_id) if row.child else None
    return parent is not None and parent.status is not Status.COMPLETED
