"""The judge of round trips alone: pairs of a value and what came back."""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from stepwell.core.payload import MAX_DEPTH
from stepwell.core.roundtrip import is_plain, locate, parts_of, path_of, refuse_difference
from stepwell.errors import InvalidValue


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Shape(Enum):
    ROUND = "round"


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass(eq=False)
class Parcel:
    """Defines no equality, so that only its fields can be compared."""

    content: Any


class Unequal:
    """An array answers `==` with an array, which is neither true nor false."""

    def __eq__(self, other: object) -> Any:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


def nested(levels: int) -> Any:
    value: Any = "core"
    for _ in range(levels):
        value = [value]
    return value


NAIVE = datetime(2024, 1, 1)  # noqa: DTZ001 (the fault under test)
BRUSSELS = ZoneInfo("Europe/Brussels")

SAME = [
    (1, 1.0),
    (2**64 - 1, 2**64 - 1),
    ({"b": 1, "a": 2}, {"b": 1, "a": 2}),
    ((1, "x"), (1, "x")),
    (Pair(1, [2]), Pair(1, [2])),
    (Parcel([1]), Parcel([1])),
    (Shape.ROUND, Shape.ROUND),
    ({Shape.ROUND: 1}, {Shape.ROUND: 1}),
    (Decimal("sNaN"), Decimal("sNaN")),
    (date(2024, 2, 29), date(2024, 2, 29)),
    (time(7, 30), time(7, 30)),
    (time(7, 30, tzinfo=UTC), time(7, 30, tzinfo=UTC)),
    # A zone by name comes back as its offset, also in the hour that a clock shows twice.
    (
        datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BRUSSELS),
        datetime(2024, 10, 27, 2, 30, tzinfo=timezone(timedelta(hours=1))),
    ),
    (nested(MAX_DEPTH), nested(MAX_DEPTH)),
]

DIFFERENT = [
    ((1, 2), [1, 2], "$", "tuple and would come back as list"),
    (b"x", "eA==", "$", "bytes"),
    (True, 1, "$", "bool"),
    (1.0, 1, "$", "float"),
    (2**53 + 1, float(2**53 + 1), "$", "int"),
    (math.nan, None, "$", "nan"),
    ([0.5, -math.inf], [0.5, None], "$[1]", "-inf"),
    ({1, 2}, [1, 2], "$", "another order"),
    (frozenset({1}), frozenset({1}), "$", "another order"),
    (2**64, 2**64, "$", "64 bits"),
    (-(2**63) - 1, -(2**63) - 1, "$", "64 bits"),
    (Colour.RED, "red", "$", "Colour"),
    (Level.LOW, 1, "$", "Level"),
    (OrderedDict(a=1), {"a": 1}, "$", "OrderedDict"),
    ({"a": {1: "x"}}, {"a": {"1": "x"}}, "$.a", "the key 1"),
    ({1: "x", "1": "y"}, {"1": "y"}, "$", "the key 1"),
    ({Colour.RED: 1}, {"red": 1}, "$", "the key"),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "$", "the key 'a'"),
    ({"a": 1, "b": 2}, {"a": 1}, "$", "keys that would not come back"),
    ([1, 2], [1], "$", "2 items"),
    ({"items": [1, 2, 3, {"tags": (1,)}]}, {"items": [1, 2, 3, {"tags": [1]}]}, "$.items[3].tags", "tuple"),
    (Pair(1, (2,)), Pair(1, [2]), "$.right", "tuple"),
    (Parcel({"n": math.nan}), Parcel({"n": None}), "$.content.n", "nan"),
    (Parcel(1), Pair(1, 2), "$", "Parcel"),
    (Decimal("1.0"), Decimal("1.00"), "$", "changed"),
    (NAIVE, NAIVE, "$", "naive"),
    ({NAIVE: 1}, {NAIVE: 1}, "$", "naive"),
    (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "$", "changed"),
    (time(7, tzinfo=BRUSSELS), time(7), "$", "zone"),
    (Parcel(object()), Parcel(object()), "$.content", "changed"),
    (Unequal(), Unequal(), "$", "cannot be compared"),
    (nested(MAX_DEPTH + 1), nested(MAX_DEPTH + 1), "$" + "[0]" * 20 + "...", "nested deeper"),
]


@pytest.mark.parametrize(("before", "after"), SAME)
def test_what_came_back_the_same_is_let_through(before: Any, after: Any) -> None:
    refuse_difference(before, after, way_out="none needed")


@pytest.mark.parametrize(("before", "after", "path", "reason"), DIFFERENT)
def test_what_came_back_different_is_refused_with_its_place_and_reason(
    before: Any, after: Any, path: str, reason: str
) -> None:
    """F79"""
    with pytest.raises(InvalidValue) as refused:
        refuse_difference(before, after, way_out="do otherwise")

    assert refused.value.path == path
    assert reason in refused.value.reason
    assert "; " in refused.value.reason, "says what to do"


@pytest.mark.parametrize(
    "before",
    [
        *[(1, 2), b"x", {1}, math.nan, math.inf, 2**64, -(2**63) - 1, Colour.RED, Level.LOW, OrderedDict(a=1)],
        *[{1: "x"}, {Colour.RED: 1}, Pair(1, 2), Parcel(1), Decimal(1), NAIVE, date(2024, 1, 1), object()],
    ],
)
def test_nothing_that_can_come_back_different_counts_as_plain(before: Any) -> None:
    assert not is_plain(before)
    assert not is_plain([{"deep": [before]}])


def test_plain_is_judged_at_every_level_up_to_the_depth_limit() -> None:
    assert is_plain({"a": [None, True, 1, 0.5, "x", {"b": []}]})
    assert not is_plain(nested(MAX_DEPTH + 1))


def test_the_smallest_faulty_part_is_found() -> None:
    bad = object()

    def holds_bad(part: object) -> bool:
        return part is bad or any(holds_bad(child) for _, child in parts_of(part))

    assert locate({"a": [1], "b c": [Pair(0, Parcel(bad))]}, holds_bad) == ('$["b c"][0].right.content', bad)


def test_a_path_is_written_as_people_write_it() -> None:
    assert path_of(["items", 3, "first name", "ü"]) == '$.items[3]["first name"].ü'
