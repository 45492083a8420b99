"""The processes of a demo: vendors, the server, and one worker at a time. They end with the demo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

STOP_SECONDS = 10.0  # what a process gets to end by itself before it is killed


class Processes:
    """Starts, kills and finally stops. What the processes write goes into log files in `folder`.

    Each ends by itself when its standard input does, of which only this process holds the other end.
    """

    def __init__(self, folder: Path, flows: Path) -> None:
        self._folder, self._flows = folder, flows
        self._running: dict[str, subprocess.Popen[str]] = {}

    def vendor(self, name: str, **options: object) -> str:
        """Start the fake of a vendor on a free port; its address."""
        given = ["-m", "stepwell.testing.vendors", name, "--options", json.dumps(options)]
        process = self.talking(name, [*given, "--until-stdin-closes"])
        return self.heard_from(name, process)

    def talking(self, name: str, arguments: list[str]) -> subprocess.Popen[str]:
        """Start a process of the example's own, whose input and output this one holds."""
        return self._start(name, arguments, announces=True)

    def heard_from(self, name: str, process: subprocess.Popen[str]) -> str:
        """Its next line."""
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{name} has ended; see {self._folder / name}.log")
        return line

    def server(self, port: int) -> None:
        """Start what takes webhooks and answers."""
        arguments = ["-m", "stepwell", "serve", str(self._flows), "--port", str(port), "--until-stdin-closes"]
        self._start("server", arguments)

    def worker(self, *, dies_after: int | None = None) -> subprocess.Popen[str]:
        """Start a worker; one that kills itself, as kill -9 does, when so many bodies of steps have returned."""
        arguments = ["-m", "stepwell", "worker", str(self._flows), "--until-stdin-closes"]
        more = {} if dies_after is None else {"STEPWELL_FAILPOINTS": f"after_step_body=kill@{dies_after}"}
        return self._start("worker", arguments, environment=more)

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self._running.pop(name)
        process.kill()
        _finish(process)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            _finish(process)

    def _start(
        self, name: str, arguments: list[str], *, announces: bool = False, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        if (before := self._running.pop(name, None)) is not None:
            _finish(before)
        with (self._folder / f"{name}.log").open("a") as log:
            process = self._running[name] = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if announces else log,
                stderr=log,
                text=True,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C in the terminal is for the demo; it stops the others itself
            )
        return process


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _finish(process: subprocess.Popen[str]) -> None:
    """Wait until it has ended and close its pipes."""
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
