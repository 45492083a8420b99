"""A workflow that a schedule starts every second, for workers that are told to have it."""

from __future__ import annotations

from stepwell import Step, Tick, every
from tests.faults.flows import app, fetch


@app.workflow(trigger=every("1s", catch_up="all", overlap="allow"))
async def chime(tick: Tick, step: Step) -> int:
    """One short step."""
    return (await step.run("fetch", fetch, int(tick.at.timestamp()) % 60, 0.001)).value
