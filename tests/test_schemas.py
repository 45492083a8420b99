"""What fits a schema is read by its annotation; what does not is refused with its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.codec import codec_for
from stepwell.errors import InvalidOption, InvalidValue
from stepwell.schemas import faults_of, json_schema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Place(NamedTuple):
    line: int
    column: int = 0


class Options(TypedDict):
    is_urgent: bool


@dataclass
class Node:
    value: int
    below: Node | None = None


@dataclass
class Everything:
    is_granted: bool
    colour: Colour
    kind: Literal["a", "b", 3]
    count: Annotated[int, msgspec.Meta(ge=1, le=5)]
    ratio: float
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=5, pattern="^a")]
    at: datetime
    local: Annotated[datetime, msgspec.Meta(tz=False)]
    day: date
    clock: time
    lasts: timedelta
    price: Decimal
    id: UUID
    raw: bytes
    sizes: list[int]
    pair: tuple[int, str]
    place: Place
    options: Options
    by_name: dict[str, date]
    when: datetime | None = None
    either: int | str = 3
    tree: Node | None = None


class Struct(msgspec.Struct, forbid_unknown_fields=True):
    number: int


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Inner(pydantic.BaseModel):
    at: datetime


class Model(pydantic.BaseModel):
    count: int = pydantic.Field(gt=0)
    inner: Inner
    tags: list[str] = []


ANNOTATIONS: list[Any] = [
    Any, bool, int, str, float, None, bytes, datetime, date, time, timedelta, Decimal, UUID, Colour,
    Literal["a", 1, None], list[int], set[int], tuple[int, str], tuple[int, ...], dict[str, datetime],
    int | None, datetime | None, Place, Options, Node, Struct, Cat | Dog, Model, list[Model],
    Annotated[int, msgspec.Meta(multiple_of=3)],
]  # fmt: skip

EVERYTHING = {
    "is_granted": True, "colour": "red", "kind": 3, "count": 5, "ratio": 1, "name": "abc", "at": "2026-05-01T12:00:00Z",
    "local": "2026-05-01T12:00:00", "day": "2026-05-01", "clock": "12:00:00", "lasts": "P1D", "price": "1.10",
    "id": "0192f0c1-0000-7000-8000-000000000000", "raw": "AAE=", "sizes": [1], "pair": [1, "a"], "place": [1],
    "options": {"is_urgent": False}, "by_name": {"a": "2026-05-01"}, "when": None, "either": "x",
    "tree": {"value": 1, "below": {"value": 2}},
}  # fmt: skip

LEAVES = st.sampled_from(
    [
        None, True, False, 0, 1, 3, -7, 2**70, 1.5, "", "a", "red", "2026-05-01", "2026-05-01T12:00:00Z", "12:00:00",
        "P1D", "2026-05-01T12:00:00", "1.10", "0192f0c1-0000-7000-8000-000000000000", "AAE=", "Cat", "Dog", "NaN",
        "2026-13-01",
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    ["value", "below", "line", "is_urgent", "number", "type", "lives", "name", "count", "inner", "at"]
)
VALUES = st.recursive(LEAVES, lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3))


def faults(value: Any, annotation: Any) -> list[tuple[str, str]]:
    stored = json.loads(json.dumps(json_schema(annotation)))
    return faults_of(value, stored)


def test_value_that_fits_has_no_faults() -> None:
    assert faults(EVERYTHING, Everything) == []
    assert isinstance(codec_for(Everything).decode_text(json.dumps(EVERYTHING).encode()), Everything)


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("is_granted", 1, "$.is_granted"),
        ("is_granted", "true", "$.is_granted"),
        ("colour", "green", "$.colour"),
        ("kind", True, "$.kind"),
        ("count", 6, "$.count"),
        ("count", True, "$.count"),
        ("count", 1.0, "$.count"),
        ("name", "", "$.name"),
        ("name", "bcd", "$.name"),
        ("name", "abcdef", "$.name"),
        ("at", "2026-05-01", "$.at"),
        ("at", "soon", "$.at"),
        ("local", "2026-05-01T12:00:00Z", "$.local"),
        ("day", "2026-02-30", "$.day"),
        ("clock", "25:00:00", "$.clock"),
        ("lasts", "1 day", "$.lasts"),
        ("price", "ten", "$.price"),
        ("id", "7", "$.id"),
        ("raw", "???", "$.raw"),
        ("sizes", [1, "2"], "$.sizes[1]"),
        ("pair", [1], "$.pair"),
        ("pair", [1, "a", 2], "$.pair"),
        ("place", ["x"], "$.place[0]"),
        ("options", {}, "$.options.is_urgent"),
        ("by_name", {"a": "x"}, "$.by_name.a"),
        ("when", "x", "$.when"),
        ("either", [], "$.either"),
        ("tree", {"value": 1, "below": {"value": "2"}}, "$.tree.below.value"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(field: str, value: Any, path: str) -> None:
    found = faults({**EVERYTHING, field: value}, Everything)

    assert path in [place for place, _ in found]


def test_every_missing_field_is_named() -> None:
    assert faults({}, Struct) == [("$.number", "is missing")]
    assert len(faults({}, Everything)) == 19


def test_unknown_fields_are_refused_where_the_annotation_forbids_them() -> None:
    assert faults({"number": 1, "other": 2}, Struct) == [("$.other", "is not known")]


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=str)
@given(value=VALUES)
def test_what_a_schema_lets_through_its_annotation_reads(annotation: Any, value: Any) -> None:
    try:
        codec_for(annotation).decode_text(json.dumps(value).encode())
    except InvalidValue:
        assert faults(value, annotation)


def test_annotation_without_a_json_form_is_refused() -> None:
    with pytest.raises(InvalidOption, match="nobody can be asked for"):
        json_schema(object())
    with pytest.raises(InvalidOption, match="nobody can be asked for"):
        json_schema(pytest.Item)
