"""What must hold after any fault. Each rule yields a sentence for everything that breaks it.

The numbers are those of the list of invariants that the fault tests are held to: I1 to I6, I11 and I12; F17 is the
fault of a lease judged by the wrong clock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from stepwell.core.model import ExecutionId
from stepwell.core.payload import unpack
from stepwell.core.replay import idempotency_key
from stepwell.core.status import FINAL, Status, may_move
from tests.faults.evidence import Evidence, Move, Run


def violations(evidence: Evidence) -> list[str]:
    """Everything that is wrong."""
    return [f"{rule.__name__}: {sentence}" for rule in RULES for sentence in rule(evidence)]


def every_accepted_start_ends_as_promised(evidence: Evidence) -> Iterator[str]:
    """I1, I12"""
    for identity, promise in evidence.expected.items():
        execution = evidence.executions.get(identity)
        if execution is None:
            yield f"{identity} was accepted and is lost"
        elif promise.at_will and execution.status == "cancelled":
            continue
        elif execution.status != promise.status:
            yield f"{identity} is {execution.status} ({execution.reason}) instead of {promise.status}"
        elif promise.status == "completed" and json.loads(unpack(execution.result or b"null")) != promise.result:
            yield f"{identity} returned {execution.result!r} instead of {promise.result}"
    for identity in evidence.executions.keys() - evidence.expected.keys():
        yield f"{identity} was never accepted"


def each_child_is_started_once(evidence: Evidence) -> Iterator[str]:
    """I1, I12"""
    for identity, promise in evidence.expected.items():
        started = Counter(child.parent_key for child in evidence.children(identity))
        if promise.at_will:
            started |= Counter(promise.children.keys())  # any of them
        if started != Counter(promise.children.keys()):
            yield f"{identity} started {dict(started)} instead of {sorted(promise.children)}"


def effects_are_those_of_a_run_without_faults(evidence: Evidence) -> Iterator[str]:
    """I12"""
    done: dict[object, set[str]] = {}
    for run in evidence.runs:
        if run.ending == "end":
            done.setdefault(run.execution_id, set()).add(run.key)
    for identity, promise in evidence.expected.items():
        found = done.get(identity, set())
        if found != promise.steps and not (promise.at_will and found < promise.steps):
            yield f"{identity} did {sorted(done.get(identity, set()))} instead of {sorted(promise.steps)}"


def one_result_is_stored_and_read(evidence: Evidence) -> Iterator[str]:
    """I2"""
    for (identity, key), count in Counter((row.execution_id, row.key) for row in evidence.stored).items():
        if count > 1:
            yield f"{count} results of {key} of {identity} were stored"
    ended = {run.token: run for run in evidence.runs if run.ending == "end"}
    tokens = set()
    for row in evidence.stored:
        tokens.add((row.execution_id, row.token))
        run = ended.get(row.token or "")
        if row.token is not None and (run is None or (run.execution_id, run.key) != (row.execution_id, row.key)):
            yield f"the result of {row.key} of {row.execution_id} came from no run of it: {row.value!r}"
    for run in evidence.runs:
        if run.given and (run.execution_id, run.given) not in tokens:
            yield f"{_name(run)} was given a result that is not stored"


def nothing_starts_after_its_result_is_stored(evidence: Evidence) -> Iterator[str]:
    """I3. A worker whose session had ended by then may, once: it cannot know yet. See Evidence.stale_runs."""
    winners = evidence.winners()
    for run in evidence.runs:
        stored = winners.get((run.execution_id, run.key))
        if stored is None or run.began_at <= stored.at:
            continue
        if run.session is None or run.session.is_alive(run.began_at):
            yield f"{_name(run)} began at {run.began_at}, its result was stored at {stored.at}"


def repeats_are_attempts_that_were_cut(evidence: Evidence) -> Iterator[str]:
    """I4"""
    winners = {row.token for row in evidence.stored}
    failed = {(row.execution_id, row.key, row.attempt) for row in evidence.attempts}
    seen: set[tuple[object, ...]] = set()
    for run in evidence.runs:
        if run.session is None:
            yield f"{_name(run)} was begun by a process without a session"
            continue
        this = (run.execution_id, run.key, run.attempt, run.session.id)
        if this in seen:
            yield f"{_name(run)} was begun twice in one session"
        seen.add(this)
        has_failed = this[:3] in failed and (run.ending == "raise" or run.key == "book")  # what it wrote was undone
        if run.token not in winners and not has_failed and run.session.ended_at is None:
            yield f"{_name(run)} came to nothing, though its worker's session goes on"


def one_idempotency_key_for_all_attempts(evidence: Evidence) -> Iterator[str]:
    """I4"""
    for run in evidence.runs:
        if run.idempotency_key != idempotency_key(ExecutionId(run.execution_id), run.key):
            yield f"{_name(run)} offered the key {run.idempotency_key}"


def a_transaction_counts_once(evidence: Evidence) -> Iterator[str]:
    """I5"""
    winners = evidence.winners()
    booked: dict[object, list[str]] = {}
    for booking in evidence.bookings:
        booked.setdefault(booking.execution_id, []).append(booking.token)
    for identity, promise in evidence.promises.items():
        stored = winners.get((identity, "book"))
        expected = [stored.token] if stored is not None else []
        if booked.get(identity, []) != expected:
            yield f"{identity} booked {booked.get(identity)}, its checkpoint says {expected}"
        if promise.status == "completed" and "book" in promise.steps and not expected:
            yield f"{identity} completed without booking"


def each_execution_lives_by_the_rules(evidence: Evidence) -> Iterator[str]:
    """I6: only legal moves, passes counted one by one, owned by live sessions only, and nothing after the end."""
    last: dict[object, Move] = {}
    for move in evidence.moves:
        before = last.get(move.execution_id)
        last[move.execution_id] = move
        if before is None:
            if (move.status, move.owner, move.passes) != (Status.PENDING, None, 0):
                yield f"{move.execution_id} began as {move}"
            continue
        is_claim = move.status == Status.RUNNING
        if not may_move(Status(before.status), Status(move.status)):
            yield f"{move.execution_id} went from {before.status} to {move.status} at {move.at}"
        if before.status in FINAL:
            yield f"{move.execution_id} had ended and went on at {move.at}"
        if move.passes != before.passes + is_claim:
            yield f"{move.execution_id} went from pass {before.passes} to {move.passes} at {move.at}"
        if is_claim and not _is_live(evidence, move):
            yield f"{move.execution_id} was claimed at {move.at} by a session that had ended"
        owner = evidence.sessions.get(before.owner) if before.owner else None
        if (
            move.flushed_by is not None
            and not _is_due_to_kin(before, move)
            and (owner is None or owner.process != move.flushed_by)
        ):
            yield f"{move.execution_id} became {move.status} at {move.at} by {move.flushed_by}, who did not own it"


def only_the_owner_stores(evidence: Evidence) -> Iterator[str]:
    """I6: a result comes from the session that owns the execution at that moment."""
    runs = {run.token: run for run in evidence.runs}
    for row in evidence.stored:
        run = runs.get(row.token or "")
        if row.owner is None:
            yield f"a result of {row.key} of {row.execution_id} was stored when nobody owned it"
        elif run is not None and (run.session is None or run.session.id != row.owner):
            yield f"{_name(run)} was stored while {row.owner} owned the execution"
        elif not evidence.sessions[row.owner].is_alive(row.at):
            yield f"a result of {row.key} of {row.execution_id} was stored by a session that had ended"


def a_lease_ends_by_the_databases_clock(evidence: Evidence) -> Iterator[str]:
    """F17: nobody ends another's session before its lease has run out."""
    for session in evidence.sessions.values():
        if session.was_reaped and session.ended_at and session.expires_at and session.ended_at < session.expires_at:
            yield f"the session of {session.pid} was ended {session.expires_at - session.ended_at} before its time"


def nothing_is_stuck(evidence: Evidence) -> Iterator[str]:
    """I11"""
    yield from evidence.stuck


RULES = (
    every_accepted_start_ends_as_promised,
    each_child_is_started_once,
    effects_are_those_of_a_run_without_faults,
    one_result_is_stored_and_read,
    nothing_starts_after_its_result_is_stored,
    repeats_are_attempts_that_were_cut,
    one_idempotency_key_for_all_attempts,
    a_transaction_counts_once,
    each_execution_lives_by_the_rules,
    only_the_owner_stores,
    a_lease_ends_by_the_databases_clock,
    nothing_is_stuck,
)


def _is_due_to_kin(before: Move, move: Move) -> bool:
    """The end of a child lets its parent go on; that of a parent cancels its children. Nobody need own them."""
    return before.owner is None and move.owner is None and move.status in (Status.PENDING, Status.CANCELLED)


def _is_live(evidence: Evidence, move: Move) -> bool:
    session = evidence.sessions.get(move.owner) if move.owner else None
    return session is not None and session.is_alive(move.at)


def _name(run: Run) -> str:
    pid = run.session.pid if run.session else "?"
    return f"attempt {run.attempt} of {run.key} of {run.execution_id} in process {pid}"
