"""Starting executions: what is accepted, what is refused, and that nothing is stored then."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from stepwell import (
    App,
    Handle,
    InvalidInput,
    InvalidOption,
    KeyConflict,
    PayloadTooLarge,
    Retry,
    Status,
    Step,
    UnknownWorkflow,
)

HOSTILE = [
    "*",
    "%",
    "_",
    "'; drop table stepwell.execution; --",
    '"quoted"',
    "\\",
    "$1",
    "{}",
    "null",
    "<script>alert(1)</script>",
    "\N{PILE OF POO}" * 100,
    "\u202eright to left",
    " leading and trailing ",
    "tab\there",
]


class Colour(Enum):
    RED = "red"


@dataclass
class Line:
    article: str
    price: Decimal
    tags: tuple[str, ...] = ()


@dataclass
class Order:
    number: int
    lines: list[Line]
    at: datetime
    on: date
    wait: timedelta
    id: UUID
    colour: Colour
    raw: bytes
    extra: dict[str, Any] = field(default_factory=dict)


ORDER = Order(
    7,
    [Line("pen", Decimal("1.50"), ("a", "b"))],
    datetime(2030, 1, 1, 12, tzinfo=UTC),
    date(2030, 1, 1),
    timedelta(hours=1, microseconds=5),
    UUID(int=7),
    Colour.RED,
    b"\0\xff",
    {"fooBar": 1, "foo_bar": 2, "": None, "a\0b": [1.5, -0.0]},
)


async def count(app: App) -> int:
    return len(await app.list(limit=10_000))


async def test_what_was_started_is_carried_on_by_any_worker(app: App) -> None:
    """Promise 1."""

    @app.workflow
    async def double(number: int) -> int:
        return 2 * number

    handle = await app.start(double, 4)

    assert await handle.status() is Status.PENDING
    async with app.worker():
        assert await handle.result("30s") == 8
    assert await handle.status() is Status.COMPLETED


async def test_ten_thousand_are_started_in_one_call(app: App) -> None:
    @app.workflow
    async def flow(number: int) -> None:
        return None

    handles = await app.start_many(flow, range(10_000), keys=[str(n) for n in range(10_000)], tags=["bulk"])

    assert len({handle.id for handle in handles}) == 10_000
    assert all(handle.is_new for handle in handles)
    assert {one.key for one in await app.list(tags=["bulk"], limit=10_000)} == {str(n) for n in range(10_000)}
    again = await app.start_many(flow, range(10_000), keys=[str(n) for n in range(10_000)])
    assert [handle.id for handle in again] == [handle.id for handle in handles]
    assert not any(handle.is_new for handle in again)


async def test_results_of_many_come_back_to_who_started_them(app: App) -> None:
    @app.workflow
    async def double(number: int, step: Step) -> int:
        return await step.run("double", lambda: 2 * number)

    handles = await app.start_many(double, range(300))
    async with app.worker():
        assert await asyncio.gather(*(handle.result("20s") for handle in handles)) == [2 * n for n in range(300)]


# --- input --------------------------------------------------------------------------------------------------------


async def test_input_is_the_same_on_every_attempt_and_pass(app: App) -> None:
    """F66, F77, F79: types, JSON keys and all."""
    seen: list[Order] = []

    async def fail(order: Order) -> None:
        seen.append(order)
        raise ValueError("again")

    @app.workflow
    async def flow(order: Order, step: Step) -> str:
        seen.append(order)
        try:
            await step(retry=Retry(3, first_delay="1ms")).run("fail", fail, order)
        except Exception:
            await step.sleep("pause", "2100ms")
        return "done"

    handle = await app.start(flow, ORDER)
    async with app.worker():
        await handle.result("20s")

    assert len(seen) >= 5
    assert all(order == ORDER for order in seen)
    assert all(repr(order) == repr(ORDER) for order in seen)


async def test_caller_may_change_what_it_gave(app: App) -> None:
    """Promise 3."""

    @app.workflow
    async def flow(order: dict[str, list[int]]) -> dict[str, list[int]]:
        return order

    given = {"lines": [1]}
    handle = await app.start(flow, given)
    given["lines"].append(2)

    async with app.worker():
        assert await handle.result("30s") == {"lines": [1]}


async def test_several_parameters_are_given_as_a_mapping_and_defaults_are_filled_in(app: App) -> None:
    @app.workflow
    async def flow(order: int, customer: str, *, is_urgent: bool = False) -> list[Any]:
        return [order, customer, is_urgent]

    @app.workflow
    async def nothing() -> str:
        return "nothing"

    several, none = await app.start(flow, {"order": 7, "customer": "acme"}), await app.start(nothing)
    async with app.worker():
        assert await several.result("30s") == [7, "acme", False]
        assert await none.result("30s") == "nothing"


async def test_input_with_faults_is_refused_with_all_of_them_and_nothing_is_stored(app: App) -> None:
    @app.workflow
    async def flow(order: Order, customer: str) -> None:
        return None

    bad_order = Order("7", [Line("pen", 1.5)], datetime(2030, 1, 1), *[None] * 5)  # type: ignore[arg-type] # noqa: DTZ001
    with pytest.raises(InvalidInput) as caught:
        await app.start(flow, {"order": bad_order, "costumer": "acme"})

    paths = [path for path, _ in caught.value.faults]
    assert "$.customer" in paths
    assert "$.costumer" in paths
    assert any(path.startswith("$.order") for path in paths)
    assert await count(app) == 0


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (datetime(2030, 1, 1), "$.value"),  # noqa: DTZ001
        ({"deep": [{1, 2}]}, "$.value.deep[0]"),
        (float("nan"), "$.value"),
        (float("inf"), "$.value"),
        (2**64, "$.value"),
        ("\ud800", "$.value"),
        ({1: "key"}, "$.value"),
        (object(), "$.value"),
        (print, "$.value"),
    ],
)
async def test_value_that_would_come_back_different_is_refused_by_its_place(app: App, value: Any, path: str) -> None:
    """F69, F71, F73, F76."""

    @app.workflow
    async def flow(value: Any) -> None:
        return None

    with pytest.raises(InvalidInput) as caught:
        await app.start(flow, value)

    assert [found for found, _ in caught.value.faults] == [path]
    assert await count(app) == 0


async def test_input_above_the_limit_is_refused_with_both_sizes(app: App) -> None:
    """F74."""

    @app.workflow
    async def flow(value: str) -> None:
        return None

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4_000_000))
    for size in (4_000_000, 17_000_000):
        with pytest.raises(PayloadTooLarge, match=r"the limit is [\d,]+\. Store the data elsewhere"):
            await app.start(flow, noise if size == 4_000_000 else "x" * size)

    assert await count(app) == 0
    assert (await app.start(flow, noise[:900_000])).is_new


async def test_one_bad_input_among_many_refuses_them_all(app: App) -> None:
    @app.workflow
    async def flow(number: int) -> None:
        return None

    with pytest.raises(InvalidInput):
        await app.start_many(flow, [1, 2, "three", 4])

    assert await count(app) == 0


async def test_unknown_workflow_is_refused_by_who_knows_workflows_and_accepted_from_a_bare_client(
    app: App, database_url: str
) -> None:
    @app.workflow
    async def flow(number: int) -> int:
        return number

    with pytest.raises(UnknownWorkflow, match="it has: flow"):
        await app.start("flaw", 1)
    async with App(database_url) as client:
        handle: Handle[int] = await client.start("flow", {"number": 7})
        seen = await client.get(handle.id)
        assert seen.why is not None
        assert "no worker has this workflow" in seen.why
        async with app.worker():
            assert await handle.result("30s") == 7


# --- keys, tags, delays -------------------------------------------------------------------------------------------


async def test_same_key_means_the_same_execution_also_when_it_has_ended(app: App) -> None:
    """F104."""
    bodies: list[int] = []

    @app.workflow
    async def flow(number: int) -> int:
        bodies.append(number)
        return number

    first = await app.start(flow, 7, key="order-7")
    async with app.worker():
        await first.result("30s")
        second = await app.start(flow, 7, key="order-7")
        assert await second.result("30s") == 7

    assert (first.is_new, second.is_new) == (True, False)
    assert first.id == second.id
    assert bodies == [7]


async def test_input_is_the_same_however_it_is_written(app: App) -> None:
    """Callers that repeat a start after an outage may build its input anew."""

    @app.workflow
    async def flow(order: dict[str, Any], is_urgent: bool = False) -> None:
        return None

    one, other = {"number": 7, "lines": [{"a": 1, "b": [1, 2]}]}, {"lines": [{"b": [1, 2], "a": 1}], "number": 7}
    first = await app.start(flow, {"order": one}, key="order-7")
    again = await app.start(flow, {"is_urgent": False, "order": other}, key="order-7")

    assert (again.id, again.is_new) == (first.id, False)
    for different in ({**one, "lines": [{"a": 1, "b": [2, 1]}]}, {**one, "number": 7.0}, {**one, "more": None}):
        with pytest.raises(KeyConflict):
            await app.start(flow, {"order": different}, key="order-7")


async def test_key_with_another_input_is_refused_and_nothing_is_stored(app: App) -> None:
    @app.workflow
    async def flow(number: int) -> None:
        return None

    first = await app.start(flow, 7, key="order-7")
    with pytest.raises(KeyConflict, match=f"already belongs to execution {first.id}"):
        await app.start(flow, 8, key="order-7")
    with pytest.raises(KeyConflict):
        await app.start_many(flow, [1, 2, 8], keys=["a", "b", "order-7"])

    assert await count(app) == 1


async def test_keys_of_two_workflows_have_nothing_to_do_with_each_other(app: App) -> None:
    @app.workflow
    async def one(number: int) -> None:
        return None

    @app.workflow
    async def other(number: int) -> None:
        return None

    assert (await app.start(one, 1, key="same")).is_new
    assert (await app.start(other, 2, key="same")).is_new


async def test_hundred_concurrent_starts_of_one_key_make_one_execution(app: App, database_url: str) -> None:
    """F3, F104: from three processes' worth of connections."""

    @app.workflow
    async def flow(number: int) -> None:
        return None

    apps = [App(database_url) for _ in range(3)]
    starts = [
        one.start("flow", {"number": 7}, key="order-7") if one is not app else one.start(flow, 7, key="order-7")
        for one in [*apps, app] * 25
    ]
    handles = await asyncio.gather(*starts)
    for one in apps:
        await one.close()

    assert len({handle.id for handle in handles}) == 1
    assert sum(handle.is_new for handle in handles) == 1
    assert await count(app) == 1


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_kept_exactly_wherever_it_goes(app: App, text: str) -> None:
    """F66, F67; the security table: SQL injection."""
    name = text.translate({ord("\t"): " ", ord("/"): "-"})

    @app.workflow(id=name, queue=name)
    async def flow(value: dict[str, str], step: Step) -> dict[str, str]:
        return await step.run(name, lambda: value)

    handle = await app.start(flow, {text: text}, key=text, tags=[text])
    async with app.worker():
        assert await handle.result("30s") == {text: text}

    for found in (await app.list(key=text), await app.list(tags=[text]), await app.list(workflow=name)):
        assert [one.id for one in found] == [handle.id]
    (seen,) = await app.list()
    assert (seen.key, seen.tags, seen.workflow, seen.queue) == (text, (text,), name, name)
    assert [record.key for record in await app.steps(handle.id)] == [name]
    assert await app.list(key="%") == ([seen] if text == "%" else [])


