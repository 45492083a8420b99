"""A process that uses a connection, for tests that kill it: prints the token's number, or why there is none."""

from __future__ import annotations

import asyncio
import sys

from stepwell import App
from stepwell.errors import StepwellError
from stepwell.running import current_connected


async def use(name: str) -> None:
    async with App() as app, app.connected():
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        try:
            lent = await current_connected().connections.use(name)
            print(lent.secrets["token"].reveal().split("-")[1], flush=True)
        except StepwellError as error:
            print(type(error).__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(use(sys.argv[1]))
