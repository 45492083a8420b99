"""`stepwell executions tail`: what happens, a line for each thing, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never
from uuid import UUID

import click

from stepwell.cli.filters import FACTS, fact_options
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import clean, note, show_json_line
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app import follow
    from stepwell.app.application import App
    from stepwell.app.filters import FilterOptions
    from stepwell.cli import watching
    from stepwell.core.model import Execution

    News = follow.News | watching.Changed | watching.SteppedIn | watching.ItemsIn


@click.command("tail")
@click.argument("execution", type=click.UUID, required=False)
@fact_options
@output_options("Print one JSON line for each thing that happens.")
@database_options
def tail(execution: UUID | None, target: Target, as_json: bool, **which: Any) -> None:
    """Show what happens from now on: every change of a status, every outcome of a step.

    Of all executions, of those that the options mean, or of one EXECUTION, from its beginning to its end. Ctrl-C ends
    it; the executions go on.
    """
    given: Any = {fact: which[fact] for fact in FACTS if which[fact]}
    if execution is not None and given:
        raise InvalidOption("name one execution, or give options that say which, not both")
    try:
        target.ask(lambda app: _tail(app, execution, given, as_json=as_json))
    except KeyboardInterrupt:
        return


async def _tail(app: App, execution: UUID | None, given: FilterOptions, *, as_json: bool) -> None:
    show = _show_json if as_json else _show_line
    client = await app.open()
    if execution is not None:
        from stepwell.app.follow import follow

        found = await app.get(execution)
        async for news in follow(client, found.id):
            show(found, news)
        return
    from stepwell.app.filters import filter_of
    from stepwell.app.follow import Waits
    from stepwell.cli.watching import Began, watch

    async for one in watch(client, filter_of(given)):
        match one:
            case Began(executions):
                note(f"{executions:,} under way; Ctrl-C ends the watching")
            case Waits(why):
                note(why)
            case _:
                show(one.execution, one)


def _show_json(execution: Execution, news: News) -> None:
    event = _event(news)
    show_json_line({"event": event.pop("event"), "id": execution.id, "workflow": execution.workflow, **event})


def _event(news: News) -> dict[str, Any]:
    from stepwell.app.follow import Counted, Ended, Stepped, Waits
    from stepwell.cli.news import event_of
    from stepwell.cli.watching import Changed, ItemsIn, SteppedIn

    match news:
        case Changed(execution) | Ended(execution):
            return {"event": "status", "status": execution.status, "why": execution.why}
        case SteppedIn(_, record):
            return event_of(Stepped(record))
        case ItemsIn(_, map_key, items):
            return event_of(Counted(map_key, items))
        case Stepped() | Counted() | Waits():
            return event_of(news)
    assert_never(news)


def _show_line(execution: Execution, news: News) -> None:
    click.echo(clean(f"{execution.id}  {execution.workflow}  {_line(news)}"))


def _line(news: News) -> str:
    from stepwell.app.follow import Counted, Ended, Stepped, Waits
    from stepwell.cli.shown import outcome, standing
    from stepwell.cli.watching import Changed, ItemsIn, SteppedIn

    match news:
        case Changed(execution) | Ended(execution):
            return standing(execution.status, execution.why)
        case SteppedIn(_, record) | Stepped(record):
            return "  ".join(outcome(record))
        case ItemsIn(_, map_key, items) | Counted(map_key, items):
            return f"items  {map_key}  {items:,} stored"
        case Waits(why):
            return f"waits  {why}"
    assert_never(news)
