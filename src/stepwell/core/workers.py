"""Workers as they are listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker process as it is listed. One that is not alive has not been heard of for longer than its lease.

    `workflows` has each version as well, as in pay@2; `running` counts the executions that it holds.
    """

    name: str
    workflows: tuple[str, ...]
    queues: tuple[str, ...]
    is_idle: bool
    started_at: datetime
    expires_at: datetime
    is_alive: bool
    running: int
