"""Every error Stepwell raises on purpose.

    StepwellError
    ├── InvalidValue            a value that would not survive storage
    │   └── PayloadTooLarge     ... because of its size
    ├── InvalidInput            input that does not fit the workflow's annotations
    ├── InvalidOption           a setting, duration or option that makes no sense
    ├── UnknownWorkflow         this process has no workflow of that name
    ├── UnknownExecution        no execution has that id
    ├── UnknownStep             a fork names a step that has no outcome
    ├── UnknownCallback         this URL answers nothing
    ├── CallbackClosed          a callback has expired, or its execution has ended
    ├── CallbackAnswered        somebody else has answered it
    ├── InvalidAnswer           an answer does not fit what is asked for
    ├── UnknownSchedule         no schedule has that id
    ├── UnknownDelivery         no delivery of a webhook has that id
    ├── KeyConflict             the same key was already used with another input
    ├── NotAllowed              the execution's status does not allow this operation
    ├── ExecutionFailed         `result()` of an execution that failed
    ├── ExecutionCancelled      `result()` of an execution that was cancelled
    ├── ResultTimeout           `result(timeout=...)` ran out; the execution goes on
    ├── StepFailed              a step used up its attempts (raised inside the workflow)
    │   └── ChildFailed         a called child failed or was cancelled (raised inside the workflow)
    ├── HistoryTooLarge         an execution has stored as much as one may (raised inside the workflow)
    ├── StepTimeout             an attempt of a step took longer than its timeout
    ├── Permanent               raise it in a step: do not retry
    ├── RetryAfter              raise it in a step: retry after this delay
    ├── NotYet                  raise it in a step: it cannot run now, and this is no attempt
    │   ├── Unsealable          ... because what is stored of a secret cannot be opened
    │   └── ConnectionUnusable  ... because its connection was disabled
    │       └── NeedsReauthorisation ... because somebody has to connect the account again
    ├── UnknownConnection       no connection has that name
    ├── UnknownToken            no token has that name, or it is revoked
    ├── UnknownApplication      no application has that name
    ├── AuthorisationFailed     an account could not be connected
    ├── Diverged                the workflow's code no longer fits its history
    ├── LeaseLost               this worker's session has ended; it may write nothing more
    └── DatabaseError
        ├── DatabaseUnavailable the database cannot be reached at the moment
        ├── DatabaseNotReady    the schema is missing or of another version
        └── EmbeddedUnavailable no embedded PostgreSQL can be started here

`Cancelled` stands beside the tree: a BaseException, which `except Exception` lets through.

An error carries its facts as attributes; its message names the thing and the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration


class StepwellError(Exception):
    """Base of every error Stepwell raises on purpose."""


class InvalidValue(StepwellError):
    """A value would not survive storage: `path` says where inside it, `reason` why, `where` whose value it is."""

    def __init__(self, *, path: str, reason: str, where: str | None = None) -> None:
        self.path, self.reason, self.where = path, reason, where
        super().__init__(f"{where or 'the value'}: {path} {reason}")

    def at(self, where: str) -> InvalidValue:
        """The same error, naming whose value it is (`step 'fetch'`)."""
        return type(self)(path=self.path, reason=self.reason, where=where)


class PayloadTooLarge(InvalidValue):
    """A value is larger than the limit. Store the data elsewhere and return a reference to it."""

    def __init__(self, *, size_bytes: int, limit_bytes: int, where: str | None = None) -> None:
        self.size_bytes, self.limit_bytes = size_bytes, limit_bytes
        super().__init__(
            path="$",
            reason=f"has {size_bytes:,} bytes, the limit is {limit_bytes:,}."
            " Store the data elsewhere and return a reference.",
            where=where,
        )

    def at(self, where: str) -> PayloadTooLarge:
        return type(self)(size_bytes=self.size_bytes, limit_bytes=self.limit_bytes, where=where)


class InvalidInput(StepwellError):
    """Input that does not fit a workflow's annotations; nothing was stored. `faults` lists (path, message) pairs."""

    def __init__(self, workflow: str, faults: Sequence[tuple[str, str]]) -> None:
        self.workflow, self.faults = workflow, tuple(faults)
        lines = "; ".join(f"{path}: {message}" for path, message in self.faults)
        super().__init__(f"input of workflow '{workflow}' is refused: {lines}")


