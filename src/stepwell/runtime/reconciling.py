"""Workflows that ask a vendor for events whose webhooks were lost, made by the engine for triggers with `reconcile=`.

One execution of them is one look. What it finds goes the way of a delivery, and starts executions with the same keys:
what the webhook has brought is left alone; what was lost starts, and is listed among the deliveries as found. The
cursor moves after that, so a crash finds the same again and starts nothing twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from stepwell.core.schedule import Cursor
from stepwell.core.triggers import Reconcile, WebhookTrigger
from stepwell.core.webhooks import FoundEvent, NewDelivery
from stepwell.inbox.starting import Found, new_delivery
from stepwell.runtime.outages import outlast
from stepwell.runtime.step import Step
from stepwell.store.base import Backend

log = logging.getLogger("stepwell.trigger")

MAX_PAGES = 100  # of one look; the next tick goes on
MAX_TOGETHER = 200  # deliveries of one statement, whose bodies it carries


class Page(NamedTuple):
    """One page of a look: how many executions were lost, and whether there is another page."""

    lost: int
    has_more: bool


def reconcile_function(
    trigger: WebhookTrigger, reconcile: Reconcile, schedule_id: str
) -> Callable[..., Coroutine[Any, Any, int]]:
    """The function of the workflow that looks for what was lost."""

    async def look(step: Step) -> int:
        """Start what was lost; how many executions that were."""
        around, lost = step._pass.around, 0

        async def page(by: str) -> Page:
            since = await outlast(around, lambda: around.store.catalog.cursor(schedule_id))
            found = await reconcile.find(None if since.value is None else json.loads(since.value))
            lost = await outlast(around, lambda: _take(around.store, trigger, found.events))
            moved = Cursor(json.dumps(found.cursor), by)
            await outlast(around, lambda: around.store.catalog.advance(schedule_id, moved, since=since, new=()))
            return Page(lost, found.has_more)

        for number in range(1, MAX_PAGES + 1):
            looked = await step.run("look", page, f"{step.execution_id}/{number}")
            lost += looked.lost
            if not looked.has_more:
                break
        if lost:
            log.warning("%s executions were started for deliveries of '%s' that never came", lost, trigger.source)
        return lost

    return look


async def _take(store: Backend, trigger: WebhookTrigger, events: Sequence[FoundEvent]) -> int:
    """Let each event start what its webhook would have started; how many executions that is."""
    parts = (events[start : start + MAX_TOGETHER] for start in range(0, len(events), MAX_TOGETHER))
    return sum([await _start(store, trigger, part) for part in parts])


async def _start(store: Backend, trigger: WebhookTrigger, events: Sequence[FoundEvent]) -> int:
    """By the hooks of the moment: those of the snapshot by which the deliveries were made, or a newer one."""
    accepted = None
    while accepted is None:
        revision, hooks = await store.inbox.hooks()
        deliveries = [new_delivery(_found(trigger, event, store.now()), hooks) for event in events]
        missing = await _missing(store, deliveries)
        accepted = await store.inbox.accept(missing, revision=revision)
    minted = {new.id for one in missing for new in one.starts}
    return len(minted & {id for one in accepted for id in one.executions})


def _found(trigger: WebhookTrigger, event: FoundEvent, now: datetime) -> Found:
    return Found(trigger.source, trigger.connection, event.envelope, {}, event.body, now, is_reconciled=True)


async def _missing(store: Backend, deliveries: Sequence[NewDelivery]) -> list[NewDelivery]:
    """Those of which something has not been started yet."""
    keys = {(new.workflow, new.key) for one in deliveries for new in one.starts if new.key is not None}
    started = await store.inbox.started(sorted(keys))
    return [one for one in deliveries if any((new.workflow, new.key) not in started for new in one.starts)]
