"""What a history answers to the next durable call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.model import Checkpoint, Kind, Tried
from stepwell.core.replay import (
    MAX_KEY_BYTES,
    MAX_NAME_LENGTH,
    Replay,
    Scope,
    check_arguments,
    checked_key,
    checked_name,
    derived_random,
    derived_uuid,
    idempotency_key,
)
from stepwell.errors import Diverged, InvalidOption

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="#/", exclude_categories=["Cc"]), min_size=1)
SHORT_NAMES = NAMES.filter(lambda name: len(name) <= MAX_NAME_LENGTH)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
ME, OTHER = UUID(int=1), UUID(int=2)


@given(st.lists(st.tuples(st.sampled_from(["", "a/", "a#2/"]), SHORT_NAMES), max_size=30))
def test_no_two_calls_of_any_branches_get_the_same_key(calls: list[tuple[str, str]]) -> None:
    """F58."""
    scopes = {prefix: Scope(prefix) for prefix in ("", "a/", "a#2/")}

    keys = [scopes[prefix].key(name) for prefix, name in calls]

    assert len(set(keys)) == len(keys)


@given(st.lists(SHORT_NAMES, max_size=30))
def test_the_same_calls_get_the_same_keys_on_every_pass(names: list[str]) -> None:
    first, second = Scope("in/"), Scope("in/")

    assert [first.key(name) for name in names] == [second.key(name) for name in names]


def test_a_name_used_again_gets_an_ordinal() -> None:
    scope = Scope()

    assert [scope.key(name) for name in ("fetch", "store", "fetch", "fetch")] == [
        "fetch",
        "store",
        "fetch#2",
        "fetch#3",
    ]


@pytest.mark.parametrize(("key", "earlier"), [("in/new", "in/old"), ("in/new#3", "in/old#3")])
def test_renamed_call_had_the_same_ordinal(key: str, earlier: str) -> None:
    assert Scope("in/").renamed(key, "new", "old") == earlier


@given(SHORT_NAMES)
def test_any_printable_text_may_name_a_step(name: str) -> None:
    """F67: hostile names, among them `*`, quotes and emoji, are names like any other."""
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "a#2", "a/b", "a\0", "a\nb", "\x7f", "\ud800", "n" * 201, None, 7, b"a"])
def test_what_would_collide_or_cannot_be_stored_cannot_be_a_name(name: object) -> None:
    """F58, F68."""
    with pytest.raises(InvalidOption, match="use 1 to 200 characters"):
        checked_name(name)


def test_refusal_says_what_was_to_be_named() -> None:
    with pytest.raises(InvalidOption, match=r"^'a/b' cannot name a step: use"):
        checked_name("a/b")
    with pytest.raises(InvalidOption, match=r"^'a/b' cannot name a queue: use"):
        checked_name("a/b", "a queue")


def test_key_must_fit_the_databases_index() -> None:
    """F75: measured in bytes, for that is what the index counts."""
    assert checked_key("x" * MAX_KEY_BYTES)
    with pytest.raises(InvalidOption, match="too deeply"):
        checked_key("\N{WATER WAVE}" * (MAX_KEY_BYTES // 4 + 1))


def test_stored_outcome_is_answered_to_a_call_of_its_kind_only() -> None:
    """F56."""
    replay = Replay({"pause": Checkpoint(Kind.STEP, 7, False, b"1")}, {})

    assert replay.stored("pause", Kind.STEP) == Checkpoint("step", 7, False, b"1")
    assert replay.stored("other", Kind.STEP) is None
    with pytest.raises(Diverged, match=r"'pause' is a step in this execution's history.*a sleep.*was="):
        replay.stored("pause", Kind.SLEEP)


def test_other_arguments_are_another_call() -> None:
    """F56."""
    check_arguments("fetch", 7, 7)
    with pytest.raises(Diverged, match=r"'fetch'.*other arguments"):
        check_arguments("fetch", 7, 8)


def test_attempts_are_counted_from_one_and_go_on_where_they_were() -> None:
    replay = Replay({}, {"fetch": Tried(3, LATER)})

    assert (replay.attempt("fetch"), replay.retry_at("fetch")) == (4, LATER)
    assert (replay.attempt("store"), replay.retry_at("store")) == (1, None)
    assert replay.knows("fetch")
    assert not replay.knows("store")


@given(SHORT_NAMES, SHORT_NAMES)
def test_what_is_derived_depends_on_the_execution_and_the_key_alone(one: str, other: str) -> None:
    for derive in (idempotency_key, derived_uuid, derived_random):
        made: Any = derive(ME, one)
        assert made == derive(ME, one)
        assert made != derive(OTHER, one)
        assert (made == derive(ME, other)) == (one == other)


@given(st.uuids(), SHORT_NAMES)
def test_derived_values_have_their_usual_forms(execution_id: UUID, key: str) -> None:
    assert derived_uuid(execution_id, key).version == 4
    assert 0 <= derived_random(execution_id, key) < 1
    assert len(idempotency_key(execution_id, key)) == 32
    assert int(idempotency_key(execution_id, key), 16) >= 0
