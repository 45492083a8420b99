"""Text and tables for people, JSON for programs.

On a terminal Rich draws; anywhere else text is plain and aligned. Whatever is shown to people goes through `clean`, for
keys, messages and results come from anywhere, and a terminal obeys what it is sent.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from rich.console import Console

# control characters, and those that change the direction or the lines of a text
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Cell(NamedTuple):
    """Text with a Rich style, which only a terminal shows."""

    text: str
    style: str


Row = Sequence[str | Cell]


def clean(text: str) -> str:
    """The text in one line that a terminal shows and does not obey."""
    return _UNSHOWABLE.sub(lambda match: repr(match[0])[1:-1], text)


def show_json(document: Any) -> None:
    """One document for programs. Stored payloads in it are `msgspec.Raw`: every digit as it was stored."""
    import msgspec

    show_json_text(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def show_json_line(document: Any) -> None:
    """One of several documents, in one line, at once."""
    import msgspec

    show_json_text(msgspec.json.encode(document).decode())


def show_json_text(text: str) -> None:
    """JSON text as it is, except that it holds nothing a terminal would obey: the same values, escaped."""
    click.echo(_UNSHOWABLE.sub(lambda match: f"\\u{ord(match[0]):04x}" if match[0] != "\n" else "\n", text))


def show_one(line: str, document: Any, *, as_json: bool) -> None:
    """What became of one thing: a line for people, a document for programs."""
    if as_json:
        show_json(document)
    else:
        click.echo(clean(line))


def note(text: str) -> None:
    """A word to a person beside the answer."""
    click.echo(clean(text), err=True)


def show_text(text: str) -> None:
    """Several lines, such as a traceback."""
    for line in text.expandtabs().splitlines():
        click.echo(clean(line))


def show_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """A table whose first column is never cut or folded."""
    if is_terminal():
        _draw_table(columns, rows)
    else:
        _print_aligned([list(columns), *rows])


def show_fields(fields: Sequence[tuple[str, str | Cell]]) -> None:
    """Names and values below each other."""
    if not is_terminal():
        _print_aligned(fields)
        return
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for row in fields:
        table.add_row(*map(_drawn, row))
    console().print(table)


def is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()


def console(*, stderr: bool = False) -> Console:
    """Rich's console; it leaves colours out when NO_COLOR is set or the terminal has none."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def _draw_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*map(_drawn, row))
    console().print(table)


def _drawn(cell: str | Cell) -> Any:
    from rich.text import Text

    return Text(clean(cell.text), cell.style) if isinstance(cell, Cell) else Text(clean(cell))


def _print_aligned(rows: Sequence[Row]) -> None:
    texts = [[clean(cell.text if isinstance(cell, Cell) else cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
