"""Processes of these tests: begun, spoken to, killed, and never left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 60.0  # how long a test waits for what must come


class Child:
    """A program of the tests in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        """The next line that it prints; empty: it has ended."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SECONDS):
            return (await self._process.stdout.readline()).decode().strip()

    async def go(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        await self._process.stdin.drain()

    async def stopped(self) -> None:
        """Return when it has stopped itself."""
        async with asyncio.timeout(SECONDS):
            await asyncio.to_thread(os.waitid, os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def kill(self) -> None:
        self._process.kill()

    async def ended(self) -> int:
        """How it ended."""
        async with asyncio.timeout(SECONDS):
            return await self._process.wait()


@asynccontextmanager
async def child(module: str, *arguments: str, **environment: str) -> AsyncIterator[Child]:
    """The program `tests.vault.<module>`, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.vault.{module}", *arguments,
        cwd=ROOT, env=with_environment(environment), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def with_environment(more: Mapping[str, str]) -> dict[str, str]:
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}
