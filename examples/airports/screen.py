"""What the demo shows: live bars on a terminal, plain lines elsewhere; and at the end the table of counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from audit import Evidence, count

LINE_EVERY_SECONDS = 3.0
SAME_LINE_EVERY_SECONDS = 10.0  # when there is nothing new to say


class Screen(Protocol):
    """Where the demo reports to."""

    def say(self, event: str) -> None:
        """One line about something that happened."""

    def show(self, *, enriched: int, stored: int, reported: int) -> None:
        """How far the flow has come."""


class Bars:
    """Three bars that stay at the bottom while the events scroll above them."""

    def __init__(self, progress: Progress, *, airports: int) -> None:
        self._progress = progress
        self._enriched = progress.add_task("enriched by the vendor", total=airports)
        self._stored = progress.add_task("stored in PostgreSQL", total=airports)
        self._reported = progress.add_task("report, downstream", total=2)

    def say(self, event: str) -> None:
        self._progress.console.print(event, markup=False)

    def show(self, *, enriched: int, stored: int, reported: int) -> None:
        self._progress.update(self._enriched, completed=enriched)
        self._progress.update(self._stored, completed=stored)
        self._progress.update(self._reported, completed=reported)


class Lines:
    """A line for each event, and one every few seconds for the progress, more rarely while there is none."""

    def __init__(self, console: Console, *, airports: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._airports = airports
        self._clock = clock
        self._line = ""
        self._said_at = float("-inf")

    def say(self, event: str) -> None:
        self._console.print(event, soft_wrap=True, markup=False)

    def show(self, *, enriched: int, stored: int, reported: int) -> None:
        line = f"  enriched {enriched:,} of {self._airports:,}, stored {stored:,}, report {reported} of 2"
        pause = SAME_LINE_EVERY_SECONDS if line == self._line else LINE_EVERY_SECONDS
        if self._clock() - self._said_at >= pause:
            self._line, self._said_at = line, self._clock()
            self.say(line)


@contextmanager
def open_screen(console: Console, *, airports: int) -> Iterator[Screen]:
    """The screen that suits this console."""
    if not console.is_terminal:
        yield Lines(console, airports=airports)
        return
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        yield Bars(progress, airports=airports)


def verdict_table(evidence: Evidence) -> Table:
    """Every count, and where it was counted."""
    counts = count(evidence)
    table = Table("what", Column("count", justify="right"), "counted from")
    for what, number, source in (
        ("airports in", counts.airports, "the source"),
        ("rows stored", counts.rows, "the application's table"),
        ("steps executed", counts.steps, "the database"),
        ("pieces of work of the vendor", counts.worked, "the vendor's ledger"),
        ("steps skipped on resume", counts.skipped, "database and ledger"),
        ("steps whose attempt was cut", counts.cut, "the ledger"),
        ("answers lost, asked again", counts.after_lost, "ledger and database"),
        ("answers too late, asked again", counts.after_late, "ledger and database"),
        ("calls refused: 429 / 503", f"{counts.rate_limited:,} / {counts.unavailable:,}", "the ledger"),
        ("duplicates", counts.duplicates, "table, ledger and database"),
        ("lost", counts.lost, "table and database"),
    ):
        table.add_row(what, number if isinstance(number, str) else f"{number:,}", source)
    return table
