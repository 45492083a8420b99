"""`stepwell schedules`: look at schedules, pause and resume them, start one now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import Cell, note, show_json, show_one, show_table

if TYPE_CHECKING:
    from stepwell.core.schedule import Schedule
    from stepwell.server import documents

STYLES = {"active": "green", "paused": "yellow", "off": "dim"}


@click.group("schedules")
def command() -> None:
    """Look at schedules, pause and resume them, start one now."""


@command.command("list")
@output_options()
@database_options
def list_(target: Target, as_json: bool) -> None:
    """List schedules: when each starts an execution next, and why not.

    One that the code no longer declares is listed as off.
    """
    found = target.ask(lambda app: app.schedules())
    if as_json:
        show_json({"schedules": [_document(one) for one in found]})
    elif found:
        show_table(["SCHEDULE", "STATE", "TIMES", "NEXT", "LAST", "RUNNING", "WHY"], [_row(one) for one in found])
    else:
        note("there are no schedules; a worker's start declares those of its code")


@command.command("pause")
@click.argument("schedule")
@click.option("--reason", default="paused", show_default=True, help="Why, for whoever asks later.")
@output_options()
@database_options
def pause(schedule: str, target: Target, reason: str, as_json: bool) -> None:
    """Let a schedule start nothing until it is resumed.

    What runs goes on.
    """
    _show_change(target.ask(lambda app: app.pause_schedule(schedule, reason=reason)), as_json=as_json)


@command.command("resume")
@click.argument("schedule")
@output_options()
@database_options
def resume(schedule: str, target: Target, as_json: bool) -> None:
    """Let a paused schedule go on.

    It starts with its next tick; those while it was paused are not made up.
    """
    _show_change(target.ask(lambda app: app.resume_schedule(schedule)), as_json=as_json)


@command.command("run")
@click.argument("schedule")
@output_options()
@database_options
def run(schedule: str, target: Target, as_json: bool) -> None:
    """Start an execution of a schedule now.

    Whatever else of it runs, and also while it is paused. Its planned ticks stay as they are.
    """
    started = target.ask(lambda app: app.run_schedule(schedule))
    show_one(str(started.id), {"id": started.id, "schedule": schedule}, as_json=as_json)


def _show_change(one: Schedule, *, as_json: bool) -> None:
    show_one(f"{one.id}  {one.state}", _document(one), as_json=as_json)


def _document(one: Schedule) -> documents.Schedule:
    from stepwell.server import documents

    return documents.schedule(one)


def _row(one: Schedule) -> list[str | Cell]:
    from stepwell.cli.shown import moment

    state = Cell(one.state, STYLES[one.state])
    times = [moment(one.next_at) or "-", moment(one.last_at) or "-"]
    return [one.id, state, str(one.timing), *times, str(one.running), one.note or ""]
