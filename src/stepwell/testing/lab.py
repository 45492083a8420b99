"""What a test can do to an app in memory, besides the app's own calls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration
from stepwell.errors import InvalidOption
from stepwell.runtime.registry import Workflow
from stepwell.testing.fakes import Fake
from stepwell.testing.world import World


class Lab:
    """The app's time, its steps' functions and its worker, in the hands of a test. `running` makes it."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def now(self) -> datetime:
        """The time in the lab. It stands still, except while a test awaits a result or `advance`."""
        return self._world.store.now()

    async def advance(self, by: DurationLike) -> None:
        """Let so much time pass, with everything that falls due meanwhile; return when nothing can go on now."""
        try:
            length = parse_duration(by)
        except InvalidDuration as error:
            raise InvalidOption(f"advance: {error}") from None
        await self._world.advance(length)

    async def settle(self) -> None:
        """Return when nothing can go on without time or an event. No time passes."""
        await self._world.advance(timedelta(0))

    def fake(self, name: str | Workflow[..., Any], *outcomes: Any) -> Fake:
        """From now on steps of this name, or executions of this workflow, do not call their function.

        An outcome is a value to return, an exception to raise, or a function, sync or async, that is called with the
        arguments of the step, or the input of the workflow. Of several for a step the first is for the first attempt,
        and so on; the last one stays. "charge/verify" is what the effect "charge" is looked for with.
        """
        return self._world.bodies.fake(name, outcomes)

    async def crash(self) -> None:
        """The worker dies, as by kill -9, with all that is not stored; return when another one has taken over."""
        await self._world.crash()