async def test_longest_names_and_keys_fit_the_database(app: App) -> None:
    """F75: an index takes 2,704 bytes, and random text does not compress."""
    letters = [chr(number) for number in range(0x20000, 0x2A000)]
    chance = random.Random(7)

    @app.workflow(id="".join(chance.choices(letters, k=200)))
    async def flow() -> None:
        return None

    key = "".join(chance.choices(letters, k=450))
    assert (await app.start(flow, key=key)).is_new
    assert not (await app.start(flow, key=key)).is_new
    with pytest.raises(InvalidOption, match="key"):
        await app.start(flow, key="".join(chance.choices(letters, k=3_000)))


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800", "x" * 3_000, 7, b"bytes", None])
async def test_text_that_the_database_cannot_keep_is_refused_by_name(app: App, text: Any) -> None:
    """F68, F75."""

    @app.workflow
    async def flow() -> None:
        return None

    calls: dict[str, Any] = {
        "key": lambda: app.start(flow, key=text),
        "tag": lambda: app.start(flow, tags=[text]),
        "list by key": lambda: app.list(key=text),
        "list by tag": lambda: app.list(tags=[text]),
        "list by workflow": lambda: app.list(workflow=text),
        "reason": lambda: app.cancel(UUID(int=1), reason=text),
    }
    for option, call in calls.items():
        if text is None and option != "tag" and option != "reason":
            continue
        with pytest.raises(InvalidOption):
            await call()

    assert await count(app) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"tags": "one"},
        {"tags": ["a\nb"]},
        {"tags": ["t"] * 51},
        {"tags": None},
        {"delay": "soon"},
        {"delay": timedelta(seconds=-1)},
        {"delay": timedelta(days=10**6)},
        {"delay": 5},
        {"deadline": "soon"},
        {"deadline": "0s"},
        {"deadline": timedelta(seconds=-1)},
        {"deadline": datetime(2126, 1, 1)},  # noqa: DTZ001
        {"deadline": 5},
    ],
)
async def test_option_that_makes_no_sense_is_refused_and_nothing_is_stored(app: App, options: Any) -> None:
    """F53, F55."""

    @app.workflow
    async def flow() -> None:
        return None

    with pytest.raises(InvalidOption):
        await app.start(flow, **options)
    with pytest.raises(InvalidOption, match="2 inputs and 1 keys"):
        await app.start_many(flow, [{}, {}], keys=["a"])

    assert await count(app) == 0


