"""Where a worker dies: before or after one of the writes by which it keeps its journal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

from stepwell.errors import DatabaseUnavailable, InvalidOption

_TEXT = re.compile(r"(before|after) write ([1-9][0-9]*)")


class CrashPoint(NamedTuple):
    """Before or after the n-th write of a life, counted from 1."""

    write: int
    is_before: bool

    def __str__(self) -> str:
        return f"{'before' if self.is_before else 'after'} write {self.write}"

    @classmethod
    def parse(cls, text: str) -> CrashPoint:
        """What `str` made of it. Raises InvalidOption."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise InvalidOption(f"{text!r} is no crash point; write it as in 'before write 3' or 'after write 3'")
        return cls(int(found[2]), found[1] == "before")


@dataclass(eq=False, slots=True)
class Process:
    """What stands for a worker's process: once it is dead, nothing that it began reaches the store any more."""

    on_death: Callable[[], None]
    on_noticed: Callable[[], None]  # nothing of it runs any more
    is_dead: bool = False

    def die(self) -> None:
        """As by kill -9."""
        if not self.is_dead:
            self.is_dead = True
            self.on_death()

    def reach(self) -> None:
        """Raise DatabaseUnavailable if it is dead."""
        if self.is_dead:
            raise DatabaseUnavailable("this worker has died in a test")


running_process: ContextVar[Process | None] = ContextVar("stepwell_testing_process", default=None)


class Journal:
    """Counts the writes of worker processes, and ends one of them at its crash point."""

    def __init__(self, crash_at: CrashPoint | None = None) -> None:
        self.crash_at = crash_at
        self.crashed_at: str | None = None  # what was being written
        self.writes = 0

    @contextmanager
    def write(self, process: Process | None, describe: Callable[[], str]) -> Iterator[None]:
        """A write by this process; None: by the test itself, which does not die."""
        if process is None:
            yield
            return
        process.reach()
        self.writes += 1
        number = self.writes
        self._pass(CrashPoint(number, is_before=True), process, describe)
        yield
        self._pass(CrashPoint(number, is_before=False), process, describe)

    def _pass(self, point: CrashPoint, process: Process, describe: Callable[[], str]) -> None:
        if point == self.crash_at:
            self.crashed_at = describe()
            process.die()
        process.reach()
