"""Random faults under load, all at once, for as long as one likes; then everything must hold.

STEPWELL_SOAK_MINUTES says for how long (5), STEPWELL_SOAK_SEED repeats the choices of an earlier run, though not its
timing. `make soak` runs the long form, the ordinary suite the short one.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from random import Random
from typing import Any
from uuid import UUID

import pytest

from stepwell import NotAllowed
from tests.faults import test_kill, test_kill_waiting
from tests.faults.harness import Site
from tests.faults.processes import WorkerProcess

POINTS = [*test_kill.PASSINGS, *test_kill_waiting.PASSINGS]
LEASE = 1.0
CREW = 3
BACKLOG = 100
VOYAGES = 20
SHORT_SECONDS = 8.0

OPEN = "select id from stepwell.execution where finished_at is null"
PAUSED = f"{OPEN} and paused_at is not null"
BUSY = f"{OPEN} and paused_at is null and status <> 'waiting'"
BESIEGED = f"{OPEN} and workflow = 'siege'"
# Who goes on without the one who started it, and waits for what that would have sent.
ORPHANS = (
    "select e.id from stepwell.execution e join stepwell.execution p on p.id = e.parent_id and p.status = 'cancelled'"
)
OPEN_BUT_ORPHANS = f"{OPEN} and id not in ({ORPHANS})"


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
        await trouble.meddle()
        await trouble.strike()
        await trouble.advance()
    await trouble.end()
    await site.finished(seconds=120)

    evidence = await site.check()
    print(f"{len(evidence.promises)} executions, {len(evidence.runs)} runs, {len(evidence.stale_runs())} of them stale")
    print(f"{len(evidence.sessions)} sessions, {sum(bool(s.was_reaped) for s in evidence.sessions.values())} reaped")


class Trouble:
    """A crew of workers, what is asked of it, and what happens to it."""

    def __init__(self, site: Site, random: Random) -> None:
        self._site, self._random = site, random
        self._crew: list[WorkerProcess] = []
        self._in_port: list[int] = []  # voyages that wait to be let go

    async def keep_busy(self) -> None:
        """Replace who has gone, and have enough to do."""
        self._crew = [worker for worker in self._crew if worker.code is None]
        while len(self._crew) < CREW:
            self._crew.append(self._site.worker(points=self._points(), **self._options()))
        if len(await self._site.query(BUSY)) < BACKLOG:
            await self._site.start_journeys(self._random.randrange(20, BACKLOG), pace=0.01, rest=0.1)
            self._in_port += await self._site.start_voyages(self._random.randrange(VOYAGES), rest=0.1)
            await self._site.start_sieges(1)

    async def meddle(self) -> None:
        """What users and operators do, whatever goes on: events, pauses, cancels."""
        self._random.shuffle(self._in_port)
        going, self._in_port = self._in_port[: VOYAGES // 2], self._in_port[VOYAGES // 2 :]
        await self._site.let_go(going)
        for identity in await self._some(PAUSED):
            await self._resume(identity)
        for identity in await self._some(OPEN):
            with suppress(NotAllowed):
                await self._site.app.pause(identity)
        for identity in await self._some(OPEN):
            if identity in self._site.promises:
                await self._site.cancel(identity)

    async def _some(self, text: str) -> list[UUID]:
        found = sorted(identity for (identity,) in await self._site.query(text))
        return self._random.sample(found, min(len(found), self._random.randrange(4)))

    async def _resume(self, identity: UUID) -> None:
        with suppress(NotAllowed):  # it has been cancelled
            await self._site.app.resume(identity)

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
            return is_idle or has_lost or self._site.ledger.count("begin") >= enough or not await self._site.query(BUSY)

        await self._site.until(has_advanced)

    async def end(self) -> None:
        """No more harm: a healthy worker joins those that are left, and nothing waits for anybody outside."""
        for worker in self._crew:
            worker.keep_going()
        self._site.worker(**self._options())
        for (identity,) in await self._site.query(PAUSED):
            await self._resume(identity)
        for (identity,) in await self._site.query(BESIEGED):
            await self._site.cancel(identity)
        await self._site.let_go(self._in_port)

        async def has_ended() -> bool:
            return not await self._site.query(OPEN_BUT_ORPHANS)

        await self._site.until(has_ended, seconds=120)
        for (identity,) in await self._site.query(OPEN):
            with suppress(NotAllowed):
                await self._site.app.cancel(identity)

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
        point, action = self._random.choice(POINTS), self._random.choice(["kill", "pause", ""])
        return f"{point}={action}@{self._random.randrange(1, 60)}" if action else ""

    def _options(self) -> dict[str, Any]:
        return {"lease": LEASE, "short_wait": self._random.choice([0.0, 2.0]), "max_crashes": 1_000_000}
