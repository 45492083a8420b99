"""One execution, whole: what `stepwell executions show` shows."""

from __future__ import annotations

from typing import Any

import click

from stepwell.cli.outline import Outline
from stepwell.cli.output import Cell, clean, note, show_fields, show_json_text, show_table, show_text
from stepwell.cli.shown import (
    ending_document,
    error_line,
    execution_document,
    moment,
    pretty,
    preview,
    raw,
    state_of,
    status_cell,
    step_document,
    traceback_of,
)
from stepwell.core.model import Execution, Kind, StepRecord

COLUMNS = ("STEP", "KIND", "STATE", "ATTEMPT", "TIME", "VALUE")


def document(execution: Execution, outline: Outline) -> dict[str, Any]:
    """The same for programs. `items` counts what each map has stored."""
    return {
        **execution_document(execution),
        "input": raw(execution.input),
        **ending_document(execution),
        "steps": [step_document(record) for record in outline.records],
        "items": outline.items,
    }


def show_page(execution: Execution, outline: Outline, *, with_traceback: bool) -> None:
    """Where it is and why, what it has done, what came of it."""
    show_fields([field for field in _header(execution) if field[1]])
    rows = [_step_row(record, outline.items) for record in outline.records]
    if rows := rows + _unfinished_maps(outline):
        click.echo()
        show_table(COLUMNS, rows)
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
        ("created", moment(execution.created_at)),
        ("started", moment(execution.started_at)),
        ("finished", moment(execution.finished_at)),
        ("due", moment(execution.due_at)),
        ("passes", str(execution.passes)),
        ("crashes", str(execution.crashes)),
    ]


def _step_row(record: StepRecord, items: dict[str, int]) -> list[str | Cell]:
    again = f"; again at {moment(record.retry_at)}" if record.retry_at else ""
    value = f"{items.get(record.key, 0):,} items" if record.kind == Kind.MAP else preview(record) + again
    state = Cell(state_of(record), "red" if record.is_failure else "green")
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
