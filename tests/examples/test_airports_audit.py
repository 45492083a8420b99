"""The demo's judge must see every way in which something can be lost, repeated or changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit import Evidence, Kill, count, problems
from data import Enrichment
from ledger import Entry, Kind, Outcome

ANSWER = Enrichment("Belgium", "Flanders", "Brussels", 1_019_022, 4.5)
KILLED_AT = 10.0


def call(code: str, *, at: float, kind: Kind = Kind.WORK, outcome: Outcome = Outcome.ANSWERED) -> Entry:
    answer = None if kind is Kind.REFUSED else replace(ANSWER, city=code)
    return Entry(f"key-of-{code}", code, kind, outcome, at, at + 0.02, answer)


def row(code: str) -> tuple[str, Enrichment]:
    return code, replace(ANSWER, city=code)


# Four airports and one kill. A was done and kept. B was answered, but the worker died before it was kept. C's answer
# was lost by the vendor. D came after the kill and was refused once.
GOOD = Evidence(
    airports=["A", "B", "C", "D"],
    entries=[
        call("A", at=1),
        call("C", at=2, outcome=Outcome.LOST),
        call("C", at=3, kind=Kind.REPEAT),
        call("B", at=9.9),
        call("B", at=15, kind=Kind.REPEAT),
        call("D", at=15, kind=Kind.REFUSED, outcome=Outcome.RATE_LIMITED),
        call("D", at=16),
    ],
    rows=[row(code) for code in "ABCD"],
    kills=[Kill(resumed_at=KILLED_AT, enriched=2, rows=0)],
    steps=5,
    reports=1,
)


def found(evidence: Evidence) -> list[str]:
    return list(problems(evidence, expected_kills=1))


def test_a_flow_that_lost_nothing_and_repeated_only_what_was_cut_has_no_problems() -> None:
    counts = count(GOOD)

    assert found(GOOD) == []
    assert (counts.airports, counts.rows, counts.worked, counts.steps) == (4, 4, 4, 5)
    assert (counts.skipped, counts.cut, counts.after_lost, counts.after_late) == (2, 1, 1, 0)
    assert (counts.rate_limited, counts.unavailable, counts.duplicates, counts.lost) == (1, 0, 0, 0)


def test_a_call_that_was_waiting_for_its_retry_at_the_kill_was_not_cut_by_it() -> None:
    late = call("C", at=2, outcome=Outcome.LATE)
    entries = [call("A", at=1), late, call("B", at=9.9), call("B", at=15, kind=Kind.REPEAT), call("D", at=16)]
    evidence = replace(
        GOOD,
        entries=[*entries, call("C", at=17, kind=Kind.REPEAT)],
        kills=[Kill(resumed_at=KILLED_AT, enriched=1, rows=0)],
    )

    counts = count(evidence)

    assert found(evidence) == []
    assert (counts.cut, counts.after_late) == (1, 1)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (replace(GOOD, rows=GOOD.rows[:3]), "lost"),
        (replace(GOOD, reports=0), "lost"),
        (replace(GOOD, rows=[*GOOD.rows, row("A")]), "twice"),
        (replace(GOOD, reports=2), "twice"),
        (replace(GOOD, rows=[*GOOD.rows, row("E")]), "5 rows are stored for 4"),
        (replace(GOOD, rows=[*GOOD.rows[:3], ("D", ANSWER)]), "1 rows are not what the vendor answered"),
        (replace(GOOD, entries=[*GOOD.entries, call("A", at=30)]), "twice"),
        (replace(GOOD, entries=GOOD.entries[:-1]), "worked 3 times"),
        (replace(GOOD, entries=[*GOOD.entries, call("D", at=30, kind=Kind.REPEAT)]), "although no worker was killed"),
        (replace(GOOD, entries=[*GOOD.entries, call("A", at=30, kind=Kind.REPEAT)]), "not asked again about 1"),
        (replace(GOOD, kills=[Kill(resumed_at=KILLED_AT, enriched=3, rows=0)]), "held 3 enriched airports"),
        (replace(GOOD, kills=[]), "killed 0 times, not 1"),
    ],
)
def test_every_kind_of_loss_and_repetition_is_found(broken: Evidence, complaint: str) -> None:
    assert any(complaint in problem for problem in found(broken))
