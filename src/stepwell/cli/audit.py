"""`stepwell audit`: who did what to which execution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import click

from stepwell.cli.options import Target, database_options, limit_option, output_options
from stepwell.cli.output import Cell, note, show_json, show_table

if TYPE_CHECKING:
    from stepwell.core.model import AuditRecord


@click.group("audit")
def command() -> None:
    """See who did what to which execution."""


@command.command("list")
@click.argument("execution", type=click.UUID, required=False)
@limit_option()
@click.option("--before", type=click.INT, metavar="NUMBER", help="Only those listed after this one: the next page.")
@output_options()
@database_options
def list_(execution: UUID | None, limit: int, before: int | None, target: Target, as_json: bool) -> None:
    """List what was done to executions, newest first.

    To all, or to one EXECUTION.
    """
    found = target.ask(lambda app: app.audit(execution, before=before, limit=limit + 1))
    page, has_more = found[:limit], len(found) > limit
    if as_json:
        from stepwell.server import documents

        next_page = page[-1].number if has_more else None
        show_json({"audit": [documents.act(one) for one in page], "before": next_page})
        return
    if not page:
        note("nothing was done")
        return
    show_audit(page)
    if has_more:
        note(f"there are more: --before {page[-1].number}")


def show_audit(records: Sequence[AuditRecord]) -> None:
    """For people."""
    from stepwell.cli.shown import moment

    rows: list[list[str | Cell]] = [
        [str(one.execution_id), moment(one.done_at), one.action, one.actor, one.detail or ""] for one in records
    ]
    show_table(["EXECUTION", "TIME", "ACTION", "BY", "DETAIL"], rows)
