"""The heartbeat: a thread that no user code can starve keeps the lease, and ends the sessions of the dead."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta

from stepwell.core.model import ExecutionId
from stepwell.errors import DatabaseUnavailable, LeaseLost
from stepwell.failpoints import failpoint
from stepwell.store.base import Pulse

log = logging.getLogger("stepwell.worker")


class Heart:
    """Beats three times per lease. Calls back on the event loop's thread.

    That thread also looks whether the lease is over by our own clock, for a beat may get no answer at all (F42).
    """

    def __init__(
        self,
        pulse: Pulse,
        *,
        lease_for: timedelta,
        on_lost: Callable[[Exception], None],
        on_cancelling: Callable[[Iterable[ExecutionId]], None],
    ) -> None:
        self._pulse, self._lease_seconds = pulse, lease_for.total_seconds()
        self._on_lost, self._on_cancelling = on_lost, on_cancelling
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._ended = asyncio.Event()
        self._kept_at = time.monotonic()  # the lease counts from when it was last asked for
        self._asked_at: float | None = None  # a beat is under way since then
        self._watch: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="stepwell-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._look()

    async def stop(self) -> None:
        """Return when the thread has come to its end."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.cancel()
        # no thread waits for it: those of the loop's executor may all be busy with code of the user's
        await self._ended.wait()

    def _look(self) -> None:
        """When the lease has run out by our own clock others have taken over: going on would double effects.

        Unless no beat waits for its answer: then this process was starved, and may beat yet.
        """
        now, third, asked_at = time.monotonic(), self._lease_seconds / 3, self._asked_at
        left = self._kept_at + self._lease_seconds - now
        if left <= 0 and asked_at is not None and now - asked_at > third:
            self._on_lost(DatabaseUnavailable("the lease is over: the database does not answer"))
        else:
            self._watch = self._loop.call_later(max(left, third), self._look)

    def _run(self) -> None:
        try:
            self._beat_on()
        except Exception as error:
            log.error("the heartbeat ended with an error", exc_info=error)
            self._tell(self._on_lost, error)
        finally:
            self._pulse.close()
            self._tell(self._ended.set)

    def _beat_on(self) -> None:
        """Until stopped: also while what ran is cut, for until then a session may be there that is not to run out."""
        while not self._stopping.wait(self._lease_seconds / 3):
            self._asked_at = asked_at = time.monotonic()
            failpoint("in_heartbeat")
            try:
                if self._beat():
                    self._kept_at = asked_at
                    failpoint("in_sweep")
                    self._reap()
            except DatabaseUnavailable as error:
                if time.monotonic() - self._kept_at > self._lease_seconds:
                    self._tell(self._on_lost, error)
                    return
            self._asked_at = None

    def _beat(self) -> bool:
        cancelling = self._pulse.beat()
        if cancelling is None:
            self._tell(
                self._on_lost,
                LeaseLost("the lease ran out before it was extended, or the database has another server now"),
            )
            return False
        if cancelling:
            self._tell(self._on_cancelling, cancelling)
        return True

    def _reap(self) -> None:
        reaped = self._pulse.reap()
        if reaped.sessions or reaped.freed or reaped.failed:
            log.warning(
                "%d worker(s) died: %d execution(s) are carried on, %d had crashed too many workers",
                reaped.sessions, reaped.freed, len(reaped.failed),
            )  # fmt: skip

    def _tell(self, callback: Callable[..., None], *news: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback, *news)
