"""Was anything lost or done twice? Judged by the vendor's ledger and the database, never by what the engine says.

No verdict depends on how long anything took, nor on two clocks that agree: the ledger says which worker called, and for
which attempt; the database says which attempts failed, and what was stored when a worker had been killed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from data import Enrichment
from ledger import Entry, Kind, Outcome


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9 of the worker, and what the database held before the next worker was started."""

    caller: str  # what the killed worker called itself
    stored: frozenset[str]  # the airports whose enrich step had a stored result


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the verdict rests on."""

    airports: Sequence[str]  # the ICAO codes that went in
    entries: Sequence[Entry]  # the vendor's ledger
    failed: Collection[tuple[str, int]]  # airport, attempt: failed, says the database, before a result was stored
    rows: Sequence[tuple[str, Enrichment]]  # the application's table
    kills: Sequence[Kill]
    steps: int  # stored steps of all executions
    reports: int  # executions of the report


class Reason(StrEnum):
    """Why the vendor was asked about an airport again."""

    REFUSED = "refused"  # it had done nothing yet
    LOST = "lost"  # its answer never arrived
    LATE = "late"  # its answer arrived after the worker had given up, or would have
    CUT = "cut"  # its answer was not stored before the worker was killed
    NONE = "none"  # the engine must not have asked


OF_OUTCOME = {
    Outcome.RATE_LIMITED: Reason.REFUSED,
    Outcome.UNAVAILABLE: Reason.REFUSED,
    Outcome.LOST: Reason.LOST,
    Outcome.LATE: Reason.LATE,
    Outcome.ANSWERED: Reason.LATE,  # sent at once, but vendor and worker may both have to wait for a processor
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What the demo shows. `cut` is the number of answered calls that a kill made the flow repeat."""

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
    reasons = Counter(repeat_reasons(evidence))
    return Counts(
        airports=len(evidence.airports),
        rows=len(evidence.rows),
        steps=evidence.steps,
        worked=worked.total(),
        skipped=sum(len(kill.stored - asked) for kill, asked in asked_after_kills(evidence)),
        cut=reasons[Reason.CUT],
        after_lost=reasons[Reason.LOST],
        after_late=reasons[Reason.LATE],
        unexplained=reasons[Reason.NONE],
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
        yield f"{counts.unexplained} calls were repeated although no attempt had failed and no kill had cut one"
    for number, (kill, asked) in enumerate(asked_after_kills(evidence), start=1):
        if again := len(kill.stored & asked):
            yield f"after kill {number} the vendor was asked again about {again} airports whose result was stored"
    if wrong := misrepresented(evidence):
        yield f"{wrong} rows are not what the vendor answered"


def repeat_reasons(evidence: Evidence) -> Iterator[Reason]:
    """Why the vendor was asked again, for each call about an airport but the first."""
    reigns = {kill.caller: number for number, kill in enumerate(evidence.kills)}

    def turn(call: Entry) -> tuple[str, int, int]:
        return call.airport, reigns.get(call.caller, len(reigns)), call.attempt

    for earlier, later in pairwise(sorted(evidence.entries, key=turn)):
        if earlier.airport != later.airport:
            continue
        attempts = range(earlier.attempt, later.attempt)
        if attempts and all((earlier.airport, attempt) in evidence.failed for attempt in attempts):
            yield OF_OUTCOME[earlier.outcome]
        elif earlier.attempt == later.attempt and earlier.caller != later.caller and earlier.caller in reigns:
            yield Reason.REFUSED if earlier.kind is Kind.REFUSED else Reason.CUT
        else:
            yield Reason.NONE


def asked_after_kills(evidence: Evidence) -> Iterator[tuple[Kill, set[str]]]:
    """Each kill, and the airports that workers started after it asked about."""
    dead = set()
    for kill in evidence.kills:
        dead.add(kill.caller)
        yield kill, {entry.airport for entry in evidence.entries if entry.caller not in dead}


def misrepresented(evidence: Evidence) -> int:
    """Rows that differ from what the vendor's ledger says it answered."""
    answers = {entry.airport: entry.answer for entry in evidence.entries if entry.kind is Kind.WORK}
    return sum(answers.get(icao) != enrichment for icao, enrichment in evidence.rows)
