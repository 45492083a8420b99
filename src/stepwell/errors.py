"""Every error Stepwell raises on purpose.

    StepwellError
    ├── InvalidValue            a value that would not survive storage, or is too large
    │   └── PayloadTooLarge
    ├── InvalidInput            input that does not fit the workflow's annotations
    ├── InvalidOption           a setting, duration or option that makes no sense
    ├── UnknownWorkflow         this process has no workflow of that name
    ├── UnknownExecution        no execution has that id
    ├── KeyConflict             the same key was already used with another input
    ├── ExecutionFailed         `result()` of an execution that failed
    ├── ExecutionCancelled      `result()` of an execution that was cancelled
    ├── ResultTimeout           `result(timeout=...)` ran out; the execution goes on
    ├── NotAllowed              the execution's status does not allow this operation
    ├── StepFailed              a step used up its attempts (raised inside the workflow)
    ├── Permanent               raise it in a step: do not retry
    ├── RetryAfter              raise it in a step: retry after this delay
    ├── Cancelled               the execution is being cancelled (raised inside the workflow)
    ├── Diverged                the workflow's code no longer fits its history
    ├── LeaseLost               this worker's session has ended; it may write nothing more
    └── DatabaseError
        ├── DatabaseUnavailable the database cannot be reached at the moment
        ├── DatabaseNotReady    the schema is missing or of another version
        └── EmbeddedUnavailable no embedded PostgreSQL can be started here
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any


class StepwellError(Exception):
    """Base of every error Stepwell raises on purpose."""
