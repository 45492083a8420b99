"""Import the airports of the world while the worker is killed twice, then count what was lost or done twice.

    python demo.py [--airports 28298] [--out DIRECTORY]

Uses STEPWELL_DATABASE_URL, or else the embedded PostgreSQL. Exits with 1 when a count is not what it must be.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from uuid import uuid4

from rich.console import Console

import flows
from audit import Evidence, Kill, problems
from data import load_airports
from database import Database
from ledger import LedgerReader, Outcome, read_ledger
from processes import HERE, Processes
from screen import Screen, open_screen, verdict_table
from standstill import Standstill
from stepwell import StepwellError
from stepwell.app.database import PostgresDatabase
from vendor_api import user_agent

LEDGER = "ledger.jsonl"
OURS = (LEDGER, "airports.csv", "airports.svg", "vendor.log", "worker.log")
KILL_WHEN_ENRICHED = 0.4  # the first kill cuts calls to the vendor
KILL_WHEN_STORED = 0.3  # the second one cuts transactions
KILLS = 2
POLL_SECONDS = 0.05
QUICK_POLL_SECONDS = 0.005  # storing is soon over, and is to be killed half-way
STANDSTILL_SECONDS = 20.0  # a killed worker's lease runs out in a quarter of it
LIMIT_SECONDS = 150.0  # the whole import takes less than half of it


class Demo:
    """One import, watched from outside, and the two kills."""

    def __init__(
        self, *, codes: list[str], out: Path, database: Database, processes: Processes, screen: Screen
    ) -> None:
        self._codes = codes
        self._out = out
        self._database = database
        self._processes = processes
        self._screen = screen
        self._ledger = LedgerReader(out / LEDGER)
        self._answered: set[str] = set()
        self._kills: list[Kill] = []
        self._standstill = Standstill(after_seconds=STANDSTILL_SECONDS)
        self._import_id = ""

    def run(self) -> Evidence:
        """From empty tables to the evidence. Raises `RuntimeError` when it cannot be had."""
        self._begin()
        limit = time.monotonic() + LIMIT_SECONDS
        while self._tick():
            self._processes.check()
            if time.monotonic() > limit:
                self._explain()
                raise RuntimeError(f"the import has not ended within {LIMIT_SECONDS:.0f} seconds")
            time.sleep(QUICK_POLL_SECONDS if self._is_about_to_kill() else POLL_SECONDS)
        return self._evidence()

    def _begin(self) -> None:
        for execution_id in self._database.unfinished():
            flows.app.sync.cancel(execution_id)  # left behind by a demo that was stopped
        self._database.make_tables()
        address = self._processes.start_vendor(self._out / LEDGER)
        worker = self._processes.start_worker()
        handle = flows.app.sync.start(
            flows.import_airports, {"limit": len(self._codes), "directory": str(self._out)}, key=f"demo-{uuid4()}"
        )
        self._import_id = str(handle.id)
        self._screen.say(f"vendor at {address}, worker {worker}, execution {self._import_id}")

    def _tick(self) -> bool:
        """Look once, show it, kill when it is time. False when everything has ended."""
        has_ended = self._has_ended()
        reports = self._database.reports(self._import_id)
        rows = self._database.rows()
        self._answered.update(entry.key for entry in self._ledger.new_entries() if entry.outcome is Outcome.ANSWERED)
        reported = self._database.steps(reports)
        self._screen.show(enriched=len(self._answered), stored=rows, reported=reported)
        if not has_ended and self._kill_is_due(rows):
            self._kill()
        progress = len(self._answered), rows, reported, len(self._kills)
        if self._standstill.is_due(progress, now=time.monotonic()):
            self._screen.say(f"Nothing has moved for {STANDSTILL_SECONDS:.0f} seconds.")
            self._explain()
        return not has_ended

    def _has_ended(self) -> bool:
        """Whether the import has ended, and then also the report that its last step started."""
        return self._database.has_ended(self._import_id) and all(
            self._database.has_ended(report) for report in self._database.reports(self._import_id)
        )

    def _kill_is_due(self, rows: int) -> bool:
        match len(self._kills):
            case 0:
                return len(self._answered) >= KILL_WHEN_ENRICHED * len(self._codes)
            case 1:
                return rows >= KILL_WHEN_STORED * len(self._codes)
        return False

    def _is_about_to_kill(self) -> bool:
        return len(self._kills) == KILLS - 1 and len(self._answered) == len(self._codes)

    def _kill(self) -> None:
        killed = self._processes.kill_worker()
        self._database.settle()
        stored = frozenset(self._codes[position] for position in self._database.enriched(self._import_id))
        rows = self._database.rows()
        self._kills.append(Kill(user_agent(killed), stored))
        self._screen.say(
            f"kill -9 {killed}, which had enriched {len(stored):,} airports and stored {rows:,};"
            f" worker {self._processes.start_worker()} goes on when the lease has run out"
        )

    def _explain(self) -> None:
        """Say why nothing moves, as far as the engine and the worker know."""
        executions = [self._import_id, *self._database.reports(self._import_id)]
        for line in (*self._database.why(executions), *self._processes.last_words()):
            self._screen.say(f"  {line}")

    def _evidence(self) -> Evidence:
        executions = [self._import_id, *self._database.reports(self._import_id)]
        return Evidence(
            airports=self._codes,
            entries=read_ledger(self._out / LEDGER),
            failed={(self._codes[at], attempt) for at, attempt in self._database.failed_attempts(self._import_id)},
            rows=self._database.stored(),
            kills=self._kills,
            steps=self._database.steps(executions),
            reports=len(executions) - 1,
        )


def demonstrate(*, airports: int, out: Path, console: Console) -> bool:
    """Run the demo and print what came of it. Whether every count is what it must be."""
    began = time.monotonic()
    out.mkdir(exist_ok=True)
    for name in OURS:
        (out / name).unlink(missing_ok=True)
    codes = [airport.icao for airport in load_airports()[:airports]]
    url = PostgresDatabase(None, schema=None).ready_url()
    with Database(url) as database, Processes(out) as processes, open_screen(console, airports=len(codes)) as screen:
        evidence = Demo(codes=codes, out=out, database=database, processes=processes, screen=screen).run()
    console.print(verdict_table(evidence))
    found = list(problems(evidence, expected_kills=KILLS))
    for problem in found:
        console.print(f"WRONG: {problem}", style="bold red", soft_wrap=True)
    if not found:
        console.print("Nothing was lost and nothing was done twice.", style="bold green")
        console.print(
            f"The report: {relative(out / 'airports.csv')} and {relative(out / 'airports.svg')}", soft_wrap=True
        )
    console.print(f"{time.monotonic() - began:.0f} seconds")
    return not found


def relative(path: Path) -> Path:
    """The path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """A polite request to end is treated like Ctrl-C, so that it leaves nothing running either."""
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description="Import the airports of the world while the worker is killed twice.")
    parser.add_argument("--airports", type=int, default=len(load_airports()), help="how many (default: all)")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="where the report, ledger and logs go")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    console = Console()
    try:
        return 0 if demonstrate(airports=arguments.airports, out=arguments.out.absolute(), console=console) else 1
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    except (RuntimeError, StepwellError) as error:
        console.print(f"WRONG: {error}", style="bold red", soft_wrap=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
