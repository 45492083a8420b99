"""What is done to executions from outside: one by one, and in bulk."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Unpack
from uuid import UUID

from stepwell.app.checks import checked_limit, execution_id_of, optional_text
from stepwell.app.filters import FilterOptions, filter_of
from stepwell.app.handle import Handle
from stepwell.app.opening import Opening
from stepwell.client import Client
from stepwell.core.model import AuditRecord, ExecutionId, NewFork
from stepwell.core.status import Status
from stepwell.core.texts import checked_text
from stepwell.errors import InvalidOption, NotAllowed, UnknownExecution, UnknownStep
from stepwell.inputs import NOTHING
from stepwell.runtime.sending import encoded
from stepwell.store.identity import new_id

BULK_PAGE = 500  # executions that a bulk call looks at with one statement


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a bulk call did: how many executions matched its filter, and to how many of them it was done."""

    matched: int
    done: int


class ControlCalls(Opening):
    """The part of an App that changes the lives of executions. `by` says who does it, in the audit.

    It is by default the user and host of this process.
    """

    async def cancel(
        self, execution_id: UUID | str, *, reason: str = "cancelled", force: bool = False, by: str | None = None
    ) -> Status:
        """Cancel: it ends as cancelled, for sure; the answer is its status now.

        One that has not begun ends at once. In one that has, `Cancelled` is raised at its next durable call, and it
        ends when it has cleaned up; `force` ends it at once, whatever it does. Children it has called are cancelled
        with it. Raises UnknownExecution; NotAllowed when it had already completed or failed.
        """
        client = await self.open()
        identity, why = execution_id_of(execution_id), checked_text("reason", reason)
        return await client.cancel(identity, reason=why, force=force, by=actor(by))

    async def retry(self, execution_id: UUID | str, *, by: str | None = None) -> Status:
        """Continue a failed or cancelled execution from where it ended; completed steps are kept.

        Called children whose failure ended it are retried with it. A parked one, or one that waits before a retry, goes
        on now. Raises UnknownExecution, NotAllowed.
        """
        return await (await self.open()).retry(execution_id_of(execution_id), by=actor(by))

    async def pause(self, execution_id: UUID | str, *, reason: str | None = None, by: str | None = None) -> Status:
        """Let it go no further until it is resumed: what sleeps, waits or is ready is claimed no more.

        One that runs is handed back at its next durable call; steps that run may end. Time-outs and deadlines go on.
        Raises UnknownExecution; NotAllowed when it has ended or is being cancelled.
        """
        client = await self.open()
        why = optional_text("reason", reason)
        return await client.pause(execution_id_of(execution_id), by=actor(by), reason=why)

    async def resume(self, execution_id: UUID | str, *, reason: str | None = None, by: str | None = None) -> Status:
        """Let a paused execution go on; what fell due or came meanwhile is due now.

        Raises UnknownExecution; NotAllowed when it is not paused.
        """
        client = await self.open()
        why = optional_text("reason", reason)
        return await client.resume(execution_id_of(execution_id), by=actor(by), reason=why)

    async def resolve(
        self,
        execution_id: UUID | str,
        step: str,
        *,
        value: Any = NOTHING,
        repeat: bool = False,
        by: str | None = None,
    ) -> Status:
        """Say what became of an effect whose outcome is unknown: the `value` it made, or `repeat` it.

        `step` is the effect's name as `why` and `steps` show it. Raises UnknownExecution, InvalidOption, InvalidValue;
        NotAllowed when its outcome is not unknown, or while a worker runs the execution.
        """
        if (value is NOTHING) is not repeat:
            raise InvalidOption("give the value that the effect made, or repeat=True")
        stored = None if repeat else encoded(value, where=f"the value of step '{step}'")
        client = await self.open()
        return await client.resolve(
            execution_id_of(execution_id), checked_text("step", step), value=stored, by=actor(by)
        )

    async def fork(
        self,
        execution_id: UUID | str,
        input: Any = NOTHING,
        *,
        from_step: str | None = None,
        edit: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> Handle[Any]:
        """A new execution that begins with what this one had stored; this one is untouched, whatever its status.

        Without more it goes on after everything that is stored, but for the failures that ended the old one.
        `from_step` (a step's key, such as `fetch#2`) keeps only what was stored before that step. `edit` puts other
        results in the place of stored ones, also of a failure that ended the old one. A new `input` begins without
        history. The new execution sees the same `uuid()` and `random()`; its steps have idempotency keys of their own.
        Raises UnknownExecution, UnknownStep, InvalidInput, InvalidValue.
        """
        client = await self.open()
        source = execution_id_of(execution_id)
        new = ExecutionId(new_id())
        if input is NOTHING:
            edited = {
                step: encoded(value, where=f"edited result of step '{step}'") for step, value in (edit or {}).items()
            }
            fork = NewFork(source, new, optional_text("from_step", from_step), None, edited)
        else:
            if from_step is not None or edit:
                raise InvalidOption("a fork with another input begins without history: leave out from_step and edit")
            workflow = (await client.get(source)).workflow
            fork = NewFork(source, new, "", self.registry.bound(workflow, input).input)
        await client.fork(fork, by=actor(by))
        return Handle(self, new)  # type: ignore[arg-type]  # every App has these calls

    async def audit(
        self, execution_id: UUID | str | None = None, *, before: int | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """What was done to the execution, or to any, by whom and when; newest first.

        `before` is the number of the last one of the page before.
        """
        identity = None if execution_id is None else execution_id_of(execution_id)
        return await (await self.open()).audits(identity, before=before, limit=checked_limit(limit))

    async def cancel_many(
        self,
        *,
        reason: str = "cancelled",
        force: bool = False,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """`cancel` all executions that `list` would give with this filter. `dry_run` only counts them.

        Those that have ended meanwhile, or that it does not fit, are counted as matched, not as done. An empty filter
        is refused: InvalidOption.
        """
        why, who = checked_text("reason", reason), actor(by)
        return await self._bulk(which, dry_run, lambda client, id: client.cancel(id, reason=why, force=force, by=who))

    async def retry_many(self, *, by: str | None = None, dry_run: bool = False, **which: Unpack[FilterOptions]) -> Bulk:
        """`retry` all that the filter gives. See cancel_many."""
        who = actor(by)
        return await self._bulk(which, dry_run, lambda client, id: client.retry(id, by=who))

    async def pause_many(
        self,
        *,
        reason: str | None = None,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """`pause` all that the filter gives. See cancel_many."""
        why, who = optional_text("reason", reason), actor(by)
        return await self._bulk(which, dry_run, lambda client, id: client.pause(id, by=who, reason=why))

    async def resume_many(
        self,
        *,
        reason: str | None = None,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """`resume` all that the filter gives and that are paused. See cancel_many."""
        why, who = optional_text("reason", reason), actor(by)
        return await self._bulk(which, dry_run, lambda client, id: client.resume(id, by=who, reason=why))

    async def fork_many(
        self,
        *,
        from_step: str | None = None,
        by: str | None = None,
        dry_run: bool = False,
        **which: Unpack[FilterOptions],
    ) -> Bulk:
        """`fork` all that the filter gives. See cancel_many. Those without that step are not forked."""
        who, step = actor(by), optional_text("from_step", from_step)
        return await self._bulk(
            which, dry_run, lambda client, id: client.fork(NewFork(id, ExecutionId(new_id()), step), by=who)
        )

    async def _bulk(
        self,
        which: FilterOptions,
        dry_run: bool,
        change: Callable[[Client, ExecutionId], Awaitable[object]],
    ) -> Bulk:
        """Page by page, newest first: what a fork makes meanwhile is newer than the first page and is not met."""
        if not any(value not in (None, (), [], "") for value in which.values()):
            raise InvalidOption("say which executions are meant: by status, workflow, key, tags, parent, text or time")
        client, matched, done, last = await self.open(), 0, 0, None
        if dry_run:
            return Bulk(sum((await client.count(filter_of(which))).values()), 0)
        while True:
            page = await client.list(filter_of(which, before=last), limit=BULK_PAGE)
            for execution in page:
                matched += 1
                done += await _did(change(client, execution.id))
            if len(page) < BULK_PAGE:
                return Bulk(matched, done)
            last = page[-1].id


async def _did(change: Awaitable[object]) -> bool:
    try:
        await change
    except (NotAllowed, UnknownExecution, UnknownStep):
        return False
    return True


def actor(by: str | None) -> str:
    """Who does something, for the audit."""
    return checked_text("by", by) if by is not None else _this_user()


@cache
def _this_user() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
