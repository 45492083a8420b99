"""`stepwell executions cancel|retry|pause|resume|fork|resolve`: one, several, or all that a filter means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from stepwell.cli.changes import Change, Which, by_option, carry_out, change_options
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import show_one
from stepwell.core.status import Status
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App


@click.command("cancel")
@click.option("--reason", default="cancelled", show_default=True, help="Why, for whoever asks later.")
@click.option("--force", is_flag=True, help="End them at once, whatever they do, without clean-up.")
@change_options
def cancel(which: Which, by: str | None, reason: str, force: bool) -> None:
    """Cancel executions.

    One that has not begun is cancelled at once; one that has begun may clean up, and will end as cancelled.
    """
    options: dict[str, Any] = {"reason": reason, "force": force, "by": by}
    change = Change(
        "cancel",
        one=lambda app, id: app.cancel(id, **options),
        many=lambda app, dry_run: app.cancel_many(**options, dry_run=dry_run, **which.filter),
        answer="status",
        told=_told_of_cancel,
    )
    carry_out(change, which)


def _told_of_cancel(status: Status) -> str:
    if status is Status.CANCELLED:
        return str(status)
    who = "its worker is told, it" if status is Status.RUNNING else "it may clean up, and"
    return f"{status}; {who} will end as cancelled"


@click.command("retry")
@change_options
def retry(which: Which, by: str | None) -> None:
    """Continue executions that failed or were cancelled.

    Completed steps are kept, failed ones run again. One that is parked or waits before a retry goes on now.
    """
    change = Change(
        "retry",
        one=lambda app, id: app.retry(id, by=by),
        many=lambda app, dry_run: app.retry_many(by=by, dry_run=dry_run, **which.filter),
        answer="status",
        told=str,
    )
    carry_out(change, which)


@click.command("pause")
@click.option("--reason", help="Why, for whoever asks later.")
@change_options
def pause(which: Which, by: str | None, reason: str | None) -> None:
    """Let executions go no further until they are resumed.

    One that runs is handed back at its next durable call. Time-outs and deadlines go on.
    """
    change = Change(
        "pause",
        one=lambda app, id: app.pause(id, reason=reason, by=by),
        many=lambda app, dry_run: app.pause_many(reason=reason, by=by, dry_run=dry_run, **which.filter),
        answer="status",
        told=lambda status: "running; it goes on to its next durable call" if status is Status.RUNNING else "paused",
    )
    carry_out(change, which)


@click.command("resume")
@click.option("--reason", help="Why, for whoever asks later.")
@change_options
def resume(which: Which, by: str | None, reason: str | None) -> None:
    """Let paused executions go on.

    What fell due or came meanwhile is due now.
    """
    change = Change(
        "resume",
        one=lambda app, id: app.resume(id, reason=reason, by=by),
        many=lambda app, dry_run: app.resume_many(reason=reason, by=by, dry_run=dry_run, **which.filter),
        answer="status",
        told=str,
    )
    carry_out(change, which)


@click.command("fork")
@click.option("--from-step", metavar="STEP", help="Keep only what was stored before this step.")
@click.option("--edit", "edits", multiple=True, metavar="STEP=JSON", help="Another result for a stored step.")
@click.option("--input", "given", metavar="JSON", help="Another input; then it begins without history.")
@change_options
def fork(which: Which, by: str | None, from_step: str | None, edits: Sequence[str], given: str | None) -> None:
    """Begin new executions with what others had stored.

    The old ones are untouched, whatever their status.
    """
    if not which.executions and (edits or given is not None):
        raise InvalidOption("--edit and --input are for executions that you name")
    options: dict[str, Any] = {"from_step": from_step, "edit": dict(map(_edit, edits)), "by": by}
    if given is not None:
        options["input"] = _json("--input", given)

    async def one(app: App, id: UUID) -> UUID:
        return (await app.fork(id, **options)).id

    change = Change(
        "fork",
        one=one,
        many=lambda app, dry_run: app.fork_many(from_step=from_step, by=by, dry_run=dry_run, **which.filter),
        answer="fork",
        told=lambda made: f"forked as {made}",
    )
    carry_out(change, which)


def _edit(text: str) -> tuple[str, Any]:
    step, equals, value = text.partition("=")
    if not (step and equals):
        raise InvalidOption(f"--edit {text!r:.100}: write it like fetch=42")
    return step, _json(f"--edit {step}", value)


def _json(option: str, text: str) -> Any:
    from stepwell.codec import codec_for
    from stepwell.errors import InvalidValue

    try:
        return codec_for(Any).decode_text(text.encode("utf-8", "surrogateescape"))
    except InvalidValue as error:
        raise InvalidOption(f"{option}: {error.reason}") from error


@click.command("resolve")
@click.argument("execution", type=click.UUID)
@click.argument("step")
@click.option("--value", metavar="JSON", help="It happened, and this is what it made.")
@click.option("--repeat", is_flag=True, help="It did not happen: do it again.")
@by_option
@output_options()
@database_options
def resolve(
    execution: UUID, step: str, target: Target, value: str | None, repeat: bool, by: str | None, as_json: bool
) -> None:
    """Say what became of an effect whose outcome is unknown.

    STEP is its name as `show` has it. The execution goes on.
    """
    if (value is None) is not repeat:
        raise InvalidOption("give either --value, with what the effect made, or --repeat")
    options: dict[str, Any] = {"repeat": repeat, "by": by}
    if value is not None:
        options["value"] = _json("--value", value)
    status = target.ask(lambda app: app.resolve(execution, step, **options))
    show_one(f"{execution}  {status}", {"id": execution, "step": step, "status": status}, as_json=as_json)


COMMANDS = (cancel, retry, pause, resume, fork, resolve)
