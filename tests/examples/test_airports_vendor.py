"""The vendor over real HTTP: it refuses, fails, dawdles and forgets to answer, and never does the same work twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest

import service
from data import Airport, Enrichment, load_airports
from ledger import Entry, Kind, Outcome, read_ledger
from service import Weather

SEED = 5
FEW = 2.0  # calls per second, for the test of the rate limit: far fewer than any machine makes
PLENTY = 10_000.0


@dataclass
class Running:
    """A vendor in its own process."""

    url: str
    ledger: Path
    process: subprocess.Popen[str]

    def entries(self, key: str) -> list[Entry]:
        return [entry for entry in read_ledger(self.ledger) if entry.key == key]


def start(ledger: Path, *, calls_per_second: float) -> Running:
    arguments = ["--port", "0", "--ledger", str(ledger), "--seed", str(SEED)]
    process = subprocess.Popen(
        [sys.executable, service.__file__, *arguments, "--calls-per-second", str(calls_per_second)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return Running(process.stdout.readline().strip(), ledger, process)


def stop(running: Running) -> None:
    running.process.kill()
    running.process.wait()
    if running.process.stdout is not None:
        running.process.stdout.close()


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("vendor") / "ledger", calls_per_second=PLENTY)
    yield running
    stop(running)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


def airport_whose_first_call_is(outcome: Outcome) -> Airport:
    weather = Weather(seed=SEED)
    return next(airport for airport in load_airports() if weather.outcome(airport.icao, 1) is outcome)


async def enrich(http: aiohttp.ClientSession, vendor: Running, airport: Airport, *, key: str) -> Enrichment:
    async with http.post(
        f"{vendor.url}/v1/enrich", data=msgspec.json.encode(airport), headers={"Idempotency-Key": key}
    ) as response:
        response.raise_for_status()
        return msgspec.json.decode(await response.read(), type=Enrichment)


async def status(
    http: aiohttp.ClientSession, vendor: Running, body: bytes, *, key: str | None, attempt: str = "1"
) -> int:
    headers = {"Attempt": attempt} | ({"Idempotency-Key": key} if key else {})
    async with http.post(f"{vendor.url}/v1/enrich", data=body, headers=headers) as response:
        return response.status


async def test_the_same_key_twice_is_one_piece_of_work(http: aiohttp.ClientSession, vendor: Running) -> None:
    airport = airport_whose_first_call_is(Outcome.ANSWERED)

    first = await enrich(http, vendor, airport, key="twice")
    second = await enrich(http, vendor, airport, key="twice")

    assert first == second
    assert [entry.kind for entry in vendor.entries("twice")] == [Kind.WORK, Kind.REPEAT]


async def test_the_ledger_says_who_called_and_for_which_attempt(http: aiohttp.ClientSession, vendor: Running) -> None:
    airport = airport_whose_first_call_is(Outcome.ANSWERED)
    headers = {"Idempotency-Key": "signed", "User-Agent": "airports-worker/7", "Attempt": "12"}

    async with http.post(f"{vendor.url}/v1/enrich", data=msgspec.json.encode(airport), headers=headers) as response:
        response.raise_for_status()

    assert [(entry.caller, entry.attempt) for entry in vendor.entries("signed")] == [("airports-worker/7", 12)]


async def test_a_lost_answer_is_in_the_ledger_and_its_repeat_is_free(
    http: aiohttp.ClientSession, vendor: Running
) -> None:
    airport = airport_whose_first_call_is(Outcome.LOST)

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await enrich(http, vendor, airport, key="lost")
    answer = await enrich(http, vendor, airport, key="lost")

    work, repeat = vendor.entries("lost")
    assert (work.kind, work.outcome, work.answer) == (Kind.WORK, Outcome.LOST, answer)
    assert repeat.kind is Kind.REPEAT


async def test_a_late_answer_exceeds_the_callers_patience_with_the_work_done(
    http: aiohttp.ClientSession, vendor: Running
) -> None:
    airport = airport_whose_first_call_is(Outcome.LATE)

    with pytest.raises(TimeoutError):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as impatient:
            await enrich(impatient, vendor, airport, key="late")
    await enrich(http, vendor, airport, key="late")

    assert [(entry.kind, entry.outcome) for entry in vendor.entries("late")] == [
        (Kind.WORK, Outcome.LATE),
        (Kind.REPEAT, Outcome.ANSWERED),
    ]


async def test_an_unavailable_vendor_did_nothing(http: aiohttp.ClientSession, vendor: Running) -> None:
    airport = airport_whose_first_call_is(Outcome.UNAVAILABLE)

    assert await status(http, vendor, msgspec.json.encode(airport), key="unavailable") == 503
    await enrich(http, vendor, airport, key="unavailable")

    assert [entry.kind for entry in vendor.entries("unavailable")] == [Kind.REFUSED, Kind.WORK]


async def test_calls_over_the_rate_are_refused_and_told_when_to_come_back(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    airport = airport_whose_first_call_is(Outcome.ANSWERED)
    vendor = start(tmp_path / "ledger", calls_per_second=FEW)
    refused = []
    for number in range(10 * int(FEW)):
        async with http.post(
            f"{vendor.url}/v1/enrich", data=msgspec.json.encode(airport), headers={"Idempotency-Key": str(number)}
        ) as response:
            if response.status == 429:
                refused.append(int(response.headers["Retry-After"]))
    stop(vendor)

    assert refused
    assert set(refused) == {1}
    outcomes = [entry.outcome for entry in read_ledger(vendor.ledger)]
    assert outcomes.count(Outcome.RATE_LIMITED) == len(refused)


async def test_a_killed_vendor_knows_what_it_has_done(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    airport = airport_whose_first_call_is(Outcome.ANSWERED)
    first = start(tmp_path / "ledger", calls_per_second=PLENTY)
    before = await enrich(http, first, airport, key="kept")
    stop(first)

    second = start(tmp_path / "ledger", calls_per_second=PLENTY)
    after = await enrich(http, second, airport, key="kept")
    stop(second)

    assert before == after
    assert [entry.kind for entry in second.entries("kept")] == [Kind.WORK, Kind.REPEAT]


async def test_requests_that_make_no_sense_are_refused_and_leave_no_trace(
    http: aiohttp.ClientSession, vendor: Running
) -> None:
    body = msgspec.json.encode(airport_whose_first_call_is(Outcome.ANSWERED))

    assert await status(http, vendor, body, key=None) == 400
    assert await status(http, vendor, body, key="broken", attempt="0") == 400
    assert await status(http, vendor, body, key="broken", attempt="many") == 400
    assert await status(http, vendor, b"{", key="broken") == 422
    assert await status(http, vendor, b'{"icao": 7}', key="broken") == 422
    assert await status(http, vendor, body.replace(b'"US"', b'"ZZ"'), key="broken") == 422
    assert vendor.entries("broken") == []


async def test_a_key_belongs_to_one_airport(http: aiohttp.ClientSession, vendor: Running) -> None:
    weather = Weather(seed=SEED)
    one, other = [
        airport for airport in load_airports()[1_000:1_100] if weather.outcome(airport.icao, 1) is Outcome.ANSWERED
    ][:2]
    await enrich(http, vendor, one, key="taken")

    assert await status(http, vendor, msgspec.json.encode(other), key="taken") == 409
