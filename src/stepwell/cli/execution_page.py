"""One execution, whole: what `stepwell executions show` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import click

from stepwell.app.outline import Outline, outline_of
from stepwell.app.payloads import as_json
from stepwell.cli.audit import show_audit
from stepwell.cli.callbacks import callback_document, show_callbacks
from stepwell.cli.events import show_waits
from stepwell.cli.family import Node, family_of, lines
from stepwell.cli.output import Cell, clean, note, show_fields, show_json_text, show_table, show_text
from stepwell.cli.shown import (
    ending_document,
    error_line,
    execution_document,
    moment,
    pretty,
    preview,
    status_cell,
    step_document,
    traceback_of,
)
from stepwell.core.callbacks import Callback
from stepwell.core.model import AuditRecord, Execution, Kind, StepRecord, WaitRecord
from stepwell.server import documents

if TYPE_CHECKING:
    from stepwell.app.application import App

COLUMNS = ("STEP", "KIND", "STATE", "ATTEMPT", "TIME", "VALUE")


class Page(NamedTuple):
    """All that is shown of an execution."""

    execution: Execution
    outline: Outline
    waits: Sequence[WaitRecord]
    family: Node
    audit: Sequence[AuditRecord]
    callbacks: Sequence[Callback]


async def read_page(app: App, execution_id: UUID) -> Page:
    """Raises UnknownExecution."""
    execution = await app.get(execution_id)
    store = (await app.open()).store
    return Page(
        execution,
        await outline_of(store, execution.id),
        await app.waits(execution_id=execution.id),
        await family_of(app, execution),
        await app.audit(execution.id),
        await store.callbacks.callbacks(execution.id),
    )


def document(page: Page) -> dict[str, Any]:
    """The same for programs. `items` counts what each map has stored."""
    execution, outline = page.execution, page.outline
    return {
        **execution_document(execution),
        "input": as_json(execution.input),
        **ending_document(execution),
        "steps": [step_document(record) for record in outline.records],
        "items": outline.items,
        "waits": [documents.wait(one) for one in page.waits],
        "callbacks": [callback_document(one) for one in page.callbacks],
        "children": _children(page.family),
        "unshown_children": page.family.unshown,
        "audit": [documents.act(one) for one in page.audit],
    }


def _children(node: Node) -> list[dict[str, Any]]:
    return [
        {**execution_document(child.execution), "children": _children(child), "unshown_children": child.unshown}
        for child in node.children
    ]


def show_page(page: Page, *, with_traceback: bool) -> None:
    """Where it is and why, what it has done, what came of it."""
    execution, outline = page.execution, page.outline
    show_fields([field for field in _header(execution) if field[1]])
    rows = [_step_row(record, outline.items) for record in outline.records]
    if rows := rows + _unfinished_maps(outline):
        click.echo()
        show_table(COLUMNS, rows)
    if page.waits:
        click.echo()
        show_waits(page.waits)
    if page.callbacks:
        click.echo()
        show_callbacks(page.callbacks)
    _show_children(page.family)
    if page.audit:
        click.echo()
        show_audit(page.audit)
    _show_payload("input", execution.input)
    _show_payload("result", execution.result)
    if execution.error is not None:
        _show_error(execution.error, with_traceback=with_traceback)


def _header(execution: Execution) -> list[tuple[str, str | Cell]]:
    return [
        ("execution", str(execution.id)),
        ("workflow", execution.workflow),
        ("status", status_cell(execution.status)),
        ("why", execution.why or ""),
        ("queue", execution.queue),
        ("key", execution.key or ""),
        ("tags", ", ".join(execution.tags)),
        ("parent", f"{execution.parent_id}  {execution.parent_key}" if execution.parent_id else ""),
        ("created", moment(execution.created_at)),
        ("started", moment(execution.started_at)),
        ("finished", moment(execution.finished_at)),
        ("due", moment(execution.due_at)),
        ("deadline", moment(execution.deadline_at)),
        ("passes", str(execution.passes)),
        ("crashes", str(execution.crashes)),
    ]


def _show_children(family: Node) -> None:
    rows: list[list[str | Cell]] = [
        [before, "", "", "", ""]
        if child is None
        else [f"{before}{child.id}", status_cell(child.status), child.workflow, child.parent_key or "", child.why or ""]
        for before, child in lines(family)
    ]
    if rows:
        click.echo()
        show_table(["CHILDREN", "STATUS", "WORKFLOW", "STARTED BY", "WHY"], rows)


def _step_row(record: StepRecord, items: dict[str, int]) -> list[str | Cell]:
    again = f"; again at {moment(record.retry_at)}" if record.retry_at else ""
    value = f"{items.get(record.key, 0):,} items" if record.kind == Kind.MAP else preview(record) + again
    state = Cell(documents.state_of(record), "red" if record.is_failure else "green")
    return [record.key, record.kind, state, str(record.attempt), moment(record.recorded_at), value]


def _unfinished_maps(outline: Outline) -> list[list[str | Cell]]:
    ended = {record.key for record in outline.records if record.kind == Kind.MAP}
    under_way = Cell("under way", "yellow")
    return [
        [key, Kind.MAP, under_way, "-", "-", f"{count:,} items so far"]
        for key, count in outline.items.items()
        if key not in ended
    ]


def _show_payload(name: str, payload: bytes | None) -> None:
    if payload is not None:
        click.echo(f"\n{name}")
        show_json_text(pretty(payload))


def _show_error(error: bytes, *, with_traceback: bool) -> None:
    click.echo(f"\nerror\n{clean(error_line(error))}")
    if with_traceback:
        show_text(traceback_of(error))
    else:
        note("--traceback shows where it was raised")