class InvalidOption(StepwellError, ValueError):
    """A setting, duration or option makes no sense; the message says which and what would."""


class UnknownWorkflow(StepwellError):
    """This process has no workflow of that name."""

    def __init__(self, workflow: str, known: Sequence[str] = ()) -> None:
        self.workflow, self.known = workflow, tuple(sorted(known))
        have = f"it has: {', '.join(self.known)}" if self.known else "it has none; import the module that defines it"
        super().__init__(f"no workflow is called '{workflow}' here; {have}")


class UnknownExecution(StepwellError):
    """No execution has that id."""

    def __init__(self, execution_id: object) -> None:
        self.execution_id = execution_id
        super().__init__(f"there is no execution {execution_id}; it may have been removed by retention")


class UnknownCallback(StepwellError):
    """A URL answers nothing: it was not made here, was changed, or its execution has been removed."""

    def __init__(self) -> None:
        super().__init__("this URL answers nothing; it is incomplete, or what it belongs to has been removed")


class CallbackClosed(StepwellError):
    """A callback can be answered no more. `because` says why."""

    def __init__(self, name: str, *, because: str) -> None:
        self.name, self.because = name, because
        super().__init__(f"'{name}' can be answered no more: {because}")


class CallbackAnswered(StepwellError):
    """A callback was answered before: `answered_by` (None: they did not say), `answered_at`."""

    def __init__(self, name: str, *, answered_by: str | None, answered_at: datetime) -> None:
        self.name, self.answered_by, self.answered_at = name, answered_by, answered_at
        who = f" by {answered_by}" if answered_by else ""
        super().__init__(f"'{name}' was answered{who} at {answered_at:%Y-%m-%d %H:%M:%S} UTC")


class InvalidAnswer(StepwellError):
    """An answer does not fit what is asked for; nothing was stored. `faults` lists (path, message) pairs."""

    def __init__(self, name: str, faults: Sequence[tuple[str, str]]) -> None:
        self.name, self.faults = name, tuple(faults)
        lines = "; ".join(f"{path} {message}" for path, message in self.faults)
        super().__init__(f"the answer to '{name}' is refused: {lines}")


class UnknownSchedule(StepwellError):
    """No schedule has that id."""

    def __init__(self, schedule: str, known: Sequence[str] = ()) -> None:
        self.schedule, self.known = schedule, tuple(sorted(known))
        have = f"there are: {', '.join(self.known)}" if self.known else "there are none; a worker's start declares them"
        super().__init__(f"no schedule is called '{schedule}'; {have}")


class UnknownDelivery(StepwellError):
    """No delivery of a webhook has that id."""

    def __init__(self, delivery_id: object) -> None:
        self.delivery_id = delivery_id
        super().__init__(f"there is no delivery {delivery_id}; it may have been removed by retention")


class UnknownStep(StepwellError):
    """A fork begins at, or edits, a step that has no stored outcome in the execution; nothing was made."""

    def __init__(self, *, execution_id: object, steps: Sequence[str]) -> None:
        self.execution_id, self.steps = execution_id, tuple(steps)
        named = ", ".join(f"'{step}'" for step in self.steps)
        super().__init__(
            f"execution {execution_id} has no stored outcome that a fork could use: {named};"
            f" see `stepwell executions show {execution_id}`"
        )


class KeyConflict(StepwellError):
    """The key already belongs to an execution with another input; that one is untouched, nothing was started."""

    def __init__(self, *, workflow: str, key: str, execution_id: object) -> None:
        self.workflow, self.key, self.execution_id = workflow, key, execution_id
        super().__init__(
            f"key '{key}' of workflow '{workflow}' already belongs to execution {execution_id} with another input;"
            " use another key, or the same input"
        )


class NotAllowed(StepwellError):
    """The execution's status does not allow the operation; nothing was changed."""

    def __init__(self, *, operation: str, execution_id: object, status: str, because: str = "") -> None:
        self.operation, self.execution_id, self.status, self.because = operation, execution_id, status, because
        reason = f", and {because}" if because else ""
        super().__init__(f"cannot {operation} execution {execution_id}: it is {status}{reason}")


class ExecutionFailed(StepwellError):
    """The execution whose result was asked for has failed; `error_type`, `message`, `traceback` are as stored."""

    def __init__(self, *, execution_id: object, error_type: str, message: str, traceback: str | None = None) -> None:
        self.execution_id, self.error_type, self.message, self.traceback = execution_id, error_type, message, traceback
        super().__init__(f"execution {execution_id} failed: {error_type}: {message}")


