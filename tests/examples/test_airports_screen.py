"""What the demo says while it runs: something when something has changed, and why when nothing does."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from screen import SAME_LINE_EVERY_SECONDS, Lines
from standstill import Standstill


class Watched:
    """Lines on a console of the test's, at times of the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self._output = StringIO()
        self._lines = Lines(Console(file=self._output, width=200), airports=10, clock=lambda: self.now)

    def show(self, stored: int, *, after: float) -> int:
        """How many lines there are when it has been shown that much."""
        self.now += after
        self._lines.show(enriched=10, stored=stored, reported=0)
        return len(self._output.getvalue().splitlines())

    def say(self, event: str) -> str:
        self._lines.say(event)
        return self._output.getvalue()


def test_a_line_comes_at_once_then_every_few_seconds_while_something_changes() -> None:
    watched = Watched()

    assert [watched.show(stored, after=1.0) for stored in range(8)] == [1, 1, 1, 2, 2, 2, 3, 3]


def test_the_same_line_comes_rarely() -> None:
    watched = Watched()

    assert [watched.show(4, after=2.5) for _ in range(9)] == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert SAME_LINE_EVERY_SECONDS == 10.0


def test_a_change_is_said_soon_after_a_time_without_any() -> None:
    watched = Watched()

    assert [watched.show(stored, after=3.5) for stored in (4, 4, 5)] == [1, 1, 2]


def test_what_the_worker_logged_is_said_as_it_is() -> None:
    assert "[red]no markup[/]" in Watched().say("[red]no markup[/]")


def test_a_standstill_is_told_once_in_each_of_its_times() -> None:
    standstill = Standstill(after_seconds=20.0)

    told = [now for now in range(0, 100, 5) if standstill.is_due("stored 150", now=now)]

    assert told == [20, 40, 60, 80]


def test_any_progress_ends_a_standstill() -> None:
    standstill = Standstill(after_seconds=20.0)

    told = [now for now in range(0, 100, 5) if standstill.is_due(now // 15, now=now)]

    assert told == []
