"""`stepwell init`: write a small project to begin with."""

from __future__ import annotations

import os
import shlex
from importlib.resources import files
from pathlib import Path

import click

from stepwell.cli.options import output_options
from stepwell.cli.output import show_json
from stepwell.errors import InvalidOption

NAMES = ("flows.py", "test_flows.py", "README.md", ".gitignore")


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@output_options()
def command(folder: Path, as_json: bool) -> None:
    """Write a small project to begin with.

    A workflow with a step, a retry and a sleep, a test of it, a README and a .gitignore, in DIR, which is made if need
    be. Files that are there already are never overwritten.
    """
    written = write_project(folder)
    go = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    steps = [
        " && ".join([*go, "stepwell dev flows.py"]),
        " && ".join([*go, """stepwell start hello --input '{"name": "Ada"}' --watch"""]),
    ]
    if as_json:
        show_json({"folder": str(folder), "files": written, "next": steps})
        return
    click.echo(
        f"wrote {', '.join(written)} in {folder}\n\nNow run the worker, and in another terminal start a workflow:"
    )
    for step in steps:
        click.echo(f"  {step}")


def write_project(folder: Path) -> list[str]:
    """All files or none; their names. Raises InvalidOption when one is there already or cannot be written."""
    taken = [name for name in NAMES if os.path.lexists(folder / name)]
    if taken:
        raise InvalidOption(f"{folder} has {', '.join(taken)} already, nothing was written; choose another folder")
    source = files("stepwell.cli").joinpath("project")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            with (folder / name).open("xb") as file:
                file.write(source.joinpath(f"{name.lstrip('.')}.template").read_bytes())
    except OSError as error:
        raise InvalidOption(f"cannot write to {folder}: {error.strerror}; choose another folder") from error
    return list(NAMES)
