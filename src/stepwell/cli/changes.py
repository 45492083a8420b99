"""How commands change executions: those that are named, one by one, or all that a filter means, after a question."""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from stepwell.cli.exits import FAILED
from stepwell.cli.filters import filter_options
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import note, show_json
from stepwell.errors import InvalidOption, NotAllowed, UnknownExecution, UnknownStep

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.app.control import Bulk

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Which:
    """The executions that the command line means, and how to go about it."""

    target: Target
    executions: Sequence[UUID]
    filter: dict[str, Any]
    is_dry_run: bool
    is_sure: bool
    as_json: bool


@dataclass(frozen=True)
class Change:
    """What is done: to one, to many (dry, if so asked), and what is said of the answer about one."""

    verb: str
    one: Callable[[App, UUID], Awaitable[object]]
    many: Callable[[App, bool], Awaitable[Bulk]]
    answer: str  # the name of the answer in JSON
    told: Callable[[Any], str]


by_option = click.option("--by", metavar="NAME", help="Who does it, for the audit. [default: you, on this host]")


def change_options(command: F) -> F:
    """Ids, or the options of `list`; --dry-run, --yes, --by. The command gets them as `which` and `by`."""

    @click.argument("executions", type=click.UUID, nargs=-1)
    @filter_options
    @click.option("--text", help="Only those that `search` finds by these words.")
    @click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count those that the options mean.")
    @click.option("--yes", "is_sure", is_flag=True, help="Do it without asking.")
    @by_option
    @output_options()
    @database_options
    @functools.wraps(command)
    def with_which(
        *args: Any,
        target: Target,
        executions: Sequence[UUID],
        which: dict[str, Any],
        text: str | None,
        is_dry_run: bool,
        is_sure: bool,
        as_json: bool,
        **options: Any,
    ) -> Any:
        given = {name: value for name, value in {**which, "text": text}.items() if value not in (None, ())}
        if bool(executions) is bool(given):
            raise InvalidOption("say which executions: by their ids, or by options such as --status and --workflow")
        if executions and is_dry_run:
            raise InvalidOption(
                "--dry-run counts what options mean; the executions that you name are as many as they are"
            )
        asked = Which(target, executions, given, is_dry_run, is_sure, as_json)
        return command(*args, which=asked, **options)

    return with_which  # type: ignore[return-value]


def carry_out(change: Change, which: Which) -> None:
    """Change those that are named, or all that the filter means. One refusal by name makes it exit 1."""
    if which.executions:
        _each(change, which)
    else:
        _all(change, which)


# --- those that are named -----------------------------------------------------------------------------------------


def _each(change: Change, which: Which) -> None:
    """Tell of each what became of it, also when the database goes away in the middle."""
    answers: list[dict[str, Any]] = []

    async def change_all(app: App) -> None:
        for one in which.executions:
            answers.append(await _answer(change, app, one))
            if not which.as_json:
                _show(change, answers[-1])

    try:
        which.target.ask(change_all)
    finally:
        if which.as_json:
            show_json({"executions": answers})
    if any("error" in answer for answer in answers):
        click.get_current_context().exit(FAILED)


async def _answer(change: Change, app: App, execution: UUID) -> dict[str, Any]:
    try:
        return {"id": execution, change.answer: await change.one(app, execution)}
    except (NotAllowed, UnknownExecution, UnknownStep) as error:
        return {"id": execution, "error": str(error)}


def _show(change: Change, answer: dict[str, Any]) -> None:
    if "error" in answer:
        note(answer["error"])
    else:
        click.echo(f"{answer['id']}  {change.told(answer[change.answer])}")


# --- all that a filter means --------------------------------------------------------------------------------------


def _all(change: Change, which: Which) -> None:
    async def count(app: App) -> Bulk:
        return await change.many(app, True)

    async def do(app: App) -> Bulk:
        return await change.many(app, False)

    if which.is_dry_run or not which.is_sure:
        counted = which.target.ask(count)
        if which.is_dry_run or counted.matched == 0:
            _show_count(counted.matched, 0, which)
            return
        _make_sure(change, counted.matched)
    done = which.target.ask(do)
    _show_count(done.matched, done.done, which, verb=change.verb)


def _make_sure(change: Change, matched: int) -> None:
    if not sys.stdin.isatty():
        raise InvalidOption(
            f"it would {change.verb} {_executions(matched)}; --yes does so without asking, --dry-run only counts"
        )
    click.confirm(f"{change.verb} {_executions(matched)}?", abort=True, err=True)


def _show_count(matched: int, done: int, which: Which, *, verb: str | None = None) -> None:
    if which.as_json:
        show_json({"matched": matched, "done": done})
    elif verb is None:
        click.echo(f"{_executions(matched)} {'matches' if matched == 1 else 'match'}")
    else:
        click.echo(f"{verb}: {done:,} of {_executions(matched)}")


def _executions(number: int) -> str:
    return "1 execution" if number == 1 else f"{number:,} executions"
