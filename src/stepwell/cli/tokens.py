"""`stepwell tokens`: who may use the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from stepwell.cli.options import Target, database_options, output_options, to_duration
from stepwell.cli.output import Cell, note, show_json, show_one, show_table
from stepwell.core.tokens import Scope, Token

if TYPE_CHECKING:
    from stepwell.server import documents


@click.group("tokens")
def command() -> None:
    """Create, list and revoke tokens of the HTTP API."""


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    required=True,
    help="read: look; operate: also start and change executions; admin: also tokens and credentials.",
)
@click.option(
    "--expires", metavar="TIME", callback=to_duration, help="Good for this long, such as 90d. [default: ever]"
)
@click.option("--by", metavar="NAME", help="Who creates it. [default: you, on this host]")
@output_options()
@database_options
def create(name: str, target: Target, scope: str, expires: timedelta | None, by: str | None, as_json: bool) -> None:
    """Create a token.

    Prints its text, this once: only a digest is stored. NAME is who has done what, in the audit. From the first token
    on the API serves nobody without.
    """
    issued = target.ask(lambda app: app.create_token(name, scope, expires=expires, by=by))
    if as_json:
        from stepwell.server import documents

        show_json(documents.issued(issued))
    else:
        click.echo(issued.secret.reveal())
        note("keep it now: it is shown this once; send it as Authorization: Bearer ...")


@command.command("list")
@output_options()
@database_options
def list_(target: Target, as_json: bool) -> None:
    """List tokens, also those that have expired or were revoked."""
    found = target.ask(lambda app: app.tokens())
    if as_json:
        show_json({"tokens": [_document(one) for one in found]})
    elif found:
        show_table(["TOKEN", "SCOPE", "STATE", "CREATED", "LAST USED", "EXPIRES"], [_row(one) for one in found])
    else:
        note("there are no tokens: the API serves this machine only, without")


@command.command("revoke")
@click.argument("name")
@click.option("--by", metavar="NAME", help="Who revokes it. [default: you, on this host]")
@output_options()
@database_options
def revoke(name: str, target: Target, by: str | None, as_json: bool) -> None:
    """Refuse a token from now on."""
    revoked = target.ask(lambda app: app.revoke_token(name, by=by))
    show_one(f"{revoked.name}  revoked", _document(revoked), as_json=as_json)


def _document(one: Token) -> documents.Token:
    from stepwell.server import documents

    return documents.token(one)


def _row(one: Token) -> list[str | Cell]:
    from stepwell.cli.shown import moment

    times = [moment(one.created_at), moment(one.last_used_at) or "-", moment(one.expires_at) or "never"]
    return [one.name, one.scope, _state(one), *times]


def _state(one: Token) -> Cell:
    if one.revoked_at is not None:
        return Cell(f"revoked by {one.revoked_by}", "dim")
    if one.expires_at is not None and one.expires_at <= datetime.now(UTC):
        return Cell("expired", "yellow")
    return Cell("good", "green")
