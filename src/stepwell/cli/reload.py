"""Keeps one worker process running, and replaces it when the code has changed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from watchfiles import PythonFilter, awatch

from stepwell.cli.exits import INTERRUPTED, OK, USAGE

log = logging.getLogger("stepwell.dev")

SHORTEST_LIFE = 1.0  # seconds between two starts at least: what kills a worker may kill the next one as well

# compiled files are told apart by second and size: of two saves within one second the second would not be seen
NO_STALE_CODE = {"PYTHONDONTWRITEBYTECODE": "1"}


class Next(Enum):
    """What follows the end of a worker that was not asked to end."""

    START = auto()
    WAIT_FOR_A_SAVE = auto()
    END = auto()


def after_exit(code: int) -> Next:
    """Code that cannot be loaded waits to be mended; a worker that was killed is replaced; anything else ends `dev`."""
    if code == USAGE:
        return Next.WAIT_FOR_A_SAVE
    return Next.START if code < 0 else Next.END


class Reloader:
    """Runs `command` in a process of its own; `run` once. The process ends with this one: it holds its stdin."""

    def __init__(self, command: Sequence[str], folder: Path, inherited: Sequence[int] = ()) -> None:
        """`inherited` are descriptors that the process gets."""
        self._command, self._folder, self._inherited = command, folder, inherited
        self._wake = asyncio.Event()
        self._is_changed = self._is_stopping = self._is_forced = False
        self._child: asyncio.subprocess.Process | None = None

    async def run(self) -> int:
        """Return the exit code when the worker has ended for good."""
        self._handle_signals()
        watching = asyncio.create_task(self._watch(), name="stepwell-watch")
        try:
            await asyncio.sleep(0)  # watched before the code is read
            log.info("watching %s; Ctrl-C stops", self._folder)
            while True:
                began = time.monotonic()
                code = await self._run_once()
                if self._is_stopping:
                    return INTERRUPTED if self._is_forced else OK
                if not self._is_changed and (end := await self._unasked(code, time.monotonic() - began)) is not None:
                    return end
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _run_once(self) -> int:
        """A worker's life: until it ends by itself, is to be replaced, or everything is to stop."""
        self._is_changed = False
        child = self._child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            env={**os.environ, **NO_STALE_CODE},
            pass_fds=self._inherited,
        )
        ending = asyncio.create_task(child.wait(), name="stepwell-child")
        ending.add_done_callback(lambda _: self._wake.set())
        while not (ending.done() or self._is_changed or self._is_stopping):
            await self._woken()
        if not ending.done():
            _ask_to_end(child)
        return await ending

    async def _unasked(self, code: int, lived_for: float) -> int | None:
        """What becomes of a worker that ended by itself: an exit code for `dev`, or None to start the next."""
        match after_exit(code):
            case Next.END:
                return code
            case Next.START:
                log.warning("the worker was killed (%s); starting another", signal.Signals(-code).name)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._save_or_stop(), max(0.0, SHORTEST_LIFE - lived_for))
            case Next.WAIT_FOR_A_SAVE:
                log.warning("no worker is running; the next save starts one")
                await self._save_or_stop()
        return OK if self._is_stopping else None

    async def _save_or_stop(self) -> None:
        while not (self._is_changed or self._is_stopping):
            await self._woken()

    async def _woken(self) -> None:
        await self._wake.wait()
        self._wake.clear()

    async def _watch(self) -> None:
        try:
            async for changes in awatch(self._folder, watch_filter=PythonFilter(), ignore_permission_denied=True):
                names = sorted({Path(path).name for _, path in changes})
                log.info("%s changed; starting again", ", ".join(names[:3]) + (" and others" if names[3:] else ""))
                self._is_changed = True
                self._wake.set()
        except (OSError, RuntimeError) as error:  # too many files for the system's limit, for one
            log.error("%s cannot be watched (%s); start `stepwell dev` again after a change", self._folder, error)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: int) -> None:
        """Let the worker end; the second Ctrl-C kills it. On a terminal it has had the same signals itself."""
        self._is_forced = self._is_forced or (self._is_stopping and number == signal.SIGINT)
        self._is_stopping = True
        self._wake.set()
        if self._is_forced and self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()


def _ask_to_end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
