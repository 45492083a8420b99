"""Values: the first pass gives what a replay gives, or the value is refused by name."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import math
import random
import time
import traceback
import typing
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.codec import codec_for, result_codec
from stepwell.core.connections import Connection, Secret
from stepwell.core.payload import COMPRESS_ABOVE_BYTES, MAX_DEPTH, PAYLOAD_LIMIT_BYTES
from stepwell.errors import InvalidOption, InvalidValue, PayloadTooLarge

if TYPE_CHECKING:
    from nowhere import Invisible  # type: ignore[import-not-found]

T = TypeVar("T")


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Line(NamedTuple):
    article: str
    amount: int


class Address(TypedDict):
    street: str
    floor: NotRequired[int]


@dataclasses.dataclass
class Order:
    id: UUID
    total: Decimal
    placed_at: datetime
    due: date
    slot: time_of_day
    took: timedelta
    colour: Colour
    scan: bytes
    lines: list[Line]
    place: tuple[float, float]
    by_day: dict[date, int]
    address: Address
    note: str | None = None


class Box(msgspec.Struct, Generic[T], rename="camel"):
    main_content: T
    next_box: Box[T] | None = None


@dataclasses.dataclass(eq=False)
class Incomparable:
    amount: float | None


class Customer(pydantic.BaseModel):
    name: str
    joined_at: datetime | None = None
    vat_number: str | None = pydantic.Field(default=None, alias="vatNumber")
    tags: tuple[str, ...] = ()


class Secretive(pydantic.BaseModel):
    password: pydantic.SecretStr


class Client:
    """Has no JSON form, as a connection has none."""


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda children: st.lists(children, max_size=5) | st.dictionaries(texts, children, max_size=5),
    max_leaves=20,
)
changing = st.sampled_from(
    [
        *[(1,), {1}, b"x", math.nan, -math.inf, 2**64, -(2**63) - 1, Colour.RED, Level.LOW, "\ud800"],
        *[{1: 2}, {None: 1}, {Colour.RED: 1}, {"\udfff": 1}, OrderedDict(a=1), Line("a", 1), Decimal(1), 1j],
        *[date(2024, 1, 1), Client(), Client, len, Box(1), Incomparable(1.0), Customer(name="a"), iter([1])],
        nested(MAX_DEPTH + 1),
    ]
)
minutes = st.integers(-720, 840)
zones = minutes.map(lambda offset: timezone(timedelta(minutes=offset)))
aware = st.datetimes(timezones=zones)
hostile_text = st.recursive(
    st.sampled_from([b"1", b'"x"', b"{}", b"1e999", b"NaN", b"\xff", b"\x01"]),
    lambda inner: inner.map(lambda text: b"[" + text + b"]") | inner.map(lambda text: b'{"name":' + text + b"}"),
)
orders = st.builds(
    Order,
    id=st.uuids(),
    total=st.decimals(allow_nan=False),
    placed_at=aware,
    due=st.dates(),
    slot=st.times(),
    took=st.timedeltas(),
    colour=st.sampled_from(Colour),
    scan=st.binary(),
    lines=st.lists(st.builds(Line, texts, st.integers(-(2**63), 2**63)), max_size=3),
    place=st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2),
    by_day=st.dictionaries(st.dates(), st.integers(0, 9), max_size=3),
    address=st.just(Address(street="x")) | st.builds(Address, street=texts, floor=st.integers(0, 9)),
    note=st.none() | texts,
)


# First pass equals replay


@given(plain)
def test_a_plain_value_comes_back_exactly_on_the_first_pass_and_on_every_replay(value: Any) -> None:
    """F66, F68, F79. `repr` tells 1, 1.0 and True, 0.0 and -0.0, and the order of keys apart."""
    data, first = codec_for(Any).encode(value)

    assert repr(first) == repr(value)
    assert repr(codec_for(Any).decode(data)) == repr(first)


@given(orders)
def test_an_annotated_value_comes_back_exactly_on_the_first_pass_and_on_every_replay(order: Order) -> None:
    """F76, F79"""
    data, first = codec_for(Order).encode(order)

    assert first == order
    assert first.placed_at.isoformat() == order.placed_at.isoformat()
    assert repr(codec_for(Order).decode(data)) == repr(first)


@given(changing, plain, st.lists(st.booleans(), max_size=3))
def test_a_changing_value_is_refused_wherever_it_hides_and_its_place_is_named(
    culprit: Any, beside: Any, hiding_places: list[bool]
) -> None:
    """F69, F70, F73, F79"""
    value, path = culprit, ""
    for in_dict in hiding_places:
        value, path = ({"n": beside, "held": value}, f".held{path}") if in_dict else ([beside, value], f"[1]{path}")

    with pytest.raises(InvalidValue) as refused:
        codec_for(Any).encode(value)

    assert refused.value.path.startswith(f"${path}")


@given(st.recursive(plain | changing, lambda children: st.lists(children) | st.tuples(children), max_leaves=5))
def test_any_value_is_kept_exactly_or_refused_and_no_other_error_escapes(value: Any) -> None:
    try:
        data, first = codec_for(Any).encode(value)
    except InvalidValue:
        return
    assert repr(first) == repr(value)
    assert repr(codec_for(Any).decode(data)) == repr(value)


@given(st.binary() | hostile_text, st.sampled_from([Any, Order, list[Customer]]))
def test_hostile_json_is_a_value_that_can_be_stored_or_an_error_of_ours(data: bytes, annotation: Any) -> None:
    try:
        value = codec_for(annotation).decode_text(data)
    except InvalidValue:
        return
    assert codec_for(annotation).encode(value)[1] == value


def test_the_value_given_on_is_not_the_one_that_was_returned() -> None:
    returned = {"items": [1]}
    data, first = codec_for(Any).encode(returned)

    returned["items"].append(2)
    first["items"].append(3)

    assert codec_for(Any).decode(data) == {"items": [1]}


@pytest.mark.parametrize(
    "value",
    [
        "\x00",
        "a\x00b",
        -0.0,
        2**64 - 1,
        -(2**63),
        5e-324,
        "",
        "𝄞 é ü",
        {"": {}},
        {"fooBar": 1, "foo_bar": 2},
        {"b": 1, "a": 2},
    ],
)
def test_odd_but_honest_values_are_kept_exactly(value: Any) -> None:
    """F66, F68"""
    data, first = codec_for(Any).encode(value)

    assert repr(first) == repr(value)
    assert b"\x00" not in data


def test_a_long_value_is_stored_compressed_and_comes_back() -> None:
    value = [{"n": n} for n in range(COMPRESS_ABOVE_BYTES // 8)]

    data, first = codec_for(Any).encode(value)

    assert len(data) < COMPRESS_ABOVE_BYTES
    assert first == value == codec_for(Any).decode(data)


def test_a_value_above_the_limit_is_refused_with_its_size_and_a_way_out() -> None:
    """F74"""
    value = random.Random(1).randbytes(2 * PAYLOAD_LIMIT_BYTES).hex()

    with pytest.raises(PayloadTooLarge, match="Store the data elsewhere") as refused:
        codec_for(Any).encode(value)

    assert refused.value.size_bytes > refused.value.limit_bytes == PAYLOAD_LIMIT_BYTES


@pytest.mark.parametrize("text", [b"[" * 1_000_000, b"[" * 101 + b"]" * 101, b'{"a":' * 1_000_000], ids=len)
def test_json_of_hostile_depth_is_refused_at_the_door(text: bytes) -> None:
    """F70"""
    with pytest.raises(InvalidValue, match="nested deeper"):
        codec_for(Any).decode_text(text)


def test_stored_json_of_hostile_depth_is_an_error_of_ours() -> None:
    """F70"""
    with pytest.raises(InvalidValue, match="nested deeper"):
        codec_for(Any).decode(b"[" * 1_000_000)


@pytest.mark.parametrize("text", [b"1e999", b"-1e999", b"[1" + b"0" * 5000 + b"]", b"NaN", b"Infinity"])
def test_numbers_that_could_not_be_stored_again_are_refused(text: bytes) -> None:
    """F69, F71"""
    with pytest.raises(InvalidValue):
        codec_for(Any).decode(text)


def test_a_value_that_contains_itself_is_refused() -> None:
    """F73"""
    value: list[Any] = []
    value.append(value)

    with pytest.raises(InvalidValue, match="contains itself"):
        codec_for(Any).encode(value)


@pytest.mark.parametrize("hold", [lambda n: n, lambda n: -n, lambda n: [n], lambda n: {"a": (n, 1)}])
def test_an_integer_with_too_many_digits_to_write_down_is_refused(hold: Callable[[int], Any]) -> None:
    """F71"""
    with pytest.raises(InvalidValue, match="64 bits"):
        codec_for(Any).encode(hold(10**5000))


# Annotations


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (list[Order | None], [None]),
        (Box[Box[int]], Box(Box(1), Box(Box(2)))),
        (Customer, Customer(name="a", vatNumber="BE1", joined_at=datetime(2024, 1, 1, tzinfo=UTC), tags=("x",))),
        (dict[str, list[Customer]], {"all": [Customer(name="a")]}),
        (Customer | None, None),
        (Sequence[Colour], [Colour.RED]),
        (Literal["a", 1], 1),
        (dict[int, float], {1: 0.5}),
        (typing.Dict, {"a": [1]}),  # noqa: UP006 (still written, and still bare)
        (dict[str, int | None] | list[str], {"a": None}),
        (Annotated[int, msgspec.Meta(ge=1)], 1),
        (int | str | None, "1"),
        (Line, Line("a", 1)),
        (tuple[int, ...], (1, 2)),
        (None, None),
    ],
)
def test_every_kind_of_annotation_brings_its_values_back(annotation: Any, value: Any) -> None:
    data, first = codec_for(annotation).encode(value)

    assert (type(first), first) == (type(value), value)
    assert codec_for(annotation).decode(data) == value


def test_objects_without_equality_are_compared_by_their_fields() -> None:
    _, first = codec_for(Incomparable).encode(Incomparable(0.5))

    assert first.amount == 0.5
    with pytest.raises(InvalidValue) as refused:
        codec_for(Incomparable).encode(Incomparable(math.nan))
    assert refused.value.path == "$.amount"


def test_attrs_classes_are_compared_by_their_fields() -> None:
    attrs = pytest.importorskip("attrs")
    visit = attrs.make_class("visit", {"at": attrs.field(type=datetime)})

    assert codec_for(visit).encode(visit(datetime(2024, 1, 1, tzinfo=UTC)))[1] == visit(
        datetime(2024, 1, 1, tzinfo=UTC)
    )
    with pytest.raises(InvalidValue, match=r"\$\.at is a naive datetime"):
        codec_for(visit).encode(visit(datetime(2024, 1, 1)))  # noqa: DTZ001 (the fault under test)


def test_an_int_where_a_float_is_annotated_becomes_the_float_a_replay_sees() -> None:
    _, first = codec_for(list[float]).encode([1])

    assert repr(first) == "[1.0]"


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (float, 2**53 + 1, "$"),
        (float, True, "$"),
        (int, 1.0, "$"),
        (int, 2**64, "$"),
        (str, Colour.RED, "$"),
        (Colour, "red", "$"),
        (list[int], (1, 2), "$"),
        (set[int], {1}, "$"),
        (dict[str, Any], {"a": [{1: 2}]}, "$.a[0]"),
        (dict[int, int], {"1": 1}, "$"),
        (Address, {"street": "x", "city": "y"}, "$"),
        (datetime, datetime(2024, 1, 1), "$"),  # noqa: DTZ001 (the fault under test)
        (Box[datetime], Box(datetime(2024, 1, 1)), "$.main_content"),  # noqa: DTZ001
        (Customer, Customer(name="a", joined_at=datetime(2024, 1, 1)), "$.joined_at"),  # noqa: DTZ001
        (Customer, Customer.model_construct(name=3), "$"),
        (Customer, {"name": "a"}, "$"),
        (Secretive, Secretive(password=pydantic.SecretStr("x")), "$.password"),
        (Incomparable, {"amount": 1.0}, "$"),
        (list[Order], [1], "$[0]"),
        (None, 1, "$"),
        (Client, Client(), "$"),
        (list[Client | None], [None, Client()], "$[1]"),
    ],
)
def test_a_value_that_its_annotation_would_change_is_refused(annotation: Any, value: Any, path: str) -> None:
    """F76, F79"""
    with pytest.raises(InvalidValue) as refused:
        codec_for(annotation).encode(value)

    assert refused.value.path == path


def test_a_refusal_of_an_unannotated_value_says_to_annotate() -> None:
    with pytest.raises(InvalidValue, match="annotate the function"):
        codec_for(Any).encode(Box(1))


def test_a_refused_secret_is_not_in_the_message() -> None:
    with pytest.raises(InvalidValue) as refused:
        codec_for(Customer).decode(b'{"name": ["hunter2"]}')

    assert "name" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_an_annotation_that_cannot_be_stored_is_refused_before_any_value() -> None:
    with pytest.raises(InvalidOption, match="cannot be stored"):
        codec_for(list[int] | tuple[int, ...])


def test_codecs_are_remembered_also_by_equal_annotations() -> None:
    assert codec_for(list[int]) is codec_for(list[int])


def test_an_annotation_that_cannot_be_hashed_has_a_codec_too() -> None:
    assert codec_for(Annotated[int, []]).decode(b"1") == 1


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns"])
def test_the_machines_time_zone_changes_nothing(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F76"""
    moment = datetime(2024, 3, 31, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    here, _ = codec_for(datetime).encode(moment)
    monkeypatch.setenv("TZ", zone)
    time.tzset()

    there, first = codec_for(datetime).encode(moment)

    monkeypatch.undo()
    time.tzset()
    assert there == here
    assert first.isoformat() == moment.isoformat()


# The result of a function


async def asks() -> Customer:
    raise NotImplementedError


def lists() -> list[Colour]:
    raise NotImplementedError


def says_nothing():  # type: ignore[no-untyped-def]  # what users write
    raise NotImplementedError


def invisible() -> Invisible:
    raise NotImplementedError


class Vendor:
    def fetch(self) -> Line:
        raise NotImplementedError

    def __call__(self) -> Level:
        raise NotImplementedError


@functools.wraps(lists)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    return lists(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "annotation"),
    [
        (asks, Customer),
        (lists, list[Colour]),
        (wrapped, list[Colour]),
        (functools.partial(functools.partial(lists)), list[Colour]),
        (Vendor().fetch, Line),
        (Vendor(), Level),
        (Order, Order),
        (says_nothing, Any),
        (lambda: 1, Any),
        (len, Any),
        (str.upper, Any),
        (asyncio.sleep, Any),
    ],
)
def test_the_result_of_a_function_is_coded_by_its_return_annotation(
    function: Callable[..., Any], annotation: Any
) -> None:
    assert result_codec(function) is codec_for(annotation)
    assert result_codec(function) is codec_for(annotation), "also the second time"


def test_a_return_annotation_without_meaning_at_run_time_names_the_function() -> None:
    with pytest.raises(InvalidOption, match=r"invisible.*'Invisible'"):
        result_codec(invisible)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Secret("canary-2b7d"), "$"),
        ({"auth": [1, Secret("canary-2b7d")]}, "$.auth[1]"),
        (Connection("acme", "clickup", {}, {"token": Secret("canary-2b7d")}), "$.secrets.token"),
    ],
)
def test_secret_is_refused_with_its_path_and_not_shown(value: object, path: str) -> None:
    with pytest.raises(InvalidValue, match="is a Secret, which is never stored") as caught:
        codec_for(Any).encode(value)

    assert caught.value.path == path
    assert "canary" not in "".join(traceback.format_exception(caught.value))
