"""`stepwell executions`: look at executions, and change them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import click

from stepwell.cli.control import COMMANDS
from stepwell.cli.filters import filter_options
from stepwell.cli.options import Target, database_options, limit_option, output_options, several
from stepwell.cli.output import Cell, note, show_json, show_json_text, show_table
from stepwell.cli.tail import tail

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.app.filters import FilterOptions
    from stepwell.core.model import Execution


@click.group("executions")
def command() -> None:
    """Look at executions; cancel, retry, pause, resume and fork them."""


# --- list ---------------------------------------------------------------------------------------------------------


page_options = several(
    filter_options,
    limit_option(),
    click.option("--before", type=click.UUID, metavar="ID", help="Only those listed after this one: the next page."),
    output_options(),
    database_options,
)


@command.command("list")
@page_options
def list_(target: Target, which: FilterOptions, limit: int, before: UUID | None, as_json: bool) -> None:
    """List executions, newest first.

    Each with the reason why it is not moving. A time is like 2030-01-31T08:00, in UTC unless it says otherwise, or how
    long ago: 90m, 7d.
    """
    _list(target, which, limit=limit, before=before, as_json=as_json)


@command.command("search")
@click.argument("text")
@page_options
def search(target: Target, text: str, which: FilterOptions, limit: int, before: UUID | None, as_json: bool) -> None:
    """Find executions by words.

    Newest first. Each word of TEXT begins a word of the key, the tags, the reason, the input or the result; or the id
    begins with TEXT. The options are those of list.
    """
    which["text"] = text
    _list(target, which, limit=limit, before=before, as_json=as_json)


def _list(target: Target, which: FilterOptions, *, limit: int, before: UUID | None, as_json: bool) -> None:
    found = target.ask(lambda app: app.list(limit=limit + 1, before=before, **which))
    page, has_more = found[:limit], len(found) > limit
    if as_json:
        from stepwell.server import documents

        next_page = page[-1].id if has_more else None
        show_json({"executions": [documents.execution(one) for one in page], "before": next_page})
        return
    if not page:
        note("no executions match" if before or any(which.values()) else "there are no executions yet")
        return
    _show_list(page)
    if has_more:
        note(f"there are more: --before {page[-1].id}")


def _show_list(page: Sequence[Execution]) -> None:
    from stepwell.cli.shown import length, status_cell

    now = datetime.now(UTC)
    rows: list[list[str | Cell]] = [
        [
            str(one.id),
            status_cell(one.status),
            one.workflow,
            one.key or "-",
            length(now - one.created_at),
            one.why or "",
        ]
        for one in page
    ]
    show_table(["ID", "STATUS", "WORKFLOW", "KEY", "AGE", "WHY"], rows)


# --- show ---------------------------------------------------------------------------------------------------------


@command.command("show")
@click.argument("execution", type=click.UUID)
@click.option("--traceback", is_flag=True, help="Show where its error was raised.")
@output_options()
@database_options
def show(execution: UUID, target: Target, traceback: bool, as_json: bool) -> None:
    """Show one execution.

    Where it is and why, its steps, what it waits for, its children, what was done to it, its input and its end.
    """
    from stepwell.cli.execution_page import document, read_page, show_page

    page = target.ask(lambda app: read_page(app, execution))
    if as_json:
        show_json(document(page))
    else:
        show_page(page, with_traceback=traceback)


# --- export -------------------------------------------------------------------------------------------------------


@command.command("export")
@click.argument("execution", type=click.UUID)
@output_options("It is one JSON document anyway.")
@database_options
def export(execution: UUID, target: Target, as_json: bool) -> None:  # noqa: ARG001
    """Print an execution's history as JSON.

    All that is stored of it. Tests replay it against later versions of its workflow.
    """

    async def read(app: App) -> str:
        from stepwell.runtime.history import history_of, history_to_json

        client = await app.open()
        found = await app.get(execution)
        return history_to_json(history_of(found, await app.steps(execution), as_of=client.store.now()))

    show_json_text(target.ask(read))


# --- tail, and what changes them ----------------------------------------------------------------------------------

for _other in (tail, *COMMANDS):
    command.add_command(_other)
