"""What a worker starts by itself: by the clock, and by events."""

from __future__ import annotations

from datetime import timedelta

from stepwell.core.dispatching import TriggerSpec
from stepwell.runtime.dispatcher import Dispatcher
from stepwell.runtime.registry import Registry
from stepwell.runtime.scheduler import Scheduler, start_first
from stepwell.store.base import Backend


async def put_in_force(store: Backend, registry: Registry) -> None:
    """Let what the code declares be the schedules and triggers of its workflows."""
    await store.catalog.apply_schedules(registry.schedules, workflows=registry.names)
    specs = [TriggerSpec(name, one.workflow, one.pattern) for name, one in registry.listening.items()]
    await store.triggers.apply_triggers(specs, workflows=registry.names)
    await store.inbox.apply_hooks(registry.hooks, workflows=registry.names)
    for look in registry.looks:  # the first one finds out where to begin: what gets lost from now on is found
        await start_first(store, look)


class Starters:
    """The scheduler and the dispatcher of one worker, as far as its workflows have need of them."""

    def __init__(self, store: Backend, registry: Registry) -> None:
        self._scheduler = Scheduler(store, registry.names) if registry.schedules else None
        self._dispatcher = Dispatcher(store, registry.listening) if registry.listening else None

    async def tick(self, *, is_hinted: bool) -> timedelta | None:
        """Start what is due; how long to wait until the next look. `is_hinted`: we would be told of events."""
        delays = []
        if self._scheduler is not None:
            delays.append(await self._scheduler.tick())
        if self._dispatcher is not None:
            delays.append(await self._dispatcher.tick(is_hinted=is_hinted))
        return min(delays, default=None)

    def hear(self, hint: str) -> bool:
        """Whether there is something to look at now."""
        return any(one.hear(hint) for one in (self._scheduler, self._dispatcher) if one is not None)

    def hear_of_an_end(self) -> bool:
        """The same, after an execution has ended here."""
        return self._scheduler is not None and self._scheduler.hear_of_an_end()
