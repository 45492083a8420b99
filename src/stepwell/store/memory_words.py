"""Why an execution is not moving, in the words of the view `stepwell.executions`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from stepwell.core.model import SessionId
from stepwell.core.status import Status
from stepwell.store.memory_rows import ExecutionRow, WorkerRow


def why(row: ExecutionRow, workers: Mapping[SessionId, WorkerRow], now: datetime) -> str | None:
    """Why it is not moving; None if there is nothing to say."""
    if row.owner is not None:
        return _why_running(row, workers[row.owner], now)
    if row.paused_by is not None and not row.status.is_final:
        return "; ".join([f"paused by {row.paused_by}", *([row.reason] if row.reason else [])])
    if row.status is Status.WAITING:
        return f"{row.reason}{_until(row.due_at)}"
    if row.status is not Status.PENDING or row.due_at is None:
        return row.reason
    timer = f"{row.reason or 'delayed'}{_until(row.due_at)}" if row.due_at > now else row.reason
    if not any(worker.is_alive(now) and worker.has(row.code, row.new.queue) for worker in workers.values()):
        which = "" if row.version is None else f"version {row.version} of "
        return "; ".join([f"no worker has {which}this workflow", *([timer] if timer else [])])
    if row.due_at > now:
        return timer
    return "; ".join([*([row.reason] if row.reason else []), "ready, waits for a free worker"])


def _why_running(row: ExecutionRow, worker: WorkerRow, now: datetime) -> str:
    if row.paused_by is not None:
        return f"being paused by {row.paused_by}"
    if row.cancel_requested_at is not None:
        return f"being cancelled by {worker.info.name}"
    if worker.expires_at < now:
        return f"its worker {worker.info.name} has died; taken over within seconds"
    return f"running on {worker.info.name}"


def _until(at: datetime | None) -> str:
    return "" if at is None else f" until {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