class ExecutionCancelled(StepwellError):
    """The execution whose result was asked for was cancelled."""

    def __init__(self, *, execution_id: object, reason: str | None = None) -> None:
        self.execution_id, self.reason = execution_id, reason
        super().__init__(f"execution {execution_id} was cancelled" + (f": {reason}" if reason else ""))


class ResultTimeout(StepwellError, TimeoutError):
    """The result did not come within the time allowed; the execution goes on."""

    def __init__(self, *, execution_id: object, status: str) -> None:
        self.execution_id, self.status = execution_id, status
        super().__init__(f"execution {execution_id} is still {status}; it goes on, ask again later")


class StepFailed(StepwellError):
    """A step used up its attempts. The same, with the same attributes, on the first pass and on every replay.

    For a map `step` is its first failed item and `steps` are all of them; else `steps` is the one. A retry of the
    execution runs these again.
    """

    def __init__(
        self,
        *,
        step: str,
        attempts: int,
        error_type: str,
        message: str,
        traceback: str = "",
        causes: Sequence[str] = (),
        steps: Sequence[str] = (),
    ) -> None:
        self.step, self.attempts, self.steps = step, attempts, tuple(steps) or (step,)
        self.error_type, self.message, self.traceback, self.causes = error_type, message, traceback, tuple(causes)
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        super().__init__(f"step '{step}' failed after {tries}: {error_type}: {message}")


class ChildFailed(StepFailed):
    """A child that `step.call` waited for has failed or was cancelled; the same on every replay.

    `execution_id` is the child, `status` how it ended, `error_type` and `message` why. `step` is the call.
    """

    def __init__(
        self, *, step: str, execution_id: str, status: str, error_type: str, message: str, traceback: str = ""
    ) -> None:
        super().__init__(step=step, attempts=1, error_type=error_type, message=message, traceback=traceback)
        self.execution_id, self.status = execution_id, status
        ended = "failed" if status == "failed" else f"was {status}"
        self.args = (f"child '{step}' ({execution_id}) {ended}: {error_type}: {message}",)


class HistoryTooLarge(StepwellError):
    """The execution has stored as much as one may, and begins no more steps. Clean-up and compensation still run."""

    def __init__(self, *, step: str, size_bytes: int, limit_bytes: int) -> None:
        self.step, self.size_bytes, self.limit_bytes = step, size_bytes, limit_bytes
        super().__init__(
            f"'{step}' is not begun: this execution has stored {size_bytes:,} bytes, the limit is {limit_bytes:,}, for"
            " every pass reads them all; store data elsewhere and return references, and give parts of long work to"
            " children or to the items of a step.map"
        )


class Cancelled(BaseException):
    """Raised at the next durable call of a workflow that is being cancelled, or whose deadline has come.

    Durable calls made after it, in `except` and `finally`, still run, until the grace for cleaning up is over. The
    execution ends as cancelled whatever the workflow returns or raises then.
    """


class StepTimeout(StepwellError, TimeoutError):
    """An attempt of a step took longer than its timeout; it counts as a failed attempt."""

    def __init__(self, *, step: str, timeout: timedelta) -> None:
        self.step, self.timeout = step, timeout
        super().__init__(f"step '{step}' took longer than {timeout.total_seconds():g} s")


class Permanent(StepwellError):
    """Raise it in a step when another attempt would fail as well: the step fails at once."""


class RetryAfter(StepwellError):
    """Raise it in a step to set the delay before the next attempt, as a vendor's `Retry-After` does.

    `delay` is a duration such as "30s", a timedelta, or a number of seconds; a time that has passed means at once. It
    counts as an attempt.
    """

    def __init__(self, delay: DurationLike | float, message: str = "") -> None:
        self.delay = _delay("RetryAfter", delay)
        super().__init__(message or f"asked to retry after {self.delay.total_seconds():g} s")


class NotYet(StepwellError):
    """Raise it in a step that cannot run now, as when a rate limit is used up: it is called again after the delay.

    It does not count as an attempt, so a step may wait in this way for as long as it takes. `delay` as in RetryAfter;
    `reason` is what listings show meanwhile.
    """

    is_outside = False  # whether something from outside may let it go on before the delay is over

    def __init__(self, delay: DurationLike | float, reason: str) -> None:
        self.delay, self.reason = _delay("NotYet", delay), reason
        super().__init__(reason)


