"""A workflow's input: validated at the start, stored once, decoded afresh."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.payload import PAYLOAD_LIMIT_BYTES
from stepwell.errors import InvalidInput, InvalidOption, InvalidValue, PayloadTooLarge
from stepwell.inputs import InputCodec


class Contact(pydantic.BaseModel):
    name: str


@dataclasses.dataclass
class Order:
    id: int
    total: Decimal
    placed_at: datetime | None = None


async def ship(  # type: ignore[no-untyped-def]  # `note` has no annotation, as users write it
    order: Order, step: object, *, tags: Sequence[str] = (), note=None, copies: int = 1
) -> None: ...


async def greet(name: str, step: object) -> None: ...


async def invite(contact: Contact, step: object) -> None: ...


async def tick(step: object) -> None: ...


SHIP = InputCodec(ship, workflow="ship")
GREET = InputCodec(greet, workflow="greet")
INVITE = InputCodec(invite, workflow="invite")
TICK = InputCodec(tick, workflow="tick")
ORDER = Order(7, Decimal("1.10"))


def faulty_paths(refused: pytest.ExceptionInfo[InvalidInput]) -> list[str]:
    return [path for path, _ in refused.value.faults]


# A call


def test_all_parameters_are_stored_in_their_order_with_the_defaults_of_the_day() -> None:
    assert SHIP.bind((ORDER,), {}) == (
        b'{"order":{"id":7,"total":"1.10","placed_at":null},"tags":[],"note":null,"copies":1}'
    )


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63),
    st.none() | st.lists(st.floats(0, 1)),
)
def test_the_workflow_gets_the_values_that_were_passed(tag: str, copies: int, note: Any) -> None:
    data = SHIP.bind((ORDER,), {"tags": [tag], "copies": copies, "note": note})

    assert SHIP.unbind(data) == {"order": ORDER, "tags": [tag], "note": note, "copies": copies}


def test_passing_by_position_or_by_name_in_any_order_stores_the_same() -> None:
    assert SHIP.bind((ORDER,), {"copies": 2, "note": "x"}) == SHIP.bind((), {"note": "x", "copies": 2, "order": ORDER})


def test_every_pass_gets_fresh_values() -> None:
    """F77"""
    tags = ["a"]
    data = SHIP.bind((ORDER,), {"tags": tags})

    tags.append("by the caller")
    SHIP.unbind(data)["tags"].append("by an earlier pass")

    assert SHIP.unbind(data)["tags"] == ["a"]


def test_a_default_that_changes_with_the_code_does_not_change_a_stored_input() -> None:
    def before(step: object, limit: int = 1) -> None: ...
    def after(step: object, limit: int = 2) -> None: ...

    stored = InputCodec(before, workflow="w").bind((), {})

    assert InputCodec(after, workflow="w").unbind(stored) == {"limit": 1}


def test_code_that_gained_an_optional_parameter_and_lost_one_reads_an_older_input() -> None:
    def before(step: object, kept: int, lost: int) -> None: ...
    def after(step: object, kept: int, gained: int = 2) -> None: ...

    stored = InputCodec(before, workflow="w").bind((1, 2), {})

    assert InputCodec(after, workflow="w").unbind(stored) == {"kept": 1}


def test_code_that_gained_a_required_parameter_cannot_read_an_older_input_and_says_which() -> None:
    def before(step: object) -> None: ...
    def after(step: object, gained: int) -> None: ...

    stored = InputCodec(before, workflow="w").bind((), {})

    with pytest.raises(InvalidValue, match=r"input of workflow 'w'.*`gained`"):
        InputCodec(after, workflow="w").unbind(stored)


def test_every_fault_of_a_call_is_listed() -> None:
    with pytest.raises(InvalidInput) as refused:
        SHIP.bind((), {"tags": ["a", 1], "note": [{"n": math.nan}], "copies": "2", "colour": "red"})

    assert sorted(faulty_paths(refused)) == ["$.colour", "$.copies", "$.note[0].n", "$.order", "$.tags[1]"]
    assert "the workflow takes: order, tags, note, copies" in str(refused.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "paths"),
    [
        ((), {}, ["$.order"]),
        ((ORDER, ["a"]), {}, ["$"]),
        ((ORDER,), {"order": ORDER}, ["$.order"]),
        ((ORDER,), {"step": 1}, ["$.step"]),
        (({"id": 7, "total": "1"},), {}, ["$.order"]),
        ((Order(7, Decimal(1), datetime(2024, 1, 1)),), {}, ["$.order.placed_at"]),  # noqa: DTZ001 (the fault)
        ((ORDER,), {"tags": ("a",)}, ["$.tags"]),
        ((ORDER,), {"note": {1}}, ["$.note"]),
    ],
)
def test_a_call_that_does_not_fit_is_refused_with_the_place(
    args: tuple[Any, ...], kwargs: dict[str, Any], paths: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        SHIP.bind(args, kwargs)

    assert faulty_paths(refused) == paths


@pytest.mark.parametrize(
    "start",
    [
        lambda name: GREET.bind((name,), {}),
        lambda name: GREET.bind_json({"name": name}),
        lambda name: GREET.bind_json(b'"' + name.encode() + b'"'),
    ],
)
def test_an_input_above_the_limit_is_refused_with_its_size_and_the_workflow(start: Callable[[str], bytes]) -> None:
    """F74"""
    name = random.Random(1).randbytes(2 * PAYLOAD_LIMIT_BYTES).hex()

    with pytest.raises(PayloadTooLarge, match="input of workflow 'greet'") as refused:
        start(name)

    assert refused.value.size_bytes > PAYLOAD_LIMIT_BYTES


# JSON


@pytest.mark.parametrize("data", [b'{"name":"Ada"}', b'"Ada"', b' "Ada" ', {"name": "Ada"}, "Ada"])
def test_the_only_parameter_may_come_alone_or_in_an_object(data: object) -> None:
    """A parsed `str` is a value; JSON text is `bytes`."""
    assert GREET.unbind(GREET.bind_json(data)) == {"name": "Ada"}


def test_an_object_is_the_only_parameter_itself_unless_its_one_key_is_the_parameters_name() -> None:
    alone, named = INVITE.bind_json(b'{"name":"Ada"}'), INVITE.bind_json(b'{"contact":{"name":"Ada"}}')

    assert alone == named
    assert INVITE.unbind(named) == {"contact": Contact(name="Ada")}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{}", r"\$\.text: is missing"),
        (b'{"txet": "a"}', r"\$\.txet: is not a parameter; the workflow takes: text"),
        (b'{"text": "a", "more": 1}', r"\$\.more: is not a parameter; the workflow takes: text"),
        (b'{"text": {"more": 1}}', r"\$\.text: does not fit its annotation: Expected `str`, got `object`$"),
    ],
)
def test_a_parameter_that_is_misnamed_is_told_also_when_it_is_the_only_one(data: bytes, says: str) -> None:
    def flow(text: str) -> None: ...

    with pytest.raises(InvalidInput, match=says):
        InputCodec(flow, workflow="flow").bind_json(data)


def test_a_workflow_without_parameters_takes_an_empty_object_only() -> None:
    assert TICK.unbind(TICK.bind_json(b"{}")) == {}
    with pytest.raises(InvalidInput, match="takes: nothing"):
        TICK.bind_json(b"1")


def test_json_has_text_for_the_types_it_lacks_and_keeps_every_digit_of_a_decimal() -> None:
    data = SHIP.bind_json(
        b'{"order":{"id":7,"total":1.1000000000000000000001,"placed_at":"2024-01-01T00:00:00Z"},"copies":3}'
    )

    order = Order(7, Decimal("1.1000000000000000000001"), datetime(2024, 1, 1, tzinfo=UTC))
    assert SHIP.unbind(data) == {"order": order, "tags": [], "note": None, "copies": 3}


def test_every_fault_of_a_json_input_is_listed() -> None:
    with pytest.raises(InvalidInput) as refused:
        SHIP.bind_json(
            b'{"order":{"id":7,"total":1,"placed_at":"2024-01-01T00:00:00"},"tags":["a",1],"note":1e999,'
            b'"copies":18446744073709551616,"colour":"red"}'
        )

    assert sorted(faulty_paths(refused)) == ["$.colour", "$.copies", "$.note", "$.order.placed_at", "$.tags[1]"]


@pytest.mark.parametrize(
    "data",
    [
        *[b"", b"{", b'{"name":', b"nope", b'"\xff"', b'"\\ud800"', b"1e999", b'{"name":"a"} more', b"\x01"],
        *[b"[" * 1_000_000, b'{"a":' * 1_000_000, math.inf, {"name": {1}}, {"name": math.nan}, {1: 2}],
    ],
    ids="{!r:.20}".format,
)
@pytest.mark.parametrize("codec", [SHIP, GREET, INVITE, TICK], ids=lambda codec: codec.workflow)
def test_hostile_json_is_refused(codec: InputCodec, data: object) -> None:
    """F69, F70"""
    with pytest.raises(InvalidInput) as refused:
        codec.bind_json(data)

    assert all(path.startswith("$") for path in faulty_paths(refused))


def test_json_nested_too_deep_is_refused_also_where_python_could_read_it() -> None:
    """F70"""
    with pytest.raises(InvalidInput, match="nested deeper"):
        SHIP.bind_json(b'{"order":{"id":1,"total":1},"note":' + b"[" * 150 + b"]" * 150 + b"}")


def test_compressed_bytes_are_no_json() -> None:
    stored = GREET.bind(("a" * 100_000,), {})

    assert stored[0] == 1
    with pytest.raises(InvalidInput):
        GREET.bind_json(stored)


# A signature


def positional_only(a: int, /, step: object) -> None: ...


def starred(step: object, *rest: int) -> None: ...


def double_starred(step: object, **rest: int) -> None: ...


def unresolvable(step: object, order: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def wrong_default(step: object, n: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013


def unstorable(step: object, n: list[int] | tuple[int, ...]) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (positional_only, "parameter 'a' cannot be passed by its name"),
        (starred, "parameter 'rest'"),
        (double_starred, "parameter 'rest'"),
        (unresolvable, "unresolvable: its annotation 'Nowhere'"),
        (wrong_default, "default of parameter 'n'"),
        (unstorable, "cannot be stored"),
    ],
)
def test_a_signature_that_cannot_be_stored_is_refused_at_once(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        InputCodec(function, workflow="w")


def test_an_annotation_only_a_type_checker_can_see_is_allowed_on_the_step() -> None:
    def workflow(context: Nowhere, n: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    codec = InputCodec(workflow, workflow="w", step_parameter="context")

    assert codec.names == ("n",)
    assert codec.unbind(codec.bind((1,), {})) == {"n": 1}
