"""Real `stepwell` processes, whose lines are the signals that tests wait for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType

SECONDS = 90  # for what takes one or two, on a machine that is busy with something else


class Program:
    """`stepwell <arguments>` in `folder`. Its standard output and error come as one stream of lines."""

    def __init__(self, *arguments: str, folder: Path, database_url: str | None, **environment: str) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("STEPWELL_")}
        env |= {"STEPWELL_DATABASE_URL": database_url} if database_url else {}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stepwell", *arguments],
            cwd=folder,
            env=env | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.seen: list[str] = []
        self._lines: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self, text: str) -> str:
        """The next line that contains `text`."""
        while (line := self._next()) is not None:
            if text in line:
                return line
        raise AssertionError(f"it ended without saying {text!r}; it said:\n" + "\n".join(self.seen))

    def rest(self) -> list[str]:
        """The lines until all who write to its output, children included, have ended."""
        lines = []
        while (line := self._next()) is not None:
            lines.append(line)
        return lines

    def ends(self) -> int:
        """Its exit code."""
        return self.process.wait(SECONDS)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def _next(self) -> str | None:
        try:
            line = self._lines.get(timeout=SECONDS)
        except Empty:
            raise AssertionError(f"no line in {SECONDS} s; it said:\n" + "\n".join(self.seen)) from None
        if line is not None:
            self.seen.append(line)
        return line

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own: its children end with it
        except ProcessLookupError:
            pass
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
