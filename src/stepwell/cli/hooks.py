"""`stepwell hooks`: what webhooks start, what has come in, and a way to send one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from stepwell.cli.given import setting_option
from stepwell.cli.options import Target, database_options, limit_option, output_options
from stepwell.cli.output import Cell, Row, note, show_fields, show_json, show_table, show_text

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.core.webhooks import Delivery, HookSpec

DEFAULT_SERVER = "http://127.0.0.1:8300"


@click.group("hooks")
def command() -> None:
    """Look at webhooks that came in, start something from one again, send one."""


@command.command("list")
@click.option("--source", help="Only deliveries of this source.")
@click.option("--connection", metavar="NAME", help="Only those of this connection.")
@click.option("--type", "type_", metavar="TYPE", help="Only those of this type.")
@click.option("--reconciled", is_flag=True, help="Only those that were found by asking the vendor.")
@click.option("--before", type=click.UUID, metavar="DELIVERY", help="The page after the one that ended with this.")
@limit_option()
@output_options()
@database_options
def list_(
    target: Target,
    source: str | None,
    connection: str | None,
    type_: str | None,
    reconciled: bool,
    before: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the triggers that are in force, and the deliveries that came in, newest first."""

    async def read(app: App) -> tuple[Sequence[HookSpec], Sequence[Delivery]]:
        which = {"source": source, "connection": connection, "type": type_, "is_reconciled": reconciled or None}
        return await app.hooks(), await app.deliveries(**which, before=before, limit=limit)  # type: ignore[arg-type]

    hooks, deliveries = target.ask(read)
    if as_json:
        from stepwell.server import documents

        shown = {"hooks": list(map(documents.hook, hooks)), "deliveries": list(map(documents.delivery, deliveries))}
        show_json(shown)
        return
    if hooks:
        show_table(["HOOK", "WORKFLOW", "SOURCE", "TYPES", "CONNECTION"], [_hook_row(one) for one in hooks])
    else:
        note("no trigger by webhooks is in force; a worker's start declares those of its code")
    if deliveries:
        click.echo()
        columns = ["DELIVERY", "RECEIVED", "SOURCE", "TYPE", "CONNECTION", "DUPLICATES", "EXECUTIONS"]
        show_table(columns, [_row(one) for one in deliveries])
    else:
        note("no such delivery has come in")


@command.command("show")
@click.argument("delivery", type=click.UUID)
@output_options()
@database_options
def show(delivery: UUID, target: Target, as_json: bool) -> None:
    """Show a delivery: its headers that are no secrets, and its body."""
    one = target.ask(lambda app: app.delivery(delivery))
    if as_json:
        show_json(_document(one))
        return
    show_fields([field for field in _fields(one) if field[1]])
    click.echo()
    show_fields([(name, value) for name, value in sorted(one.headers.items())])
    click.echo()
    show_text(_shown_body(one.body))


@command.command("replay")
@click.argument("delivery", type=click.UUID)
@output_options()
@database_options
def replay(delivery: UUID, target: Target, as_json: bool) -> None:
    """Start new executions from a delivery.

    The triggers that are in force now decide which; their input is that of the delivery.
    """
    started = [made.id for made in target.ask(lambda app: app.replay(delivery))]
    if as_json:
        show_json({"delivery": delivery, "executions": started})
    else:
        for one in started:
            click.echo(one)


@command.command("send")
@click.argument("source")
@click.argument("type", required=False)
@click.option("--to", "server", metavar="URL", default=DEFAULT_SERVER, show_default=True, help="The server.")
@click.option("--connection", metavar="NAME", help="Send it to this connection's address.")
@click.option("--secret-from", metavar="SOURCE", help="Sign with env:VARIABLE, file:PATH or - (standard input).")
@click.option(
    "--body", type=click.File("rb"), metavar="FILE", help="Send this instead of a sample; - is standard input."
)
@click.option("--tenant", metavar="TEXT", help="The account that it says it is from.")
@click.option("--id", "identity", type=click.UUID, metavar="UUID", help="The same one makes the same sample again.")
@setting_option
@click.option("--duplicate", type=click.IntRange(0, 1_000), default=0, metavar="N", help="Send it so often again.")
@click.option(
    "--retry-like-vendor", is_flag=True, help="Send again, after the vendor's delays, what is not answered well."
)
@click.option(
    "--faster", type=click.FloatRange(1), default=1.0, metavar="TIMES", help="Divide these delays by so much."
)
@output_options()
@database_options
def send(type: str | None, target: Target, as_json: bool, **given: Any) -> None:
    """Sign a delivery as a vendor does, and send it to a local server.

    SOURCE is such as github or shopify; without a TYPE those of which there is a sample are listed. It is signed with
    the secret of the connection in the database (of the only one of the source, unless --connection names it), or with
    that of --secret-from. The exit code is 1 when the last answer is no 2xx.
    """
    from stepwell.cli.sending import Sending

    if type is None and given["body"] is None:
        _list_samples(given["source"], as_json=as_json)
        return
    answers = Sending(type=type, target=target, **given).send()
    if as_json:
        show_json({"answers": [one.document for one in answers]})
    else:
        show_table(["TRY", "STATUS", "MS", "ANSWER"], [one.row(number) for number, one in enumerate(answers, 1)])
    if not answers[-1].is_good:
        click.get_current_context().exit(1)


def _list_samples(source: str, *, as_json: bool) -> None:
    from stepwell.sources.samples import sample_types

    types = sample_types(source)
    if as_json:
        show_json({"source": source, "types": types})
    else:
        for one in types:
            click.echo(one)


def _hook_row(one: HookSpec) -> Row:
    return [one.id, one.workflow, one.source, ", ".join(one.types), one.connection or "any"]


def _document(one: Delivery) -> dict[str, Any]:
    """All of a delivery."""
    from msgspec.structs import asdict

    from stepwell.server import documents

    return asdict(documents.delivery(one)) | {"headers": one.headers} | _body_document(one.body)


def _row(one: Delivery) -> list[str | Cell]:
    from stepwell.cli.shown import moment

    found = Cell("reconciled", "yellow") if one.is_reconciled else Cell(str(one.duplicates), "")
    started = str(one.executions[0]) if len(one.executions) == 1 else f"{len(one.executions):,}"
    return [str(one.id), moment(one.received_at), one.source, one.type, one.connection or "-", found, started]


def _fields(one: Delivery) -> list[tuple[str, str]]:
    from stepwell.cli.shown import moment

    return [
        ("delivery", str(one.id)),
        ("received", moment(one.received_at)),
        ("source", one.source),
        ("connection", one.connection or ""),
        ("type", one.type),
        ("subject", one.subject or ""),
        ("dedupe key", one.dedupe_key),
        ("duplicates", str(one.duplicates)),
        ("reconciled", "yes" if one.is_reconciled else ""),
        ("executions", " ".join(map(str, one.executions))),
    ]


def _body_document(body: bytes) -> dict[str, str]:
    """The body as text; in base64 if it is none."""
    from base64 import b64encode

    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(body).decode()}


def _shown_body(body: bytes) -> str:
    """JSON with its lines, digits as they are; other text as it is; else how many bytes there are."""
    import msgspec

    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _body_document(body).get("body", f"{len(body):,} bytes that are no text; --json shows them in base64")
