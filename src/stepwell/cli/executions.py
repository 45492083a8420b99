"""`stepwell executions`: look at executions, cancel and retry them."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from stepwell.cli.exits import FAILED
from stepwell.cli.options import Target, database_options, output_options, to_moment
from stepwell.cli.output import Cell, note, show_json, show_json_text, show_table
from stepwell.core.status import Status
from stepwell.errors import NotAllowed, UnknownExecution

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.app.filters import FilterOptions
    from stepwell.cli.outline import Outline
    from stepwell.core.model import Execution

F = TypeVar("F", bound=Callable[..., Any])

LARGEST_PAGE = 1_000
FACTS = ("status", "workflow", "key", "tags", "parent")
TIMES = ("created_after", "created_before", "finished_after", "finished_before")


@click.group("executions")
def command() -> None:
    """Look at executions, cancel and retry them."""


# --- list ---------------------------------------------------------------------------------------------------------


def _filter_options(command: F) -> F:
    """What `list` and `search` know of the executions that are meant; the command gets them as `which`."""

    @click.option(
        "--status",
        type=click.Choice([status.value for status in Status]),
        multiple=True,
        help="Only with this status; several are alternatives.",
    )
    @click.option("--workflow", help="Only of this workflow.")
    @click.option("--key", help="Only with this key.")
    @click.option("--tag", "tags", multiple=True, help="Only with this tag; of several, with all.")
    @click.option("--parent", type=click.UUID, metavar="ID", help="Only those that this execution has started.")
    @click.option("--created-after", metavar="TIME", callback=to_moment, help="Only accepted at this time or later.")
    @click.option("--created-before", metavar="TIME", callback=to_moment, help="Only accepted earlier.")
    @click.option("--finished-after", metavar="TIME", callback=to_moment, help="Only ended at this time or later.")
    @click.option("--finished-before", metavar="TIME", callback=to_moment, help="Only ended earlier.")
    @click.option(
        "--limit", type=click.IntRange(1, LARGEST_PAGE), default=20, show_default=True, help="How many at most."
    )
    @click.option("--before", type=click.UUID, metavar="ID", help="Only those listed after this one: the next page.")
    @output_options()
    @database_options
    @functools.wraps(command)
    def with_filter(*args: Any, **options: Any) -> Any:
        which = {fact: options.pop(fact) for fact in (*FACTS, *TIMES)}
        return command(*args, which=which, **options)

    return with_filter  # type: ignore[return-value]


@command.command("list")
@_filter_options
def list_(target: Target, which: FilterOptions, limit: int, before: UUID | None, as_json: bool) -> None:
    """List executions, newest first.

    Each with the reason why it is not moving. A time is like 2030-01-31T08:00, in UTC unless it says otherwise, or how
    long ago: 90m, 7d.
    """
    _list(target, which, limit=limit, before=before, as_json=as_json)


@command.command("search")
@click.argument("text")
@_filter_options
def search(target: Target, text: str, which: FilterOptions, limit: int, before: UUID | None, as_json: bool) -> None:
    """Find executions by words.

    Newest first. Each word of TEXT begins a word of the key, the tags, the reason, the input or the result; or the id
    begins with TEXT. The options are those of list.
    """
    which["text"] = text
    _list(target, which, limit=limit, before=before, as_json=as_json)


def _list(target: Target, which: FilterOptions, *, limit: int, before: UUID | None, as_json: bool) -> None:
    async def read(app: App) -> Sequence[Execution]:
        return await app.list(limit=limit + 1, before=before, **which)

    found = target.ask(read)
    page, has_more = found[:limit], len(found) > limit
    if as_json:
        from stepwell.cli.shown import execution_document

        show_json(
            {
                "executions": [execution_document(execution) for execution in page],
                "before": page[-1].id if has_more else None,
            }
        )
        return
    if not page:
        note("no executions match" if before or any(which.values()) else "there are no executions yet")
        return
    _show_list(page)
    if has_more:
        note(f"there are more: --before {page[-1].id}")


def _show_list(page: Sequence[Execution]) -> None:
    from stepwell.cli.shown import length, status_cell

    now = datetime.now(UTC)
    rows: list[list[str | Cell]] = [
        [
            str(one.id),
            status_cell(one.status),
            one.workflow,
            one.key or "-",
            length(now - one.created_at),
            one.why or "",
        ]
        for one in page
    ]
    show_table(["ID", "STATUS", "WORKFLOW", "KEY", "AGE", "WHY"], rows)


# --- show ---------------------------------------------------------------------------------------------------------


@command.command("show")
@click.argument("execution", type=click.UUID)
@click.option("--traceback", is_flag=True, help="Show where its error was raised.")
@output_options()
@database_options
def show(execution: UUID, target: Target, traceback: bool, as_json: bool) -> None:
    """Show one execution.

    Where it is and why, its steps, its input, its result or error.
    """

    async def read(app: App) -> tuple[Execution, Outline]:
        from stepwell.cli.outline import outline_of

        client = await app.open()
        found = await app.get(execution)
        return found, await outline_of(client.store, found.id)

    found, outline = target.ask(read)
    from stepwell.cli.execution_page import document, show_page

    if as_json:
        show_json(document(found, outline))
    else:
        show_page(found, outline, with_traceback=traceback)


# --- export -------------------------------------------------------------------------------------------------------


@command.command("export")
@click.argument("execution", type=click.UUID)
@output_options("It is one JSON document anyway.")
@database_options
def export(execution: UUID, target: Target, as_json: bool) -> None:  # noqa: ARG001
    """Print an execution's history as JSON.

    All that is stored of it. Tests replay it against later versions of its workflow.
    """

    async def read(app: App) -> str:
        from stepwell.runtime.history import history_of, history_to_json

        client = await app.open()
        found = await app.get(execution)
        return history_to_json(history_of(found, await app.steps(execution), as_of=client.store.now()))

    show_json_text(target.ask(read))


# --- cancel, retry ------------------------------------------------------------------------------------------------


@command.command("cancel")
@click.argument("executions", type=click.UUID, nargs=-1, required=True)
@click.option("--reason", default="cancelled", show_default=True, help="Why, for whoever asks later.")
@output_options()
@database_options
def cancel(executions: Sequence[UUID], target: Target, reason: str, as_json: bool) -> None:
    """Cancel executions.

    One that has not begun is cancelled at once; one that has begun is ended by a worker, and will end as cancelled.
    """
    _change(target, executions, lambda app, one: app.cancel(one, reason=reason), as_json=as_json)


@command.command("retry")
@click.argument("executions", type=click.UUID, nargs=-1, required=True)
@output_options()
@database_options
def retry(executions: Sequence[UUID], target: Target, as_json: bool) -> None:
    """Continue executions that failed or were cancelled.

    Completed steps are kept, failed ones run again. One that is parked or waits before a retry goes on now.
    """
    _change(target, executions, lambda app, one: app.retry(one), as_json=as_json)


def _change(
    target: Target,
    executions: Sequence[UUID],
    change: Callable[[App, UUID], Awaitable[Status]],
    *,
    as_json: bool,
) -> None:
    """Tell of each what became of it, also when the database goes away in the middle. One refusal makes it exit 1."""
    answers: list[dict[str, Any]] = []

    async def change_all(app: App) -> None:
        for one in executions:
            answers.append(await _answer(change(app, one), one))
            if not as_json:
                _show_answer(answers[-1])

    try:
        target.ask(change_all)
    finally:
        if as_json:
            show_json({"executions": answers})
    if any("error" in answer for answer in answers):
        click.get_current_context().exit(FAILED)


async def _answer(change: Awaitable[Status], execution: UUID) -> dict[str, Any]:
    try:
        return {"id": execution, "status": await change}
    except (NotAllowed, UnknownExecution) as error:
        return {"id": execution, "error": str(error)}


def _show_answer(answer: dict[str, Any]) -> None:
    if "error" in answer:
        note(answer["error"])
    elif answer["status"] is Status.RUNNING:
        click.echo(f"{answer['id']}  running; its worker is told, it will end as cancelled")
    else:
        click.echo(f"{answer['id']}  {answer['status']}")
