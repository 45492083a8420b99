"""A server, a pooler or a network that swallows everything and says nothing of it."""

from __future__ import annotations

from pathlib import Path

from tests.faults.harness import Site
from tests.faults.proxy import Proxy

LEASE = 2.0
PACE = 0.3  # seconds that a slow step takes: some run when everything falls silent


async def test_worker_that_gets_no_answer_stops_and_others_carry_on(site: Site, tmp_path: Path) -> None:
    """F42, F1, F12: its connections are open and nothing comes; its lease ends all the same, and it knows."""
    async with Proxy.before(site.url, tmp_path) as proxy:
        cut_off = site.worker(url=proxy.url, lease=LEASE)
        await site.ready(cut_off)
        await site.start_journeys(6, pace=PACE)
        await site.begun(2, by=cut_off)
        proxy.go_silent()
        other = site.worker(lease=LEASE)
        await site.finished()
        assert "session has ended: the lease is over: the database does not answer" in cut_off.said()

        other.kill()
        await other.ended()
        proxy.speak_again()
        await site.sessions(cut_off, at_least=2)
        await site.start_errands(3)
        await site.finished()

        await site.check()
