"""`stepwell schedules`: look at schedules, pause and resume them, start one now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import Cell, note, show_json, show_table

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.core.schedule import Schedule

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

    async def read(app: App) -> Sequence[Schedule]:
        return await app.schedules()

    found = target.ask(read)
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

    async def change(app: App) -> Schedule:
        return await app.pause_schedule(schedule, reason=reason)

    _show_change(target.ask(change), as_json=as_json)


@command.command("resume")
@click.argument("schedule")
@output_options()
@database_options
def resume(schedule: str, target: Target, as_json: bool) -> None:
    """Let a paused schedule go on.

    It starts with its next tick; those while it was paused are not made up.
    """

    async def change(app: App) -> Schedule:
        return await app.resume_schedule(schedule)

    _show_change(target.ask(change), as_json=as_json)


@command.command("run")
@click.argument("schedule")
@output_options()
@database_options
def run(schedule: str, target: Target, as_json: bool) -> None:
    """Start an execution of a schedule now.

    Whatever else of it runs, and also while it is paused. Its planned ticks stay as they are.
    """

    async def start(app: App) -> UUID:
        return (await app.run_schedule(schedule)).id

    started = target.ask(start)
    if as_json:
        show_json({"id": started, "schedule": schedule})
    else:
        click.echo(started)


def _show_change(one: Schedule, *, as_json: bool) -> None:
    if as_json:
        show_json(_document(one))
    else:
        click.echo(f"{one.id}  {one.state}")


def _document(one: Schedule) -> dict[str, Any]:
    return {
        "id": one.id,
        "workflow": one.workflow,
        "queue": one.queue,
        "state": one.state,
        "times": str(one.timing),
        "catch_up": one.policy.catch_up,
        "max_catch_up": one.policy.max_catch_up,
        "overlap": one.policy.overlap,
        "jitter_seconds": one.policy.jitter.total_seconds(),
        "next_at": one.next_at,
        "last_at": one.last_at,
        "paused_at": one.paused_at,
        "running": one.running,
        "why": one.note,
    }


def _row(one: Schedule) -> list[str | Cell]:
    from stepwell.cli.shown import moment

    state = Cell(one.state, STYLES[one.state])
    times = [moment(one.next_at) or "-", moment(one.last_at) or "-"]
    return [one.id, state, str(one.timing), *times, str(one.running), one.note or ""]
