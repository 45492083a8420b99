"""The vendor: an HTTP service that enriches airports and behaves as vendors do.

    python service.py --port 8765 --ledger ledger.jsonl

It refuses calls over its rate limit (429 with Retry-After), has bad moments (503), answers some calls too late, and
loses some answers after the work was done. A repeated `Idempotency-Key` is answered from what the first call stored.
The same `--seed` gives the same airports the same trouble. It prints its address on one line when it is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import math
import os
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from data import Airport, Enrichment
from geography import Geography, UnknownCountry
from ledger import Entry, Kind, Ledger, Outcome, read_ledger

WORK_SECONDS = 0.02  # what the vendor takes for one airport
ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")
STDIN = 0


@dataclass(frozen=True, slots=True)
class Weather:
    """How often each kind of trouble happens, as a share of the calls that passed the rate limit."""

    seed: int
    unavailable: float = 0.005
    late: float = 0.002
    lost: float = 0.005
    late_seconds: float = 3.0  # how long a late answer is held back: longer than the flow's patience

    def outcome(self, airport: str, call: int) -> Outcome:
        """What happens to the `call`-th call about an airport: the same in every run with this seed."""
        digest = hashlib.blake2b(f"{self.seed}/{airport}/{call}".encode(), digest_size=8).digest()
        draw = int.from_bytes(digest) / 2**64
        for outcome, share in (
            (Outcome.UNAVAILABLE, self.unavailable),
            (Outcome.LATE, self.late),
            (Outcome.LOST, self.lost),
        ):
            if draw < share:
                return outcome
            draw -= share
        return Outcome.ANSWERED


class TokenBucket:
    """Lets `per_second` calls through, and after a pause as many at once as one second would bring."""

    def __init__(self, per_second: float, *, now: float) -> None:
        self._per_second = per_second
        self._tokens = per_second
        self._filled_at = now

    def take(self, now: float) -> float:
        """Zero when the call may go through, otherwise the seconds until one may."""
        self._tokens = min(self._per_second, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request that makes sense: who asks about which airport, and when that was."""

    key: str
    caller: str
    attempt: int
    airport: Airport
    started: float


class Vendor:
    """The service behind its one route. All its state is in the ledger, from which it starts again."""

    def __init__(self, ledger: Ledger, *, past: list[Entry], weather: Weather, calls_per_second: float) -> None:
        self._ledger = ledger
        self._weather = weather
        self._bucket = TokenBucket(calls_per_second, now=time.monotonic())
        self._geography = Geography()
        self._answers = {entry.key: (entry.airport, entry.answer) for entry in past if entry.answer is not None}
        self._calls = Counter(entry.airport for entry in past if entry.outcome is not Outcome.RATE_LIMITED)
        self._decoder = msgspec.json.Decoder(Airport)

    async def enrich(self, request: web.Request) -> web.Response:
        """POST /v1/enrich: an airport in, an `Enrichment` out."""
        call = await self._parse(request)
        if wait_seconds := self._bucket.take(time.monotonic()):
            self._record(call, Kind.REFUSED, Outcome.RATE_LIMITED)
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(math.ceil(wait_seconds))})
        self._calls[call.airport.icao] += 1
        outcome = self._weather.outcome(call.airport.icao, self._calls[call.airport.icao])
        if outcome is Outcome.UNAVAILABLE:
            self._record(call, Kind.REFUSED, outcome)
            raise web.HTTPServiceUnavailable
        await asyncio.sleep(WORK_SECONDS)
        return await self._send(self._work(call, outcome), outcome, request)

    async def _parse(self, request: web.Request) -> Call:
        key = request.headers.get("Idempotency-Key")
        if not key:
            raise web.HTTPBadRequest(text="the header Idempotency-Key is missing")
        attempt = request.headers.get("Attempt", "1")
        if not ATTEMPT.fullmatch(attempt):
            raise web.HTTPBadRequest(text="the header Attempt is not a number from 1")
        try:
            airport = self._decoder.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        return Call(key, request.headers.get("User-Agent", ""), int(attempt), airport, time.time())

    def _work(self, call: Call, outcome: Outcome) -> Enrichment:
        """One piece of work per key, in the ledger before anybody hears of it."""
        if (stored := self._answers.get(call.key)) is not None:
            stored_airport, answer = stored
            if stored_airport != call.airport.icao:
                raise web.HTTPConflict(text=f"this Idempotency-Key was used for {stored_airport}")
            self._record(call, Kind.REPEAT, outcome, answer)
            return answer
        try:
            answer = self._geography.describe(call.airport)
        except UnknownCountry as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        self._answers[call.key] = call.airport.icao, answer
        self._record(call, Kind.WORK, outcome, answer)
        return answer

    async def _send(self, answer: Enrichment, outcome: Outcome, request: web.Request) -> web.Response:
        if outcome is Outcome.LATE:
            await asyncio.sleep(self._weather.late_seconds)
        if outcome is Outcome.LOST and request.transport is not None:
            request.transport.abort()
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    def _record(self, call: Call, kind: Kind, outcome: Outcome, answer: Enrichment | None = None) -> None:
        icao, finished = call.airport.icao, time.time()
        self._ledger.append(
            Entry(call.key, icao, call.caller, call.attempt, kind, outcome, call.started, finished, answer)
        )


async def serve(vendor: Vendor, *, port: int, until_stdin_closes: bool) -> None:
    """Answer calls on the loopback interface until told to stop. Port 0 takes any free one."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if until_stdin_closes:
        loop.add_reader(STDIN, on_stdin, stopped)
    application = web.Application()
    application.router.add_post("/v1/enrich", vendor.enrich)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    host, taken_port = runner.addresses[0][:2]
    print(f"http://{host}:{taken_port}", flush=True)
    await stopped.wait()
    await runner.cleanup()


def on_stdin(stopped: asyncio.Event) -> None:
    """Whoever started the vendor holds the other end: it is closed also when that process is killed."""
    if not os.read(STDIN, 1024):
        asyncio.get_running_loop().remove_reader(STDIN)
        stopped.set()


def main() -> None:
    parser = argparse.ArgumentParser(description="An enrichment vendor with a rate limit and bad moments.")
    parser.add_argument("--port", type=int, default=8765, help="0 takes any free port")
    parser.add_argument("--ledger", type=Path, required=True, help="file of JSON lines, continued if it exists")
    parser.add_argument("--calls-per-second", type=float, default=700.0)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--until-stdin-closes", action="store_true", help="also end when standard input does")
    arguments = parser.parse_args()
    past = read_ledger(arguments.ledger)
    with Ledger(arguments.ledger) as ledger:
        vendor = Vendor(
            ledger,
            past=past,
            weather=Weather(seed=arguments.seed),
            calls_per_second=arguments.calls_per_second,
        )
        asyncio.run(serve(vendor, port=arguments.port, until_stdin_closes=arguments.until_stdin_closes))


if __name__ == "__main__":
    main()
