"""`Lab` for plain test functions: a bridge to the lab's event loop, without logic of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from stepwell.core.duration import DurationLike
from stepwell.runtime.registry import Workflow
from stepwell.testing.fakes import Fake
from stepwell.testing.lab import Lab


class SyncLab:
    """A lab whose event loop runs in a thread of its own. Start and follow executions by `app.sync`."""

    def __init__(self, lab: Lab, loop: asyncio.AbstractEventLoop) -> None:
        self._lab, self._loop = lab, loop

    @property
    def now(self) -> datetime:
        """See Lab.now."""
        return self._lab.now

    def advance(self, by: DurationLike) -> None:
        """See Lab.advance."""
        self._await(self._lab.advance(by))

    def settle(self) -> None:
        """See Lab.settle."""
        self._await(self._lab.settle())

    def fake(self, name: str | Workflow[..., Any], *outcomes: Any) -> Fake:
        """See Lab.fake."""
        return self._lab.fake(name, *outcomes)

    def crash(self) -> None:
        """See Lab.crash."""
        self._await(self._lab.crash())

    def _await(self, call: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(call, self._loop).result()