class ConnectionUnusable(NotYet):
    """A connection was disabled. The execution is parked, and goes on when it is enabled again."""

    LOOK_AGAIN = timedelta(hours=1)  # the backstop: whoever makes it usable wakes those that wait
    is_outside = True

    def __init__(self, connection: str, reason: str = "is disabled") -> None:
        self.connection = connection
        super().__init__(self.LOOK_AGAIN, f"connection '{connection}' {reason}")


class NeedsReauthorisation(ConnectionUnusable):
    """The credentials of a connection are refused and cannot be renewed: somebody has to connect the account again.

    The execution is parked, and goes on when that has been done.
    """

    def __init__(self, connection: str) -> None:
        super().__init__(connection, "needs re-authorisation")


class UnknownConnection(StepwellError):
    """No connection has that name."""

    def __init__(self, connection: str) -> None:
        self.connection = connection
        super().__init__(f"there is no connection '{connection}'; `stepwell connections add {connection}` makes one")


class UnknownToken(StepwellError):
    """No token has that name, or it was revoked before."""

    def __init__(self, token: str, known: Sequence[str] = ()) -> None:
        self.token, self.known = token, tuple(sorted(known))
        have = f"there are: {', '.join(self.known)}" if self.known else "there are none"
        super().__init__(f"no token is called '{token}'; {have}")


class UnknownApplication(StepwellError):
    """No application has that name."""

    def __init__(self, application: str) -> None:
        self.application = application
        super().__init__(
            f"there is no application '{application}'; `stepwell applications add {application}` makes one"
        )


class AuthorisationFailed(StepwellError):
    """An account could not be connected: `reason`, in the vendor's words if there are any. `connection` may be None."""

    def __init__(self, connection: str | None, reason: str) -> None:
        self.connection, self.reason = connection, reason
        what = f"connection '{connection}'" if connection else "the account"
        super().__init__(f"{what} could not be connected: {reason}")


class Unsealable(NotYet):
    """What is stored of a secret cannot be opened: `table`, `row`, `column` and `key_id` say which, `why` says why.

    A step that meets it is called again every minute, and has lost no attempt when somebody puts the key back.
    """

    def __init__(self, table: str, row: str, column: str, *, key_id: str | None, why: str) -> None:
        self.table, self.row, self.column, self.key_id, self.why = table, row, column, key_id, why
        sealed = f"sealed with key '{key_id}'" if key_id else "sealed"
        super().__init__(
            timedelta(minutes=1),
            f"{column} of {table} '{row}', {sealed}, cannot be opened: {why}. Put the key back into STEPWELL_KEYS or"
            " the key file, or set the secret again",
        )


def _delay(where: str, delay: DurationLike | float) -> timedelta:
    try:
        asked = timedelta(seconds=delay) if isinstance(delay, int | float) else delay
        return parse_duration(max(asked, timedelta(0)) if isinstance(asked, timedelta) else asked)
    except InvalidDuration as error:
        raise InvalidOption(f"{where}({delay!r}): {error}") from None
    except (OverflowError, ValueError):  # NaN, infinite, or too large for a timedelta
        raise InvalidOption(f"{where}({delay!r}): use a duration such as '30s', or seconds up to 1,000 years") from None


class Diverged(StepwellError):
    """The workflow's code no longer fits its history; the execution is parked and goes on when the code fits again."""

    def __init__(
        self, *, step: str, expected: str, met: str, message: str | None = None, way_out: str | None = None
    ) -> None:
        self.step, self.expected, self.met = step, expected, met
        super().__init__(
            message
            or f"'{step}' is {expected} in this execution's history, but the code now makes it {met};"
            f" {way_out or 'restore the step, rename it (was=) or start a new execution'}"
        )


class LeaseLost(StepwellError):
    """This worker's session has ended: it may write nothing more, and another worker carries on."""


class DatabaseError(StepwellError):
    """Base of what can be wrong with the database."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached at the moment. Nothing that was acknowledged is lost."""


class DatabaseNotReady(DatabaseError):
    """The database's schema is missing or of another version; the message says which command helps."""


class EmbeddedUnavailable(DatabaseError):
    """No embedded PostgreSQL can be started here; the message says what helps."""
