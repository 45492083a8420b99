"""`stepwell audit`: who did what to which execution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import Cell, note, show_json, show_table

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.core.model import AuditRecord

LARGEST_PAGE = 1_000


@click.group("audit")
def command() -> None:
    """See who did what to which execution."""


@command.command("list")
@click.argument("execution", type=click.UUID, required=False)
@click.option("--limit", type=click.IntRange(1, LARGEST_PAGE), default=20, show_default=True, help="How many at most.")
@click.option("--before", type=click.INT, metavar="NUMBER", help="Only those listed after this one: the next page.")
@output_options()
@database_options
def list_(execution: UUID | None, limit: int, before: int | None, target: Target, as_json: bool) -> None:
    """List what was done to executions, newest first.

    To all, or to one EXECUTION.
    """

    async def read(app: App) -> Sequence[AuditRecord]:
        return await app.audit(execution, before=before, limit=limit + 1)

    found = target.ask(read)
    page, has_more = found[:limit], len(found) > limit
    if as_json:
        next_page = page[-1].number if has_more else None
        show_json({"audit": [audit_document(one) for one in page], "before": next_page})
        return
    if not page:
        note("nothing was done")
        return
    show_audit(page)
    if has_more:
        note(f"there are more: --before {page[-1].number}")


def audit_document(record: AuditRecord) -> dict[str, Any]:
    """For programs."""
    return {
        "number": record.number,
        "done_at": record.done_at,
        "execution_id": record.execution_id,
        "by": record.actor,
        "action": record.action,
        "detail": record.detail,
    }


def show_audit(records: Sequence[AuditRecord]) -> None:
    """For people."""
    from stepwell.cli.shown import moment

    rows: list[list[str | Cell]] = [
        [str(one.execution_id), moment(one.done_at), one.action, one.actor, one.detail or ""] for one in records
    ]
    show_table(["EXECUTION", "TIME", "ACTION", "BY", "DETAIL"], rows)
