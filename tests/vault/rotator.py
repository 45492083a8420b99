"""A process that rotates keys, for tests that kill it."""

from __future__ import annotations

import asyncio

from stepwell import App


async def rotate() -> None:
    async with App() as app:
        print((await app.keys.rotate()).rows, flush=True)


if __name__ == "__main__":
    asyncio.run(rotate())
