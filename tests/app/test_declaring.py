"""Apps and workflows that could not be run are refused when they are made, with what would help."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stepwell import App, InvalidOption, Step


async def test_two_workflows_of_one_name_and_names_that_cannot_be_are_refused(app: App) -> None:
    async def flow() -> None:
        return None

    app.workflow(flow)

    with pytest.raises(InvalidOption, match="two workflows are called 'flow'"):
        app.workflow(flow)
    for name in ("a/b", "a#b", "a\0b", "\ud800", "x" * 201):
        with pytest.raises(InvalidOption):
            app.workflow(id=name)(flow)
        with pytest.raises(InvalidOption):
            app.workflow(id="other", queue=name)(flow)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id": ""}, "'' cannot name a workflow"),
        ({"retry": 5}, r"retry is 5; write it like Retry\(max_attempts=5\)"),
        ({"retry": "often"}, "retry is 'often'; write it like Retry"),
        ({"trigger": 7}, "trigger 7 is none"),
        ({"version": "2"}, "version is '2', use 1 or more"),
    ],
)
async def test_option_of_a_workflow_that_makes_no_sense_is_refused(app: App, options: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        app.workflow(**options)(plain)

    assert app.registry.names == ()


def plain() -> None:
    """A workflow that takes nothing."""


def yields() -> Iterator[int]:
    yield 1


async def yields_later() -> AsyncIterator[int]:
    yield 1


async def takes_two_steps(step: Step, other: Step) -> None:
    return None


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (7, "7 is no function with a name"),
        (partial(plain), "is no function with a name; if it can be called, give it an id="),
        (yields, "cannot be a workflow: use a function that returns one result"),
        (yields_later, "cannot be a workflow: use a function that returns one result"),
        (takes_two_steps, r"several parameters for its steps \(step, other\); use one"),
    ],
)
async def test_function_that_cannot_be_a_workflow_is_refused(app: App, function: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        app.workflow(function)


@pytest.mark.parametrize("database", [5, b"postgresql://secret@host/db", Path("stepwell.db")])
def test_database_that_is_neither_a_url_nor_a_store_is_refused_and_not_shown(database: Any) -> None:
    with pytest.raises(InvalidOption, match=r"database is a .*; give its URL as text") as caught:
        App(database)

    assert "secret" not in str(caught.value)
