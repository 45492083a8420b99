"""The flow's side of the vendor's API: one call, and what each answer means to the engine."""

from __future__ import annotations

import asyncio
import os

import aiohttp
import msgspec

from data import Airport, Enrichment
from stepwell import Permanent, RetryAfter, current_step

PATIENCE = aiohttp.ClientTimeout(total=2.0)  # seconds; the vendor usually answers in a fiftieth of one
OUR_FAULT = (400, 409, 422)  # a request that will not get better by repeating it

_session: aiohttp.ClientSession | None = None
_holder: asyncio.Task[None] | None = None


async def enrich(airport: Airport) -> Enrichment:
    """Ask the vendor about one airport. The key makes a repeat free: the vendor answers it from what it stored."""
    step = current_step()
    async with session().post(
        f"{os.environ['AIRPORTS_VENDOR_URL']}/v1/enrich",
        data=msgspec.json.encode(airport),
        headers={
            "Idempotency-Key": step.idempotency_key,
            "Attempt": str(step.attempt),
            "User-Agent": user_agent(os.getpid()),
        },
    ) as response:
        if response.status == 429:
            raise RetryAfter(float(response.headers["Retry-After"]))
        if response.status in OUR_FAULT:
            raise Permanent(await response.text())
        response.raise_for_status()
        return msgspec.json.decode(await response.read(), type=Enrichment)


def user_agent(process_id: int) -> str:
    """What a worker calls itself when it calls the vendor."""
    return f"airports-worker/{process_id}"


def session() -> aiohttp.ClientSession:
    """The connections that all steps of this process share."""
    global _session, _holder
    if _session is None or _session.closed:
        _session = aiohttp.ClientSession(timeout=PATIENCE)
        _holder = asyncio.create_task(_hold(_session))
    return _session


async def _hold(held: aiohttp.ClientSession) -> None:
    """Close the session with the event loop, which cancels this task as it ends."""
    async with held:
        await asyncio.get_running_loop().create_future()
