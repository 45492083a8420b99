"""The demo's judge must see every way in which something can be lost, repeated or changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from audit import Evidence, Kill, count, problems
from data import Enrichment
from ledger import Entry, Kind, Outcome

ANSWER = Enrichment("Belgium", "Flanders", "Brussels", 1_019_022, 4.5)
KILLED, NEXT = "worker/1", "worker/2"


def call(
    code: str,
    *,
    by: str,
    attempt: int = 1,
    kind: Kind = Kind.WORK,
    outcome: Outcome = Outcome.ANSWERED,
) -> Entry:
    answer = None if kind is Kind.REFUSED else replace(ANSWER, city=code)
    return Entry(f"key-of-{code}", code, by, attempt, kind, outcome, 1.0, 1.02, answer)


def again(code: str, *, by: str, attempt: int = 1, outcome: Outcome = Outcome.ANSWERED) -> Entry:
    return call(code, by=by, attempt=attempt, kind=Kind.REPEAT, outcome=outcome)


def row(code: str) -> tuple[str, Enrichment]:
    return code, replace(ANSWER, city=code)


# Four airports and one kill. A was done and kept. B was answered, but the worker died before it was kept. C's answer
# was lost by the vendor. D came after the kill and was refused once.
GOOD = Evidence(
    airports=["A", "B", "C", "D"],
    entries=[
        call("A", by=KILLED),
        call("C", by=KILLED, outcome=Outcome.LOST),
        again("C", by=KILLED, attempt=2),
        call("B", by=KILLED),
        again("B", by=NEXT),
        call("D", by=NEXT, kind=Kind.REFUSED, outcome=Outcome.RATE_LIMITED),
        call("D", by=NEXT, attempt=2),
    ],
    failed={("C", 1), ("D", 1)},
    rows=[row(code) for code in "ABCD"],
    kills=[Kill(KILLED, stored=frozenset("AC"))],
    steps=5,
    reports=1,
)


def found(evidence: Evidence) -> list[str]:
    return list(problems(evidence, expected_kills=1))


def and_also(*entries: Entry, failed: Collection[tuple[str, int]] = ()) -> Evidence:
    return replace(GOOD, entries=[*GOOD.entries, *entries], failed={*GOOD.failed, *failed})


def test_a_flow_that_lost_nothing_and_repeated_only_what_was_cut_has_no_problems() -> None:
    counts = count(GOOD)

    assert found(GOOD) == []
    assert (counts.airports, counts.rows, counts.worked, counts.steps) == (4, 4, 4, 5)
    assert (counts.skipped, counts.cut, counts.after_lost, counts.after_late) == (2, 1, 1, 0)
    assert (counts.rate_limited, counts.unavailable, counts.duplicates, counts.lost) == (1, 0, 0, 0)


def test_an_answer_that_the_worker_had_given_up_waiting_for_may_be_asked_for_again() -> None:
    starved = and_also(again("D", by=NEXT, attempt=3), failed=[("D", 2)])

    assert found(starved) == []
    assert count(starved).after_late == 1


def test_an_attempt_that_never_reached_the_vendor_is_no_gap_in_the_account() -> None:
    assert found(and_also(again("D", by=NEXT, attempt=4), failed=[("D", 2), ("D", 3)])) == []


def test_the_order_in_which_the_vendor_got_round_to_the_calls_does_not_matter() -> None:
    assert found(replace(GOOD, entries=GOOD.entries[::-1])) == []


def test_an_attempt_that_was_cut_is_repeated_under_its_number_whatever_the_vendor_had_done() -> None:
    cut = call("E", by=KILLED, attempt=2, outcome=Outcome.LATE)
    evidence = replace(
        and_also(
            call("E", by=KILLED, kind=Kind.REFUSED, outcome=Outcome.UNAVAILABLE),
            cut,
            again("E", by=NEXT, attempt=2),
            failed=[("E", 1)],
        ),
        airports=[*GOOD.airports, "E"],
        rows=[*GOOD.rows, row("E")],
    )

    assert found(evidence) == []
    assert count(evidence).cut == 2


def test_a_call_that_was_refused_before_it_was_cut_is_not_counted_as_cut() -> None:
    refused = call("D", by=KILLED, kind=Kind.REFUSED, outcome=Outcome.RATE_LIMITED)

    assert found(and_also(refused)) == []
    assert count(and_also(refused)).cut == count(GOOD).cut


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(again("D", by=NEXT, attempt=2), id="the same attempt twice"),
        pytest.param(again("D", by=NEXT, attempt=3), id="another attempt, though the one before succeeded"),
        pytest.param(again("A", by=KILLED), id="twice before the kill"),
        pytest.param(again("D", by=NEXT, attempt=1), id="an attempt that had failed, under its old number"),
        pytest.param(again("C", by=NEXT, attempt=1), id="the count of attempts begins anew after the kill"),
        pytest.param(again("D", by="worker/3", attempt=2), id="by another worker, although none was killed"),
    ],
)
def test_a_repeat_without_a_failed_attempt_or_a_kill_is_found(planted: Entry) -> None:
    assert any("1 calls were repeated although" in problem for problem in found(and_also(planted)))


def test_a_step_that_was_stored_at_a_kill_and_ran_again_is_found() -> None:
    assert any("again about 1 airports whose result" in problem for problem in found(and_also(again("A", by=NEXT))))


def test_a_failed_attempt_does_not_excuse_asking_again_for_what_was_stored_at_a_kill() -> None:
    planted = and_also(again("A", by=NEXT, attempt=2), failed=[("A", 1)])

    assert any("again about 1 airports whose result" in problem for problem in found(planted))


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (replace(GOOD, rows=GOOD.rows[:3]), "lost"),
        (replace(GOOD, reports=0), "lost"),
        (replace(GOOD, rows=[*GOOD.rows, row("A")]), "twice"),
        (replace(GOOD, reports=2), "twice"),
        (replace(GOOD, rows=[*GOOD.rows, row("E")]), "5 rows are stored for 4"),
        (replace(GOOD, rows=[*GOOD.rows[:3], ("D", ANSWER)]), "1 rows are not what the vendor answered"),
        (and_also(call("A", by=NEXT)), "twice"),
        (replace(GOOD, entries=GOOD.entries[:-1]), "worked 3 times"),
        (replace(GOOD, kills=[]), "killed 0 times, not 1"),
    ],
)
def test_every_kind_of_loss_and_repetition_is_found(broken: Evidence, complaint: str) -> None:
    assert any(complaint in problem for problem in found(broken))
