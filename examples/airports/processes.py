"""The processes of the demo: the vendor, and one worker at a time. They end with the demo, even when it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).resolve().parent
END_WITH_US = "--until-stdin-closes"
LAST_LINES = 5
STOP_SECONDS = 10.0  # what a process gets to end by itself before it is killed


class Processes:
    """Starts, kills and finally stops. What the processes write goes into log files in `directory`.

    Each process ends by itself when its standard input does, of which only this process holds the other end.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._vendor_url = ""
        self._vendor: subprocess.Popen[str] | None = None
        self._worker: subprocess.Popen[str] | None = None

    def start_vendor(self, ledger: Path) -> str:
        """Start the vendor on a free port; its address, once it answers there."""
        self._vendor = self._start("vendor", [str(HERE / "service.py"), "--port", "0", "--ledger", str(ledger)])
        assert self._vendor.stdout is not None
        self._vendor_url = self._vendor.stdout.readline().strip()
        if not self._vendor_url:
            raise RuntimeError(f"the vendor did not start; see {self._log('vendor')}")
        return self._vendor_url

    def start_worker(self) -> int:
        """Start a worker and return its process id; it may take a moment until it works."""
        self._worker = self._start("worker", ["-m", "stepwell", "worker", str(HERE / "flows.py")])
        return self._worker.pid

    def kill_worker(self) -> int:
        """kill -9. The process id it had; the process is gone when this returns."""
        assert self._worker is not None
        self._worker.kill()
        finish(self._worker)
        return self._worker.pid

    def check(self) -> None:
        """Raise when a process has ended that nobody killed."""
        for name, process in (("vendor", self._vendor), ("worker", self._worker)):
            if process is not None and (status := process.poll()) is not None:
                raise RuntimeError(f"the {name} ended with status {status}; see {self._log(name)}")

    def last_words(self) -> list[str]:
        """The last lines of the workers' log."""
        return self._log("worker").read_text(errors="replace").splitlines()[-LAST_LINES:]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        running = [process for process in (self._worker, self._vendor) if process is not None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            finish(process)

    def _start(self, name: str, arguments: list[str]) -> subprocess.Popen[str]:
        with self._log(name).open("a") as log:
            return subprocess.Popen(
                [sys.executable, *arguments, END_WITH_US],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if name == "vendor" else log,
                stderr=log,
                text=True,
                env=os.environ | {"AIRPORTS_VENDOR_URL": self._vendor_url},
                start_new_session=True,  # Ctrl-C in the terminal is for the demo; it stops the others itself
            )

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"


def finish(process: subprocess.Popen[str]) -> None:
    """Wait until it has ended and close its pipes."""
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
