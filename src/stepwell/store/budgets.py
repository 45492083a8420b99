"""What the vendors allow, on PostgreSQL. See `Budgets` in core/connections.py."""

from __future__ import annotations

import logging
from datetime import timedelta

from stepwell.core.budgets import FIRST_BREAK, LONGEST_BREAK, MAX_FAILURES, USED_UP, full_after
from stepwell.core.connections import Admission, Budget
from stepwell.store import binary
from stepwell.store.catalog import Run
from stepwell.store.connect import may_pass

log = logging.getLogger("stepwell.store")

LOOK_AGAIN = timedelta(seconds=5)  # while the database does not say whether to go ahead


class PostgresBudgets:
    """Keeps the Budgets protocol, one statement for each operation.

    What the database does not take now fails nobody: a request that may not have been admitted has its turn later, and
    what a vendor has answered is not lost because its limits cannot be noted.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._failing: set[str] = set()  # connections that have failed lately: only their answers are worth a statement

    async def admit(self, connection: str, budget: Budget, *, cost: float, ticket: str) -> Admission:
        try:
            ((delay, closed_because, failures),) = await self._run(
                "admit",
                connection.encode(),
                budget.name.encode(),
                binary.float8(budget.capacity),
                binary.float8(budget.per_second),
                binary.float8(cost),
                ticket.encode(),
            )
        except Exception as error:
            if not may_pass(error):
                raise
            return Admission(LOOK_AGAIN, f"the database does not say what is allowed: {_first_line(error)}")
        if failures:
            self._failing.add(connection)
        return Admission(timedelta(seconds=delay), closed_because or USED_UP) if delay > 0 else Admission()

    async def correct(self, connection: str, budget: Budget, *, left: float) -> None:
        seconds = full_after(budget, left=left).total_seconds()
        await self._note("correct_budget", connection.encode(), budget.name.encode(), binary.float8(seconds))

    async def close_until(self, connection: str, *, delay: timedelta, reason: str) -> None:
        seconds = binary.float8(delay.total_seconds())
        await self._note("close_connection", connection.encode(), seconds, reason.encode())

    async def report(self, connection: str, *, is_failure: bool) -> None:
        if is_failure:
            self._failing.add(connection)
            first, longest = FIRST_BREAK.total_seconds(), LONGEST_BREAK.total_seconds()
            limits = binary.int4(MAX_FAILURES), binary.float8(first), binary.float8(longest)
            await self._note("count_failure", connection.encode(), *limits)
        elif connection in self._failing:
            self._failing.discard(connection)
            if not await self._note("forget_failures", connection.encode()):
                self._failing.add(connection)

    async def _note(self, name: str, *parameters: bytes) -> bool:
        """Whether it could be noted. The vendor has answered by then: an error would have its work done again."""
        try:
            await self._run(name, *parameters)
        except Exception as error:
            if not may_pass(error):
                raise
            log.warning("what a vendor allows cannot be noted now: %s", _first_line(error))
            return False
        return True


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
