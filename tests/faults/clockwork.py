"""Workflows that a schedule and events start, for workers that are told to have them."""

from __future__ import annotations

from stepwell import Step, Tick, every, on_event
from tests.faults.flows import app, fetch


@app.workflow(trigger=every("1s", catch_up="all", overlap="allow"))
async def chime(tick: Tick, step: Step) -> int:
    """One short step."""
    return (await step.run("fetch", fetch, int(tick.at.timestamp()) % 60, 0.001)).value


@app.workflow(trigger=on_event("bell.*", where=lambda bell: bell["number"] % 10 != 0))
async def answer(number: int, step: Step) -> int:
    """One short step, but not for every tenth event."""
    return (await step.run("fetch", fetch, number, 0.001)).value
