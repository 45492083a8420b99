"""`running(app)`: the app lives in memory while a block runs."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from types import TracebackType

from stepwell.app.application import App
from stepwell.testing.lab import Lab
from stepwell.testing.sync import SyncLab
from stepwell.testing.world import World


class running:  # noqa: N801 - it reads as a function
    """While the block runs, the app is in memory: its executions run here, and waits take no time.

    `async with running(app) as lab:` in async tests, `with running(app) as lab:` and `app.sync` in plain ones. Nothing
    reaches the app's database. `now` is the time at which it begins, by default the real one. With `triggers` those of
    the app start executions: by events, and schedules and polls as time passes.
    """

    def __init__(self, app: App, *, now: datetime | None = None, triggers: bool = False) -> None:
        self._app, self._now, self._triggers = app, now, triggers

    async def __aenter__(self) -> Lab:
        self._world = World(self._app, now=self._now, triggers=self._triggers)
        await self._world.begin()
        return Lab(self._world)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._world.end()

    def __enter__(self) -> SyncLab:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stepwell-lab", daemon=True)
        self._thread.start()
        try:
            lab = asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result()
        except BaseException:
            self._stop()
            raise
        return SyncLab(lab, self._loop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._world.end(), self._loop).result()
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
