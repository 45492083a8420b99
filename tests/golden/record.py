"""Record the history of each workflow of this folder: `python -m tests.golden.record`.

A history that is there is never written again: it says what that version stored.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stepwell import ExecutionFailed, Handle
from stepwell.inputs import NOTHING
from stepwell.runtime.history import history_of, history_to_json
from stepwell.testing import Lab, running
from tests.golden.flows import INPUTS, RESTING, app

HISTORIES = Path(__file__).parent / "histories"
ROOT = Path(__file__).parents[2]


async def recorded(lab: Lab, workflow: str) -> str:
    """The history of an execution that has ended, or has come to rest."""
    handle: Handle[Any] = await app.start(workflow, INPUTS.get(workflow, NOTHING))
    if workflow in RESTING:
        await lab.settle()
    else:
        with suppress(ExecutionFailed):
            await app.result(handle.id)
    found = await app.get(handle.id)
    text = history_to_json(history_of(found, await app.steps(handle.id), as_of=lab.now))
    return (
        text.replace(f"{ROOT}/", "") + "\n"
    )  # in tracebacks: where this machine keeps the project is nobody's business


async def main() -> None:
    """Write what is missing of this version."""
    folder = HISTORIES / version("stepwell")
    folder.mkdir(parents=True, exist_ok=True)
    async with running(app) as lab:
        for workflow in app.registry.names:
            file = folder / f"{workflow}.json"
            if not file.exists():
                file.write_text(await recorded(lab, workflow), encoding="utf-8")
                sys.stdout.write(f"{file.relative_to(HISTORIES)}\n")


if __name__ == "__main__":
    asyncio.run(main())
