"""Durable calls in an order, under a name, or in a place that would differ on a replay are found."""

from __future__ import annotations

import inspect

import pytest

from stepwell import Step
from stepwell.lint.durable import DURABLE
from tests.lint.snippets import codes, found, in_workflow


def test_every_durable_call_of_a_step_is_known() -> None:
    parts_of_first = {"child", "event", "timer"}  # they do nothing by themselves

    methods = {name for name, member in vars(Step).items() if inspect.isfunction(member) and name[0] != "_"}

    assert methods == DURABLE | parts_of_first


# --- order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "for x in {1, 2}:\n    await step.run('a', fetch, x)",
        "for x in set(n):\n    await step.run('a', fetch, x)",
        "names = {x for x in n}\nfor x in names:\n    await step.run('a', fetch, x)",
        "for x in list(set(n)):\n    await step.run('a', fetch, x)",
        "for i, x in enumerate(set(n)):\n    await step.run('a', fetch, x)",
        "for x in set(n) - {1}:\n    await step.run('a', fetch, x)",
        "for x in set(n).union(n):\n    await step.run('a', fetch, x)",
        "await asyncio.gather(*(step.run('a', fetch, x) for x in set(n)))",
        "tasks = [step.run('a', fetch, x) for x in set(n)]",
        "for x in set(n):\n    if x:\n        await step.sleep('a', '1h')",
        "async def one(x: int) -> None:\n    await step.run('a', fetch, x)\nfor x in set(n):\n    await one(x)",
        "await step.map('a', fetch, set(n))",
        "s = step(timeout='5s')\nfor x in set(n):\n    await s.run('a', fetch, x)",
    ],
)
def test_durable_calls_in_the_order_of_a_set_are_found(body: str) -> None:
    assert in_workflow(body) == ["SW302"]


@pytest.mark.parametrize("annotation", ["set[int]", "frozenset[str]", "set", "AbstractSet[int]"])
def test_input_that_is_a_set_has_no_order(annotation: str) -> None:
    assert codes(f"""\
    from collections.abc import Set as AbstractSet
    async def flow(cities: {annotation}, step: Step) -> None:
        for city in cities:
            await step.run("a", fetch, city)
    """) == ["SW302"]


@pytest.mark.parametrize(
    "body",
    [
        "for x in sorted(set(n)):\n    await step.run('a', fetch, x)",
        "for x in [1, 2]:\n    await step.run('a', fetch, x)",
        "for x in dict.fromkeys(n):\n    await step.run('a', fetch, x)",
        "total = 0\nfor x in {1, 2}:\n    total += x\nawait step.run('a', fetch, total)",
        "names = set(n)\nnames = sorted(names)\nfor x in names:\n    await step.run('a', fetch, x)",
        "await step.map('a', fetch, sorted(set(n)))",
        "if n in {1, 2}:\n    await step.run('a', fetch)",
        "await step.run('a', lambda: [fetch(x) for x in set(n)])",
    ],
)
def test_set_whose_order_does_not_count_is_left_alone(body: str) -> None:
    assert in_workflow(body) == []


# --- names and arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "step.run(f'a {id(n)}', fetch)",
        "step.run(f'a {hash(n)}', fetch)",
        "step.run('a', fetch, hash('n'))",
        "step.sleep('a' + str(id(n)), '1h')",
        "step.run(f'a {set(n)}', fetch)",
        "step.run('-'.join({'a', 'b'}), fetch)",
    ],
)
def test_name_or_argument_that_differs_from_process_to_process_is_found(call: str) -> None:
    assert in_workflow(f"await {call}") == ["SW301"]


@pytest.mark.parametrize(
    "call",
    ["step.run(f'a {n}', fetch)", "step.run(f'a {len(set([n]))}', fetch)", "step.run('-'.join(sorted({'a'})), fetch)"],
)
def test_name_that_is_the_same_everywhere_is_left_alone(call: str) -> None:
    assert in_workflow(f"await {call}") == []


