"""`stepwell events`: send events, look at those that are kept and at who waits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import click

from stepwell.cli.options import Target, database_options, limit_option, output_options
from stepwell.cli.output import Cell, note, show_json, show_table
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.core.model import EventRecord, WaitRecord


@click.group("events")
def command() -> None:
    """Send events, look at those that are kept and at who waits."""


@command.command("send")
@click.argument("name")
@click.option("--payload", metavar="JSON", help="What it says; - reads standard input. [default: null]")
@click.option("--key", help="For all that wait for it with this key, now or later.")
@click.option("--to", type=click.UUID, metavar="EXECUTION", help="For this execution, which waits without a key.")
@click.option("--id", "identity", metavar="TEXT", help="Your id for it: sent again, it is accepted once.")
@output_options()
@database_options
def send(
    name: str,
    payload: str | None,
    key: str | None,
    to: UUID | None,
    identity: str | None,
    target: Target,
    as_json: bool,
) -> None:
    """Send an event.

    Says how many executions were waiting for it, once it is accepted for good. With neither --key nor --to only
    triggers see it.
    """
    text = _payload_text(payload)
    sent = target.ask(lambda app: app.send_event_json(name, text, key=key, to=to, id=identity))
    if as_json:
        show_json({"name": name, "id": identity, "is_new": sent.is_new, "waiting": sent.waiting})
    elif sent.is_new:
        click.echo(f"sent; {_counted(sent.waiting or 0)} for it")
    else:
        click.echo("not sent: an event with this id was accepted before")


def _payload_text(payload: str | None) -> bytes | None:
    if payload != "-":
        return None if payload is None else payload.encode("utf-8", "surrogateescape")
    if sys.stdin.isatty():
        note("reading the payload from the terminal; Ctrl-D ends it")
    if not (text := sys.stdin.buffer.read()).strip():
        raise InvalidOption("standard input holds no JSON; leave --payload out when there is nothing to say")
    return text


def _counted(waiting: int) -> str:
    return "1 execution was waiting" if waiting == 1 else f"{waiting:,} executions were waiting"


@command.command("list")
@click.argument("name", required=False)
@click.option("--key", help="Only with this key.")
@click.option("--to", type=click.UUID, metavar="EXECUTION", help="Only those sent to this execution.")
@limit_option("How many of each at most.")
@output_options()
@database_options
def list_(name: str | None, key: str | None, to: UUID | None, limit: int, target: Target, as_json: bool) -> None:
    """List the events that are kept, newest first, and who waits.

    All, or those of one NAME.
    """

    async def read(app: App) -> tuple[Sequence[EventRecord], Sequence[WaitRecord]]:
        events = await app.events(name, key=key, to=to, limit=limit)
        return events, await app.waits(name, key=key, execution_id=to, limit=limit)

    events, waits = target.ask(read)
    if as_json:
        from stepwell.server import documents

        show_json({"events": [documents.event(one) for one in events], "waits": [documents.wait(one) for one in waits]})
        return
    _show_events(events)
    if waits:
        if events:
            click.echo()
        show_waits(waits)
    if not events and not waits:
        note("there are no such events, and nobody waits for one")
    elif limit in (len(events), len(waits)):
        note(f"there may be more than {limit:,}: name the event, its key, or a larger --limit")


def show_waits(waits: Sequence[WaitRecord]) -> None:
    """Who waits for what, for people."""
    show_table(["WAITS", "STEP", "EVENT", "KEY", "WORKFLOW", "UNTIL"], [_wait_row(one) for one in waits])


def _show_events(events: Sequence[EventRecord]) -> None:
    from stepwell.cli.shown import cut, moment, pretty

    rows: list[list[str | Cell]] = [
        [
            one.name,
            one.key or (str(one.execution_id) if one.execution_id else "-"),
            moment(one.sent_at) or "just now",
            one.id or "-",
            cut(pretty(one.payload, indent=-1)),
        ]
        for one in events
    ]
    if rows:
        show_table(["EVENT", "FOR", "SENT", "ID", "PAYLOAD"], rows)


def _wait_row(wait: WaitRecord) -> list[str | Cell]:
    from stepwell.cli.shown import moment

    until = moment(wait.due_at) or "-"
    return [str(wait.execution_id), wait.step, wait.name, wait.key or "-", wait.workflow, until]
