"""What goes wrong with a vendor.

StepwellError
└── VendorError         an answer that did not help; another attempt may
    └── VendorRejected  our request is at fault: the step fails at once (also a Permanent)
"""

from __future__ import annotations

from datetime import timedelta

from stepwell.errors import Permanent, RetryAfter, StepwellError


class VendorError(StepwellError):
    """A vendor could not be reached, or failed; the step is tried again.

    `connector`, `connection` and `operation` say which call it was; `status` is that of the answer, None without one.
    """

    def __init__(
        self, *, connector: str, connection: str, operation: str, reason: str, status: int | None = None
    ) -> None:
        self.connector, self.connection, self.operation = connector, connection, operation
        self.reason, self.status = reason, status
        StepwellError.__init__(self, f"{connector} ({connection}), {operation}: {reason}")


class VendorBusy(VendorError, RetryAfter):
    """The vendor failed and says when to come back: `delay` is from then."""

    def __init__(
        self, *, connector: str, connection: str, operation: str, reason: str, status: int | None, delay: timedelta
    ) -> None:
        self.delay = delay
        super().__init__(connector=connector, connection=connection, operation=operation, reason=reason, status=status)


class VendorRejected(VendorError, Permanent):
    """The vendor rejected the request and would do so again. `code` is the vendor's own for it, or None."""

    def __init__(
        self,
        *,
        connector: str,
        connection: str,
        operation: str,
        reason: str,
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        self.code = code
        super().__init__(connector=connector, connection=connection, operation=operation, reason=reason, status=status)
