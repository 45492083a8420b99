"""Was anything lost or done twice? Judged by the vendor's ledger and the database, never by what the engine says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from data import Enrichment
from ledger import Entry, Kind, Outcome


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9 of the worker, and what the database held before the next worker was started."""

    resumed_at: float  # Unix time; every earlier call was made by a worker that is dead
    enriched: int  # stored checkpoints of enrich steps
    rows: int  # rows in the application's table


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the verdict rests on."""

    airports: Sequence[str]  # the ICAO codes that went in
    entries: Sequence[Entry]  # the vendor's ledger
    rows: Sequence[tuple[str, Enrichment]]  # the application's table
    kills: Sequence[Kill]
    steps: int  # stored steps of all executions
    reports: int  # executions of the report


@dataclass(frozen=True, slots=True)
class Counts:
    """What the demo shows. `cut` is the number of calls that a kill made the flow repeat."""

    airports: int
    rows: int
    steps: int
    worked: int
    skipped: int
    cut: int
    after_lost: int
    after_late: int
    unexplained: int
    rate_limited: int
    unavailable: int
    duplicates: int
    lost: int


def count(evidence: Evidence) -> Counts:
    """Every count of the final table."""
    worked = Counter(entry.airport for entry in evidence.entries if entry.kind is Kind.WORK)
    stored = Counter(icao for icao, _ in evidence.rows)
    outcomes = Counter(entry.outcome for entry in evidence.entries)
    reasons = Counter(repeat_reasons(evidence.entries, evidence.kills))
    return Counts(
        airports=len(evidence.airports),
        rows=len(evidence.rows),
        steps=evidence.steps,
        worked=worked.total(),
        skipped=sum(skipped(evidence.entries, kill) for kill in evidence.kills),
        cut=reasons["cut"],
        after_lost=reasons["lost"],
        after_late=reasons["late"],
        unexplained=reasons["unexplained"],
        rate_limited=outcomes[Outcome.RATE_LIMITED],
        unavailable=outcomes[Outcome.UNAVAILABLE],
        duplicates=sum(number - 1 for number in (*worked.values(), *stored.values())) + max(0, evidence.reports - 1),
        lost=len(set(evidence.airports) - set(stored)) + max(0, 1 - evidence.reports),
    )


def problems(evidence: Evidence, *, expected_kills: int) -> Iterator[str]:
    """Each count that is not what it must be, in words. Nothing lost, nothing twice: no problems."""
    counts = count(evidence)
    if len(evidence.kills) != expected_kills:
        yield f"the worker was killed {len(evidence.kills)} times, not {expected_kills}"
    if counts.lost:
        yield f"{counts.lost} airports or reports were lost"
    if counts.duplicates:
        yield f"{counts.duplicates} rows, pieces of the vendor's work or reports are there twice"
    if counts.rows != counts.airports:
        yield f"{counts.rows} rows are stored for {counts.airports} airports"
    if counts.worked != counts.airports:
        yield f"the vendor worked {counts.worked} times for {counts.airports} airports"
    if counts.unexplained:
        yield f"{counts.unexplained} answered calls were repeated although no worker was killed in between"
    if wrong := misrepresented(evidence):
        yield f"{wrong} rows are not what the vendor answered"
    for number, kill in enumerate(evidence.kills, start=1):
        if (left_alone := skipped(evidence.entries, kill)) != kill.enriched:
            yield (
                f"after kill {number} the database held {kill.enriched} enriched airports,"
                f" but the vendor was not asked again about {left_alone}"
            )


def skipped(entries: Sequence[Entry], kill: Kill) -> int:
    """Airports that were answered before this kill and never asked for again: the steps that resuming skipped."""
    answered = {entry.key for entry in entries if entry.started < kill.resumed_at and entry.outcome is Outcome.ANSWERED}
    asked_again = {entry.key for entry in entries if entry.started >= kill.resumed_at}
    return len(answered - asked_again)


def repeat_reasons(entries: Sequence[Entry], kills: Sequence[Kill]) -> Iterator[str]:
    """Why the vendor was asked again, for each repeat: "lost" or "late" (its own fault), "cut", or "unexplained"."""
    calls: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind is not Kind.REFUSED:
            calls[entry.key].append(entry)
    for of_one_key in calls.values():
        for earlier, later in pairwise(of_one_key):
            if earlier.outcome is not Outcome.ANSWERED:
                yield str(earlier.outcome)
            elif any(earlier.started < kill.resumed_at <= later.started for kill in kills):
                yield "cut"
            else:
                yield "unexplained"


def misrepresented(evidence: Evidence) -> int:
    """Rows that differ from what the vendor's ledger says it answered."""
    answers = {entry.airport: entry.answer for entry in evidence.entries if entry.kind is Kind.WORK}
    return sum(answers.get(icao) != enrichment for icao, enrichment in evidence.rows)
