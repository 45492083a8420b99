"""Sends the webhooks of fake vendors as the vendors do: signed, again when they were not answered well, not in order.

How often and when a vendor tries again is what `stepwell.sources` knows of it; its hours pass here in seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

import httpx2

from stepwell.sources import source_named
from stepwell.testing.vendors.outgoing import Outbox, Outgoing

ANSWER_WITHIN = timedelta(seconds=10)  # for vendors that do not publish theirs
SPEED = 100.0
SETTLED_WITHIN = timedelta(seconds=30)
MAX_CONNECTIONS = 50


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a webhook was sent. `status` is None when there was no answer in time."""

    outgoing: Outgoing
    number: int
    status: int | None

    @property
    def is_good(self) -> bool:
        """Whether the vendor is content."""
        return self.status is not None and 200 <= self.status < 300


class Deliveries:
    """Sends what a fake vendor has to send, while the block runs: `async with Deliveries(fake.outgoing) as sent`.

    `speed` is how much faster than the vendor's clock the delays between attempts pass: with 3600, its hours are
    seconds. `attempts` are all that were made, in the order in which they ended.
    """

    def __init__(self, outbox: Outbox, *, speed: float = SPEED) -> None:
        self.attempts: list[Attempt] = []
        self._outbox, self._speed = outbox, speed
        self._tasks: set[asyncio.Task[None]] = set()
        self._duplicates = self._lost = self._to_hold = 0
        self._held: list[Outgoing] = []
        self._client: httpx2.AsyncClient | None = None

    def duplicate(self, times: int = 1) -> None:
        """Send each of the next `times` webhooks twice, whatever is answered."""
        self._duplicates += times

    def reorder(self, count: int = 2) -> None:
        """Keep the next `count` webhooks back, and send them one after the other, the last one first."""
        self._to_hold = count

    def lose(self, times: int = 1) -> None:
        """Never send the next `times` webhooks: an event whose webhook nobody ever gets."""
        self._lost += times

    async def settled(self, *, within: timedelta = SETTLED_WITHIN) -> list[Attempt]:
        """All attempts, when every webhook was answered well or given up. Raises TimeoutError."""
        async with asyncio.timeout(within.total_seconds()):
            while self._tasks:
                await asyncio.wait(self._tasks)
        return self.attempts

    async def __aenter__(self) -> Self:
        limits = httpx2.Limits(max_connections=MAX_CONNECTIONS)
        self._client = httpx2.AsyncClient(limits=limits, follow_redirects=False, trust_env=False)
        self._outbox.senders.append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outbox.senders.remove(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def take(self, outgoing: Outgoing) -> None:
        """Send it, unless it was to be spoiled."""
        if self._lost:
            self._lost -= 1
        elif self._to_hold:
            self._held.append(outgoing)
            self._to_hold -= 1
            if not self._to_hold:
                held, self._held = self._held[::-1], []
                self._start(held)
        else:
            self._start([outgoing])

    def _start(self, ones: list[Outgoing]) -> None:
        again = [one for one in ones if self._takes_duplicate()]
        for group in (ones, again):
            if group:
                task = asyncio.create_task(self._send_all(group), name="stepwell-fake-webhooks")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _takes_duplicate(self) -> bool:
        if not self._duplicates:
            return False
        self._duplicates -= 1
        return True

    async def _send_all(self, ones: list[Outgoing]) -> None:
        for one in ones:
            await self._send(one)

    async def _send(self, outgoing: Outgoing) -> None:
        """Send until it is answered well, or the vendor gives up."""
        retries, number = source_named(outgoing.source).retries, 0
        while True:
            number += 1
            attempt = Attempt(outgoing, number, await self._answer(outgoing))
            self.attempts.append(attempt)
            delay = None if attempt.is_good else retries.next_delay(attempt.status or NO_ANSWER, attempt=number)
            if delay is None:
                outgoing.answered(attempt.status, number)
                return
            await asyncio.sleep(delay.total_seconds() / self._speed)

    async def _answer(self, outgoing: Outgoing) -> int | None:
        if self._client is None:
            raise RuntimeError("use Deliveries as a block: async with Deliveries(...) as sent")
        patience = source_named(outgoing.source).answer_within or ANSWER_WITHIN
        try:
            async with asyncio.timeout(patience.total_seconds()):
                answer = await self._client.post(outgoing.url, content=outgoing.body, headers=outgoing.headers)
        except (httpx2.HTTPError, TimeoutError):
            return None
        return answer.status_code


NO_ANSWER = 504
"""What no answer in time counts as where a vendor's schedule names statuses: a time-out of the way there."""