@pytest.mark.parametrize("workflow", [None, print, 7])
async def test_only_a_workflow_or_its_id_can_be_started(app: App, workflow: Any) -> None:
    @app.workflow
    async def flow() -> None:
        return None

    with pytest.raises(InvalidOption, match=r"is no workflow; give what @app\.workflow made, or its id"):
        await app.start(workflow)
    with pytest.raises(InvalidOption, match="is no workflow"):
        await app.start_many(workflow, [{}])

    assert await count(app) == 0


@pytest.mark.parametrize("inputs", ["abc", b"abc", {"text": "abc"}, 7, None])
async def test_what_is_no_list_of_inputs_is_refused(app: App, inputs: Any) -> None:
    """A text would start one execution for each of its letters."""

    @app.workflow
    async def flow(text: Any) -> None:
        return None

    for call in (app.start_many, app.start_many_json):
        with pytest.raises(InvalidOption, match="give a list with one input for each execution"):
            await call("flow", inputs)

    assert await count(app) == 0


async def test_delay_of_two_hundred_years_is_accepted(app: App) -> None:
    """F55."""

    @app.workflow
    async def flow() -> None:
        return None

    handle = await app.start(flow, delay="73000d")
    seen = await app.get(handle.id)

    assert seen.due_at is not None
    assert abs(seen.due_at - seen.created_at - timedelta(days=73_000)) < timedelta(seconds=5)
