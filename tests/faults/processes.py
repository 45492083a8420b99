"""Worker processes as the tests handle them: started, killed, paused, waited for, and never left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

ROOT = Path(__file__).parents[2]
# What a log says when something went wrong that nobody had thought of.
COMPLAINTS = (
    "never retrieved",
    "error of the engine",
    "heartbeat ended",
    "Exception ignored",
    "Exception in",
    "pending!",
)
SECONDS = 90.0  # how long a test waits for what must come, on a machine that is busy with something else


class WorkerProcess:
    """A process that runs `tests.faults.worker`. Every change of its state rings `bell`."""

    def __init__(
        self,
        options: Mapping[str, Any],
        environment: Mapping[str, str],
        *,
        log: Path,
        pipe: int,
        bell: Callable[[], None],
    ) -> None:
        self.log, self._bell = log, bell
        self._loop = asyncio.get_running_loop()
        self._stopped, self._ended = asyncio.Event(), asyncio.Event()
        self._may_pause = True
        self.expected_codes = {0, -signal.SIGKILL}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.worker", json.dumps(dict(options))],
                cwd=ROOT, env={**os.environ, **environment}, pass_fds=[pipe],
                stdin=subprocess.PIPE, stdout=output, stderr=output,
            )  # fmt: skip
        self.pid = self._process.pid
        Thread(target=self._watch, daemon=True).start()

    @property
    def code(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.returncode

    @property
    def is_paused(self) -> bool:
        return self.code is None and self._stopped.is_set()

    def go(self) -> None:
        """Let a held one begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to leave, as a deploy does."""
        self._send(signal.SIGTERM)

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._stopped.clear()
        self._send(signal.SIGCONT)

    def keep_going(self) -> None:
        """Let it go on now, and whenever it pauses at a failpoint from now on."""
        self._may_pause = False
        self.resume()

    async def paused(self) -> None:
        """Return once it stands still."""
        await self._until(self._stopped)
        assert self.code is None, f"it ended with {self.code} instead of pausing; see {self.log}"

    async def ended(self) -> int:
        """How it ended, once it has."""
        await self._until(self._ended)
        assert self.code is not None
        return self.code

    async def close(self) -> None:
        """Kill it if it lives."""
        self.kill()
        await self.ended()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def said(self) -> str:
        """What it has logged."""
        return self.log.read_text(errors="replace")

    def complaints(self) -> list[str]:
        """What is wrong with how it ended, or with what it logged: errors that nobody has caught."""
        found = []
        if self.code not in (None, *self.expected_codes):
            found.append(f"process {self.pid} ended with {self.code}; see {self.log}")
        said = self.said()
        found += [
            f"process {self.pid} logged '{complaint}'; see {self.log}" for complaint in COMPLAINTS if complaint in said
        ]
        return found

    async def _until(self, event: asyncio.Event) -> None:
        async with asyncio.timeout(SECONDS):
            await event.wait()

    def _send(self, number: signal.Signals) -> None:
        if self.code is None:
            os.kill(self.pid, number)

    def _watch(self) -> None:
        """The only one who waits for the process: it hears of pauses as well as of the end."""
        while True:
            _, status = os.waitpid(self.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            self._tell(self._has_paused)
        code = os.waitstatus_to_exitcode(status)
        self._tell(lambda: self._has_ended(code))

    def _has_paused(self) -> None:
        if self._may_pause:
            self._stopped.set()
            self._bell()
        else:
            self.resume()

    def _has_ended(self, code: int) -> None:
        self._process.returncode = code
        self._stopped.set()
        self._ended.set()
        self._bell()

    def _tell(self, news: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(news)
