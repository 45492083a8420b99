"""What really happened, written down by the step bodies themselves: one line when a body begins and one when it ends.

A line goes to the kernel with one write to a file that is only appended to, so it survives kill -9 of its writer, and
all writers together make one order. Then the writer rings a bell, a pipe that the test listens to.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from stepwell import current_step

PATH, BELL = "FAULTS_LEDGER", "FAULTS_BELL"


class Line(NamedTuple):
    """One thing that happened in process `pid` at `at`, by the machine's clock, whatever the process takes it for."""

    what: str  # begin, end or raise, of a step's body; ready, stopping or left, of a worker
    execution: str = ""
    step: str = ""
    attempt: int = 0
    key: str = ""  # the idempotency key offered
    token: str = ""  # of this run of the body, alone
    given: str = ""  # the token of the earlier result that this body was called with
    pid: int = 0
    at: float = 0.0


class Ledger:
    """Reads the file of all lines, each of them once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._lines: list[Line] = []
        self._counts: Counter[str] = Counter()
        path.touch()

    def lines(self) -> list[Line]:
        """Everything so far. A line that is only half there is left for later."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            fresh, _, _ = file.read().rpartition(b"\n")
        if fresh:
            self._read += len(fresh) + 1
            new = [Line(*json.loads(text)) for text in fresh.split(b"\n")]
            self._lines += new
            self._counts.update(line.what for line in new)
        return self._lines

    def count(self, what: str) -> int:
        """How many lines of one kind there are so far; costs no more than what is new."""
        self.lines()
        return self._counts[what]


def note(what: str) -> None:
    """Note something about this process."""
    _add(Line(what))


@contextmanager
def noted(given: str = "") -> Iterator[str]:
    """Note when the step's body inside begins and how it ends; yields the token of this run."""
    step, token = current_step(), uuid4().hex
    line = Line("begin", str(step.execution_id), step.name, step.attempt, step.idempotency_key, token, given)
    _add(line)
    try:
        yield token
    except BaseException:
        _add(line._replace(what="raise"))
        raise
    _add(line._replace(what="end"))


@cache
def _file() -> int:
    return os.open(os.environ[PATH], os.O_WRONLY | os.O_APPEND)


def _add(line: Line) -> None:
    """Write a line, then ring."""
    line = line._replace(pid=os.getpid(), at=time.clock_gettime(time.CLOCK_REALTIME))
    os.write(_file(), json.dumps(line).encode() + b"\n")
    with suppress(BlockingIOError):  # full: it rings already
        os.write(int(os.environ[BELL]), b".")
