"""From figures to a table: each value beside the raw limit of the same run, the peers, and what we set out to reach."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bench.engines import ENGINES
from bench.raw import Limits
from bench.search import FILTERS
from bench.workloads import Figures

Results = Mapping[str, Mapping[str, Figures]]  # engine, then workload


@dataclass(frozen=True)
class Measure:
    """One row: where its figure is found, the limit that it is divided by, and the target that the project set."""

    workload: str
    figure: str
    label: str
    target: str = ""
    limit: str | None = None

    def of(self, figures: Mapping[str, Figures]) -> float | None:
        return figures.get(self.workload, {}).get(self.figure)


RATE, RUNNING, CPU, WAL = "steps_per_second", "steps_per_second_running", "cpu_us_per_step", "wal_bytes_per_step"
MEASURES = (
    Measure("sequential", "ms_per_step", "one execution alone: ms per step", "0.5", "commit_ms"),
    Measure("sequential", CPU, "one execution alone: worker CPU per step, us", "", "commit_cpu_us"),
    Measure("throughput", RATE, "2,000 x 10, one worker, one `start_many`: steps/s", "15,000", "commits_per_second"),
    Measure("throughput", RUNNING, "- first step to last: steps/s", "", "rows_per_second_by_1000"),
    Measure("throughput", CPU, "- worker CPU per step, us", "40", "commit_cpu_us"),
    Measure("throughput", WAL, "- WAL per step, bytes", "350", "wal_bytes_per_row"),
    Measure("one-by-one", RATE, "2,000 x 10, started one by one: steps/s", "", "commits_per_second"),
    Measure("one-by-one", CPU, "- worker CPU per step, us", "", "commit_cpu_us"),
    Measure("two-workers", RATE, "2,000 x 10, two workers, one `start_many`: steps/s", "", "commits_per_second"),
    Measure("two-workers", RUNNING, "- first step to last: steps/s", "", "rows_per_second_by_1000"),
    Measure("two-workers", CPU, "- CPU of both workers per step, us", "", "commit_cpu_us"),
    Measure("latency", "p50_ms", "start to result, idle worker: p50, ms", "4", "commit_ms"),
    Measure("latency", "p99_ms", "- p99, ms", "10", "commit_ms"),
    Measure("sleepers", "late_p50_ms", "5,000 sleepers of 5 s: late p50, ms", "20", "commit_ms"),
    Measure("sleepers", "late_p99_ms", "- late p99, ms", "100", "commit_ms"),
    Measure("sleepers", "together", "- most asleep together", "5,000"),
    Measure("sleepers", "memory_growth_mb", "- memory that they hold in the worker, MB", "1"),
    Measure("stampede", "woken_per_second", "100,000 sleepers until the same second: woken/s", ""),
    Measure("stampede", "first_late_ms", "- the first goes on late by, ms", "", "commit_ms"),
    Measure("stampede", "most_running", "- most that the worker holds", "1,000"),
    Measure("events", "p50_ms", "1,000 waiting, an event for each, send to end: p50, ms", "30", "commit_ms"),
    Measure("events", "p99_ms", "- p99, ms", "", "commit_ms"),
    Measure("events", "sent_per_second", "- sent one after the other: events/s", "", "commits_per_second"),
    Measure(
        "children", "of_one_per_second", "one execution calls 1,000 children: children/s", "", "commits_per_second"
    ),
    Measure("children", "of_many_per_second", "100 call 100 each: children/s", "", "rows_per_second_by_1000"),
    Measure("killed", "extra_seconds", "kill -9 at half of 2,000 x 10: extra seconds", "5"),
    Measure("killed", "steps_repeated", "- steps repeated", "cut attempts only"),
    Measure("killed", "checkpointed_steps_repeated", "- of these, checkpointed before", "0"),
    Measure("killed", "steps_lost", "- steps lost", "0"),
    Measure("replay", "replay_seconds", "replay of 5,000 steps, seconds", "0.05", "read_seconds"),
    Measure("replay", "resumed_late_seconds", "- its sleeper goes on late by, seconds", "", "read_seconds"),
    Measure("submits", "one_by_one_per_second", "submit one at a time: starts/s", "2,500", "commits_per_second"),
    Measure("submits", "at_once_per_second", "submit 10,000 at once: starts/s", "25,000", "rows_per_second_by_1000"),
    Measure("idle", "statements_per_minute", "idle worker: statements per minute", "150"),
    Measure("idle", "memory_mb", "idle worker: resident memory, MB", "60"),
    Measure(
        "intake",
        "accepted_per_second",
        "signed deliveries, one server process: accepted/s",
        "2,500",
        "commits_per_second",
    ),
    Measure("intake", "cpu_us_per_delivery", "- server CPU per delivery, us", "", "commit_cpu_us"),
    Measure("intake", "p50_ms", "- at 1,000 a second, answered after: p50, ms", "", "commit_ms"),
    Measure("intake", "p99_ms", "- p99, ms", "100", "commit_ms"),
    *(
        Measure("search", f"{name}_{figure}_ms", f"- {name.replace('_', ' ')}, {figure}, ms", "20")
        for name in FILTERS
        for figure in ("p50", "p99")
    ),
    Measure("search", "entered_us", "- entering one into the index of words, us", ""),
)
SHORT_LABELS = {
    "commit_ms": "a commit",
    "commits_per_second": "commits",
    "commit_cpu_us": "a commit",
    "rows_per_second_by_1000": "batched rows",
    "wal_bytes_per_row": "a bare row",
    "read_seconds": "a bare read",
}
LIMIT_LABELS = {
    "fsync_ms": "fdatasync of one page, p50, ms",
    "commit_ms": "commit of one row, one connection, p50, ms",
    "commits_per_second": "commits of one row, one connection, per second",
    "commit_cpu_us": "client CPU per commit of one row, us",
    "rows_per_second_by_100": "rows per second, 100 per commit",
    "rows_per_second_by_1000": "rows per second, 1,000 per commit",
    "wal_bytes_per_row": "WAL per row, 1,000 per commit, bytes",
    "read_seconds": "5,000 rows fetched and decoded, seconds",
    "bare_steps_per_second": "steps per second in asyncio, nothing durable",
    "bare_step_us": "us per step in asyncio, nothing durable",
}


def number(value: float) -> str:
    """Three significant digits, with separators and without a needless fraction: 14,300, 0.482, 1.9, 0."""
    if abs(value) >= 100:
        digits = len(str(int(abs(value)))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else "0"


def ratio(value: float, limit: str, limits: Limits) -> str:
    """How often the raw limit fits into the value, with the limit itself: `1.93x 0.26, a commit`."""
    of = asdict(limits)[limit]
    return f"{number(value / of)}x {number(of)}, {SHORT_LABELS[limit]}"


def tables(results: Results, limits: Limits, *, postgres: str) -> str:
    """The whole report as Markdown: the machine in one line, the measures, the raw limits."""
    return "\n".join([machine(postgres), "", *measures_table(results, limits), "", *limits_table(limits), ""])


def page(results: Results, limits: Limits, *, postgres: str, command: str, failed: list[str]) -> str:
    """RESULTS.md: the report with the command that made it and the set-up of each engine."""
    parts = ["# Results", f"Made by `{command}`. What each row means: [README.md](README.md)."]
    parts += [tables(results, limits, postgres=postgres), "Set-up:", "\n".join(settings_notes(results))]
    parts += [f"Failed: {failure.splitlines()[0]}" for failure in failed]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def measures_table(results: Results, limits: Limits) -> list[str]:
    """A row per measure that any engine has; the ratio is of the first engine named."""
    engines = list(results)
    first, others = engines[0], engines[1:]
    head = ["measure", first, "against the raw limit", *others, "target"]
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 2), "---"])]
    for measure in MEASURES:
        found = {engine: measure.of(results[engine]) for engine in engines}
        if all(value is None for value in found.values()):
            continue
        own = found[first]
        share = ratio(own, measure.limit, limits) if own is not None and measure.limit else ""
        shown = ["" if found[engine] is None else number(found[engine] or 0) for engine in engines]
        lines.append(_row([measure.label, shown[0], share, *shown[1:], measure.target]))
    return lines


def limits_table(limits: Limits) -> list[str]:
    lines = [_row(["raw limit of this machine, same run", "value"]), _row(["---", "---:"])]
    return lines + [_row([LIMIT_LABELS[name], number(value)]) for name, value in asdict(limits).items()]


def settings_notes(results: Results) -> list[str]:
    """How each engine was set up, and which version of it."""
    return [f"- **{name}** {' '.join(ENGINES[name].packages)}: {ENGINES[name].note}." for name in results]


def machine(postgres: str) -> str:
    system = f"{platform.system()}, Python {platform.python_version()}, PostgreSQL {postgres}"
    return f"{os.cpu_count()} cores, {system}; server, workers and submitter on the same machine."


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
