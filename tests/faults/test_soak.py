"""Random faults under load, all at once, for as long as one likes; then everything must hold.

STEPWELL_SOAK_MINUTES says for how long (5), STEPWELL_SOAK_SEED repeats the choices of an earlier run, though not its
timing. `make soak` runs the long form, the ordinary suite the short one.
"""

from __future__ import annotations

import os
import signal
import time
from random import Random
from typing import Any

import pytest

from tests.faults.harness import Site
from tests.faults.processes import WorkerProcess
from tests.faults.test_kill import PASSINGS

LEASE = 1.0
CREW = 3
BACKLOG = 100
SHORT_SECONDS = 8.0


@pytest.mark.soak
async def test_soak(site: Site) -> None:
    """F15: all of the faults above, for minutes, watched from another process."""
    await soak(site, seconds=60 * float(os.environ.get("STEPWELL_SOAK_MINUTES", "5")))


async def test_short_soak(site: Site) -> None:
    """F15: the same for seconds."""
    await soak(site, seconds=SHORT_SECONDS)


async def soak(site: Site, *, seconds: float) -> None:
    """Do harm for so long, then let the work be finished and look."""
    seed = int(os.environ.get("STEPWELL_SOAK_SEED", time.time_ns() % 1_000_000))
    print(f"STEPWELL_SOAK_SEED={seed}")
    trouble = Trouble(site, Random(seed))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await trouble.keep_busy()
        await trouble.strike()
        await trouble.advance()
    await trouble.end()
    await site.finished(seconds=120)

    evidence = await site.check()
    print(f"{len(evidence.promises)} executions, {len(evidence.runs)} runs, {len(evidence.stale_runs())} of them stale")
    print(f"{len(evidence.sessions)} sessions, {sum(bool(s.was_reaped) for s in evidence.sessions.values())} reaped")


class Trouble:
    """A crew of workers, and what happens to it."""

    def __init__(self, site: Site, random: Random) -> None:
        self._site, self._random = site, random
        self._crew: list[WorkerProcess] = []

    async def keep_busy(self) -> None:
        """Replace who has gone, and have enough to do."""
        self._crew = [worker for worker in self._crew if worker.code is None]
        while len(self._crew) < CREW:
            self._crew.append(self._site.worker(points=self._points(), **self._options()))
        if await self._site.unfinished() < BACKLOG:
            await self._site.start_journeys(self._random.randrange(20, BACKLOG), pace=0.01, rest=0.1)

    async def strike(self) -> None:
        """One fault, most often."""
        victim = self._random.choice(self._crew)
        match self._random.choice(["kill", "pause", "resume", "resume", "leave", "terminate", "cancel", "none"]):
            case "kill":
                victim.kill()
            case "pause":
                victim.pause()
            case "resume":
                victim.resume()
            case "leave":
                victim.expected_codes.add(-signal.SIGTERM)  # it may only be starting
                victim.resume()
                victim.terminate()
            case "terminate":
                await self._to_backends("pg_terminate_backend")
            case "cancel":
                await self._to_backends("pg_cancel_backend")

    async def advance(self) -> None:
        """Return after some more steps, or when a worker has gone or too many stand still."""
        enough = self._site.ledger.count("begin") + self._random.randrange(10, 300)

        async def has_advanced() -> bool:
            is_idle = all(worker.is_paused for worker in self._crew)
            has_lost = any(worker.code is not None for worker in self._crew)
            return (
                is_idle or has_lost or self._site.ledger.count("begin") >= enough or not await self._site.unfinished()
            )

        await self._site.until(has_advanced)

    async def end(self) -> None:
        """No more harm: a healthy worker joins those that are left."""
        for worker in self._crew:
            worker.resume()
        self._site.worker(**self._options())

    async def _to_backends(self, function: str) -> None:
        """Terminate or cancel what serves the workers that have begun; who is only starting would not survive it."""
        ready = {line.pid for line in self._site.lines("ready")}
        if all(worker.pid in ready for worker in self._crew):
            await self._site.query(
                f"select {function}(pid) from pg_stat_activity"
                " where datname = current_database() and application_name like 'worker-%%'"
            )

    def _points(self) -> str:
        """Where the next worker will stop or die by itself, if at all."""
        point, action = self._random.choice(list(PASSINGS)), self._random.choice(["kill", "pause", ""])
        return f"{point}={action}@{self._random.randrange(1, 60)}" if action else ""

    def _options(self) -> dict[str, Any]:
        return {"lease": LEASE, "short_wait": self._random.choice([0.0, 2.0]), "max_crashes": 1_000_000}
