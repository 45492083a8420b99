"""Errors as they are stored."""

from __future__ import annotations

from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.failure import MAX_CAUSES, MAX_MESSAGE, MAX_TRACEBACK, Failure, failure_of, type_name
from stepwell.stored_failures import decode_failure, encode_failure

ANY_CHARACTER = st.characters(exclude_categories=())  # lone surrogates too


class Mute(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no words")

    __repr__ = __str__


class Loud(BaseException):
    def __str__(self) -> str:
        raise SystemExit(3)


class Renamed(Exception):
    pass


class KeywordOnly(Exception):
    def __init__(self, *, order: int) -> None:
        self.order = order
        super().__init__(f"order {order}")


def raised(error: BaseException) -> BaseException:
    """The error with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def test_failure_says_what_was_raised_where_and_why() -> None:
    try:
        try:
            raise KeyError("customer")
        except KeyError as cause:
            raise ValueError("no such order") from cause
    except ValueError as error:
        failure = failure_of(error, attempts=3)

    assert (failure.type, failure.message, failure.attempts) == ("ValueError", "no such order", 3)
    assert failure.causes == ("KeyError: 'customer'",)
    assert "test_failure_says_what_was_raised" in failure.traceback


def test_type_of_an_error_is_named_with_its_module_unless_it_is_builtin() -> None:
    assert type_name(ValueError()) == "ValueError"
    assert type_name(KeywordOnly(order=1)).endswith(".KeywordOnly")
    assert "." in type_name(KeywordOnly(order=1)).removesuffix(".KeywordOnly")


@pytest.mark.parametrize("kind", [Mute, Loud])
def test_error_that_cannot_be_shown_is_stored_all_the_same(kind: type[BaseException]) -> None:
    """F72, F73: the user's error is not masked by another."""
    failure = failure_of(raised(kind("x")))

    assert failure.type.endswith(kind.__name__)
    assert failure.message == "(its message cannot be shown)"


def test_error_with_a_keyword_only_constructor_is_stored_as_text() -> None:
    """F72: nothing is rebuilt from what is stored."""
    failure = failure_of(raised(KeywordOnly(order=7)))

    assert decode_failure(encode_failure(failure)) == failure
    assert failure.message == "order 7"


@given(st.text(ANY_CHARACTER, max_size=50), st.text(ANY_CHARACTER, min_size=1, max_size=20))
def test_any_message_and_any_type_name_survive_storage(message: str, name: str) -> None:
    """F68: lone surrogates and NUL too."""
    Renamed.__qualname__ = name

    failure = failure_of(raised(Renamed(message)))

    assert decode_failure(encode_failure(failure)) == failure
    assert "\0" not in failure.type + failure.message + failure.traceback


def test_long_texts_are_cut_the_traceback_at_its_beginning() -> None:
    failure = failure_of(raised(ValueError("x" * 100_000 + "end")))

    assert len(failure.message) == MAX_MESSAGE
    assert len(failure.traceback) == MAX_TRACEBACK
    assert failure.traceback.rstrip().endswith("end")


def test_causes_that_go_in_a_circle_or_without_end_are_cut() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    chain = ValueError("0")
    for number in range(1, 100):
        outer = ValueError(str(number))
        outer.__cause__ = chain
        chain = outer

    assert failure_of(first).causes == ("ValueError: second",)
    assert len(failure_of(chain).causes) == MAX_CAUSES


def test_cause_that_was_hidden_on_purpose_stays_hidden() -> None:
    try:
        try:
            raise KeyError("secret")
        except KeyError:
            raise ValueError("outer") from None
    except ValueError as error:
        failure = failure_of(error)

    assert failure.causes == ()


def test_group_of_errors_shows_its_parts() -> None:
    group = ExceptionGroup("both", [ValueError("left"), KeyError("right")])

    failure = failure_of(raised(group))

    assert (failure.type, failure.message) == ("ExceptionGroup", "both (2 sub-exceptions)")
    assert "left" in failure.traceback
    assert "right" in failure.traceback


def test_failure_written_by_a_newer_version_is_read() -> None:
    stored = b'{"type":"ValueError","message":"no","colour":"red"}'

    assert decode_failure(stored) == Failure("ValueError", "no")