# --- nesting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "await step.run('a', lambda: step.run('b', fetch))",
        "async def inner() -> int:\n    return await step.run('b', fetch)\nawait step.run('a', inner)",
        "async def inner(n: int) -> None:\n    await step.sleep('b', '1h')\nawait step.map('a', inner, [1])",
        "async def two() -> None:\n    await step.run('b', fetch)\n"
        "async def one() -> None:\n    await two()\nawait step.run('a', one)",
    ],
)
def test_durable_call_inside_a_step_is_found(body: str) -> None:
    assert in_workflow(body) == ["SW401"]


def test_step_given_to_a_step_is_found_where_it_is_used() -> None:
    (finding,) = found("""\
    async def inner(steps: Step | None) -> int:
        return await steps.run("b", fetch)
    async def flow(step: Step) -> None:
        await step.run("a", inner, step)
    """)

    assert (finding.line, finding.code) == (7, "SW401")


def test_helper_that_makes_durable_calls_is_no_step() -> None:
    assert (
        codes("""\
    async def helper(step: Step) -> int:
        return await step.run("b", fetch)
    async def flow(step: Step) -> None:
        await helper(step)
        await step.run("a", lambda: step.idempotency_key)
    """)
        == []
    )


def test_map_over_a_workflow_runs_no_step() -> None:
    assert (
        codes("""\
    async def flow_of_one(n: int, step: Step) -> int:
        return await step.run("b", fetch)
    async def flow(step: Step) -> None:
        await step.map("a", flow_of_one, [1, 2])
    """)
        == []
    )


# --- suspension ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    ["except:", "except BaseException:", "except BaseException as error:", "except (ValueError, BaseException):"],
)
def test_handler_that_swallows_the_suspension_is_found(head: str) -> None:
    assert in_workflow(f"try:\n    await step.run('a', fetch)\n{head}\n    pass") == ["SW402"]


def test_suppressing_everything_is_found() -> None:
    body = "with suppress(BaseException):\n    await step.run('a', fetch)"

    assert in_workflow(body, imports="from contextlib import suppress") == ["SW402"]


@pytest.mark.parametrize(
    "body",
    [
        "try:\n    await step.run('a', fetch)\nexcept Exception:\n    pass",
        "try:\n    await step.run('a', fetch)\nexcept BaseException:\n    n += 1\n    raise",
        "try:\n    n += 1\nexcept BaseException:\n    pass",
        "try:\n    await step.run('a', fetch)\nfinally:\n    await step.run('b', fetch)",
    ],
)
def test_handler_that_lets_the_suspension_through_is_left_alone(body: str) -> None:
    assert in_workflow(body) == []


# --- histories without end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("while True:\n    await step.run('a', fetch)\n    await step.sleep('b', '1h')", ["SW403"]),
        ("while 1:\n    for x in [n]:\n        await step.run('a', fetch)\n        break", ["SW403"]),
        ("while True:\n    if await step.run('a', fetch):\n        break", []),
        ("while True:\n    if await step.run('a', fetch):\n        return", []),
        ("while n:\n    await step.run('a', fetch)", []),
        ("while True:\n    n += 1", []),
    ],
)
def test_loop_without_end_is_hinted_at(body: str, expected: list[str]) -> None:
    assert in_workflow(body) == expected


def test_hint_is_no_fault() -> None:
    findings = found("async def flow(step: Step) -> None:\n    while True:\n        await step.run('a', fetch)\n")

    assert [finding.is_hint for finding in findings] == [True]


# --- what would be stored -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("def fetched(): return 1", ["SW202"]),
        ("def fetched():\n    if app:\n        return [1]", ["SW202"]),
        ("def fetched() -> int: return 1", []),
        ("def fetched(): print(1)", []),
        ("def fetched(): return None", []),
        ("fetched = lambda: 1", []),
    ],
)
def test_step_that_does_not_say_what_it_returns_is_hinted_at(function: str, expected: list[str]) -> None:
    assert codes(f"{function}\nasync def flow(step: Step) -> None:\n    await step.run('a', fetched)\n") == expected
