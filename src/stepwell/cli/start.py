"""`stepwell start`: start an execution of a workflow, and watch it if asked to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from stepwell.cli.options import Target, database_options, output_options, to_duration, to_end
from stepwell.cli.output import note, show_json
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.app.handle import Handle


@click.command("start")
@click.argument("workflow")
@click.option("--input", "given", metavar="JSON", help='Its input: {"parameter": value, ...}; - reads standard input.')
@click.option("--key", help="Idempotency key: the same key is the same execution.")
@click.option("--tag", "tags", multiple=True, help="A label to find it by; can be repeated.")
@click.option(
    "--delay", metavar="TIME", callback=to_duration, help="Begin no earlier than after this time, such as 10m."
)
@click.option(
    "--deadline", metavar="TIME", callback=to_end, help="It does not begin after this, and stops then: 4h, or a time."
)
@click.option("--flows", help="File or module that has the workflow: its input is then checked before it is stored.")
@click.option("--watch", is_flag=True, help="Show its steps as they are stored, then its result.")
@output_options("Print one JSON document; with --watch one JSON line for each thing that happens.")
@database_options
def command(
    workflow: str,
    given: str | None,
    key: str | None,
    tags: Sequence[str],
    delay: timedelta | None,
    deadline: datetime | timedelta | None,
    flows: str | None,
    target: Target,
    watch: bool,
    as_json: bool,
) -> None:
    """Start an execution of a workflow.

    Prints its id as soon as the start is durable; a worker that has the workflow runs it. Without --flows any name is
    accepted, and the worker checks the input.

    With --watch the exit code is 1 when the execution fails or is cancelled. Ctrl-C ends the watching only.
    """
    app = target.open_flows(flows) if flows is not None else target.bare_app()
    options = {"key": key, "tags": tags, "delay": delay, "deadline": deadline}
    started: list[Handle[Any]] = []
    try:
        asyncio.run(_start(app, workflow, _input_text(given), options, started, watch=watch, as_json=as_json))
    except KeyboardInterrupt:
        if started:
            note(f"it goes on; see it again with: stepwell executions show {started[0].id}")
        raise


def _input_text(given: str | None) -> bytes | None:
    if given != "-":
        return given.encode("utf-8", "surrogateescape") if given is not None else None
    if sys.stdin.isatty():
        note("reading the input from the terminal; Ctrl-D ends it")
    if not (text := sys.stdin.buffer.read()).strip():
        raise InvalidOption("standard input holds no JSON; leave --input out when the workflow takes nothing")
    return text


async def _start(
    app: App,
    workflow: str,
    text: bytes | None,
    options: dict[str, Any],
    started: list[Handle[Any]],
    *,
    watch: bool,
    as_json: bool,
) -> None:
    async with app:
        handle = await app.start_json(workflow, text, **options)
        started.append(handle)
        if watch:
            await _watch(app, handle, as_json=as_json)
        else:
            await _show_started(app, workflow, handle, as_json=as_json)


async def _show_started(app: App, workflow: str, handle: Handle[Any], *, as_json: bool) -> None:
    """The id at once: it is accepted, whatever becomes of the look at it."""
    from stepwell.cli.shown import standing

    if as_json:
        show_json({"id": handle.id, "workflow": workflow, "is_new": handle.is_new})
        return
    click.echo(str(handle.id))
    execution = await app.get(handle.id)
    if not handle.is_new:
        note(f"this key had an execution already, nothing new was started; it is {execution.status}")
    elif execution.why is not None and not execution.status.is_final:
        note(standing(execution.status, execution.why))


async def _watch(app: App, handle: Handle[Any], *, as_json: bool) -> None:
    from stepwell.app.follow import Ended, follow
    from stepwell.app.handle import result_of
    from stepwell.cli.news import JsonNews, TextNews
    from stepwell.codec import codec_for

    with JsonNews() if as_json else TextNews() as show:
        show.started(handle.id, is_new=handle.is_new)
        async for news in follow(await app.open(), handle.id):
            show(news)
            if isinstance(news, Ended):
                result_of(news.execution, codec_for(Any))  # raises when there is none
