"""`stepwell keys`: the keys that encrypt credentials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepwell.cli.exits import FAILED
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import Cell, note, show_json, show_one, show_table

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.core.accounts import KeyInfo
    from stepwell.vault.rotation import Rotated


@click.group("keys")
def command() -> None:
    """Make, list and rotate the keys that encrypt credentials."""


@command.command("new")
@click.option("--id", "id_", metavar="ID", help="What to call it. [default: the time]")
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="Put it in front of this file.")
@output_options()
def new(id_: str | None, path: Path | None, as_json: bool) -> None:
    """Make a key.

    Prints it once, to be put in front of STEPWELL_KEYS in every process; with --file it goes into that file instead,
    which only its owner can read. Losing it loses the credentials.
    """
    from stepwell.app.keys import add_to_file, new_key_id
    from stepwell.sealing import new_key

    key = new_key(id_ or new_key_id())
    if path is not None:
        add_to_file(path.absolute(), key)
        show_one(f"{key.id}  in {path}", {"id": key.id, "file": str(path)}, as_json=as_json)
    elif as_json:
        show_json({"id": key.id, "key": key.text()})
    else:
        click.echo(key.text())
        note("keep it now: it is shown this once; put it in front of STEPWELL_KEYS, with a comma after it")


@command.command("list")
@output_options()
@database_options
def list_(target: Target, as_json: bool) -> None:
    """List keys by their ids, with how many values each has sealed.

    Also those that stored values need and this process has not.
    """
    found = target.ask(lambda app: app.keys.list())
    if as_json:
        from stepwell.server import documents

        show_json({"keys": [documents.key(one) for one in found]})
    else:
        show_table(["KEY", "STATE", "VALUES"], [[one.id or "(none)", _state(one), str(one.values)] for one in found])


@command.command("rotate")
@output_options()
@database_options
def rotate(target: Target, as_json: bool) -> None:
    """Encrypt everything again that is not under the newest key.

    Everything goes on meanwhile. Stopped at any point it can be begun again. The exit code is 1 when something cannot
    be opened.
    """

    async def change(app: App) -> tuple[Rotated, Sequence[KeyInfo]]:
        return await app.keys.rotate(), await app.keys.list()

    rotated, keys = target.ask(change)
    unused = [one.id for one in keys if one.is_here and not one.is_newest and not one.values]
    if as_json:
        show_json({"rows": rotated.rows, "unsealable": list(map(str, rotated.unsealable)), "unused": unused})
    else:
        click.echo(f"{rotated.rows} {'row' if rotated.rows == 1 else 'rows'} encrypted again")
        for error in rotated.unsealable:
            note(str(error))
        if unused:
            note(f"no longer needed but by backups: {', '.join(unused)}")
    if rotated.unsealable:
        click.get_current_context().exit(FAILED)


def _state(one: KeyInfo) -> Cell:
    if one.is_newest:
        return Cell("seals", "green")
    return Cell("opens", "yellow") if one.is_here else Cell("missing", "bold red")
