"""What connections and applications are given on the command line: settings in clear, secrets from anywhere but there.

An argument is seen by everybody who may list processes, and stays in the shell's history.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from stepwell.cli.options import several
from stepwell.errors import InvalidOption

F = TypeVar("F", bound=Callable[..., Any])

MAX_SECRET_BYTES = 100_000

setting_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting that is no secret; can be repeated."
)

secret_options = several(
    click.option(
        "--secret",
        "asked",
        multiple=True,
        metavar="NAME",
        help="Ask for this secret, or take it from the next line of standard input; can be repeated.",
    ),
    click.option(
        "--secret-from",
        "sources",
        multiple=True,
        metavar="NAME=SOURCE",
        help="Take a secret from env:VARIABLE, file:PATH or - (standard input); can be repeated.",
    ),
)


hook_secret_option = click.option(
    "--hook-secret-from", metavar="SOURCE", help="What its webhooks are signed with: env:, file: or -."
)


def settings_of(given: Iterable[str]) -> dict[str, str]:
    """The settings of --set."""
    return dict(_pair("--set", text) for text in given)


def secrets_of(asked: Sequence[str], sources: Iterable[str]) -> dict[str, str]:
    """The secrets of --secret and --secret-from. None of them is shown, whatever is wrong with it."""
    found = {name: _read(name, source) for name, source in (_pair("--secret-from", text) for text in sources)}
    return found | {name: ask(name) for name in asked}


def ask(name: str) -> str:
    """A secret that is typed without being shown, or the next line of standard input when that is no terminal."""
    if sys.stdin.isatty():
        text: str = click.prompt(name, hide_input=True, err=True)
        return text
    line = sys.stdin.readline()
    if not line.strip():
        raise InvalidOption(
            f"standard input ends before secret '{name}'; give it a line, or use --secret-from {name}=env:VARIABLE"
        )
    return line.rstrip("\r\n")


def read_one(source: str) -> str:
    """The secret of an option that takes one SOURCE."""
    return _read("the secret", source)


def _read(name: str, source: str) -> str:
    kind, _, place = source.partition(":")
    match kind:
        case "-":
            text = sys.stdin.read(MAX_SECRET_BYTES)
        case "env":
            text = os.environ.get(place, "")
        case "file":
            text = _read_file(name, Path(place))
        case _:
            raise InvalidOption(f"secret '{name}': take it from env:VARIABLE, file:PATH or -")
    text = text.rstrip("\r\n")
    if not text:
        raise InvalidOption(f"secret '{name}': {'standard input' if kind == '-' else source} holds nothing")
    return text


def _read_file(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")[:MAX_SECRET_BYTES]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"secret '{name}': {path} cannot be read ({type(error).__name__})") from None


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidOption(f"{option}: write it as NAME=..., once for each")
    return name, value
