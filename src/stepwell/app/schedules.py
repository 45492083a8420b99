"""The App's calls about what starts executions by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from stepwell.app.handle import Handle
from stepwell.app.opening import Opening
from stepwell.core.dispatching import EventTrigger
from stepwell.core.schedule import Schedule
from stepwell.core.texts import checked_text
from stepwell.errors import UnknownSchedule
from stepwell.runtime.scheduler import start_one_now
from stepwell.store.base import Catalog

if TYPE_CHECKING:
    from stepwell.app.application import App


class ScheduleCalls(Opening):
    """What can be asked of schedules, and done to them while they run."""

    async def schedules(self) -> Sequence[Schedule]:
        """All schedules by their ids, also those that the code no longer declares."""
        return await (await self._catalog()).schedules()

    async def pause_schedule(self, schedule: str, *, reason: str = "paused") -> Schedule:
        """Let the schedule start nothing until it is resumed; what runs goes on. Raises UnknownSchedule."""
        catalog = await self._catalog()
        is_known = await catalog.pause_schedule(
            checked_text("schedule", schedule), reason=checked_text("reason", reason)
        )
        return await _known(catalog, schedule, is_known=is_known)

    async def resume_schedule(self, schedule: str) -> Schedule:
        """Let a paused schedule go on with its next tick; those of the pause are not made up.

        Raises UnknownSchedule.
        """
        catalog = await self._catalog()
        is_known = await catalog.resume_schedule(checked_text("schedule", schedule))
        return await _known(catalog, schedule, is_known=is_known)

    async def run_schedule(self, schedule: str) -> Handle[Any]:
        """Start an execution of the schedule now, whatever else of it runs, also while it is paused.

        Its tick is the present moment; the planned ones stay as they are. Raises UnknownSchedule.
        """
        store = (await self.open()).store
        execution_id = await start_one_now(store, checked_text("schedule", schedule))
        return Handle(cast("App", self), execution_id, is_new=True)

    async def triggers(self) -> Sequence[EventTrigger]:
        """What events start, by the ids of the triggers, also those that the code no longer declares."""
        return await (await self.open()).store.triggers.triggers()

    async def _catalog(self) -> Catalog:
        return (await self.open()).store.catalog


async def _known(catalog: Catalog, schedule: str, *, is_known: bool) -> Schedule:
    found = await catalog.schedule(schedule) if is_known else None
    if found is None:
        raise UnknownSchedule(schedule, [one.id for one in await catalog.schedules()])
    return found[1]
