"""`stepwell callbacks`: the URLs that answer what an execution asks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import click

from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import clean, note, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwell.app.application import App
    from stepwell.core.callbacks import Callback, CallbackInfo


@click.group("callbacks")
def command() -> None:
    """Print the URLs that answer what an execution asks."""


@command.command("list")
@click.argument("execution", type=click.UUID)
@output_options()
@database_options
def list_(execution: UUID, target: Target, as_json: bool) -> None:
    """Print what can be answered now, with the URLs.

    Whoever has such a URL can answer: hand it to the right person only. It needs the keys.
    """

    from stepwell.cli.shown import moment

    async def ask(app: App) -> Sequence[CallbackInfo]:
        await app.get(execution)
        return await app.callbacks(execution)

    found = target.ask(ask)
    if as_json:
        from stepwell.server import documents

        show_json({"callbacks": [documents.open_callback(one) for one in found]})
        return
    for one in found:
        click.echo(
            f"{clean(one.name)}, until {moment(one.expires_at)}" + (f": {clean(one.prompt)}" if one.prompt else "")
        )
        click.echo(f"  {one.url}")
    if not found:
        note("nothing can be answered now")


def show_callbacks(rows: Sequence[Callback]) -> None:
    """What an execution has asked by URLs, and who has answered; without the URLs."""
    from stepwell.cli.shown import moment

    show_table(
        ["ASKS BY URL", "UNTIL", "ANSWERED", "BY"],
        [[row.name, moment(row.expires_at), moment(row.answered_at) or "-", row.answered_by or ""] for row in rows],
    )
    if any(row.answered_at is None and not row.has_ended for row in rows):
        note(f"stepwell callbacks list {rows[0].execution_id} prints the URLs that answer")


def callback_document(row: Callback) -> dict[str, object]:
    """The same for programs."""
    return {
        "name": row.name,
        "prompt": row.prompt,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "answered_at": row.answered_at,
        "answered_by": row.answered_by,
    }
