"""`stepwell applications`: what connections belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from stepwell.cli.given import secret_options, secrets_of, setting_option, settings_of
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import note, show_json, show_one, show_table
from stepwell.core.vault import ApplicationKind

if TYPE_CHECKING:
    from stepwell.core.accounts import ApplicationInfo
    from stepwell.server import documents


@click.group("applications")
def command() -> None:
    """Keep applications at vendors: OAuth 2 clients, and keys that connections share."""


@command.command("add")
@click.argument("name")
@click.argument("connector")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ApplicationKind]),
    default=ApplicationKind.AUTHORIZATION_CODE.value,
    show_default=True,
    help="oauth2-code: a person consents; oauth2-client: in its own name; github-app; shared: one key for all.",
)
@setting_option
@secret_options
@output_options()
@database_options
def add(
    name: str,
    connector: str,
    target: Target,
    kind: str,
    settings: Sequence[str],
    asked: Sequence[str],
    sources: Sequence[str],
    as_json: bool,
) -> None:
    """Store an application.

    OAuth 2 needs --set client_id=... and asks for client_secret, unless it is told where that comes from. A GitHub App
    needs --secret-from private_key=file:PATH.
    """
    given = settings_of(settings)
    is_to_be_asked = kind in (ApplicationKind.AUTHORIZATION_CODE, ApplicationKind.CLIENT_CREDENTIALS)
    secrets = secrets_of(asked or (["client_secret"] if is_to_be_asked and not sources else []), sources)
    added = target.ask(lambda app: app.applications.add(name, connector, kind=kind, settings=given, secrets=secrets))
    _show_change(added, as_json=as_json)


@command.command("change")
@click.argument("name")
@setting_option
@secret_options
@output_options()
@database_options
def change(
    name: str,
    target: Target,
    settings: Sequence[str],
    asked: Sequence[str],
    sources: Sequence[str],
    as_json: bool,
) -> None:
    """Set settings and secrets of an application; the others stay.

    A client secret that is replaced still verifies webhooks. Connections that were refused are tried again.
    """
    given, secrets = settings_of(settings), secrets_of(asked, sources)
    changed = target.ask(lambda app: app.applications.change(name, settings=given, secrets=secrets))
    _show_change(changed, as_json=as_json)


@command.command("list")
@output_options()
@database_options
def list_(target: Target, as_json: bool) -> None:
    """List applications, without their secrets."""
    found = target.ask(lambda app: app.applications.list())
    if as_json:
        show_json({"applications": [_document(one) for one in found]})
    elif found:
        show_table(["APPLICATION", "CONNECTOR", "KIND", "SETTINGS"], [_row(one) for one in found])
    else:
        note("there are no applications; `stepwell applications add NAME CONNECTOR` makes one")


@command.command("remove")
@click.argument("name")
@output_options()
@database_options
def remove(name: str, target: Target, as_json: bool) -> None:
    """Forget an application that no connection belongs to."""
    target.ask(lambda app: app.applications.remove(name))
    show_one(f"{name}  removed", {"name": name, "removed": True}, as_json=as_json)


def _show_change(one: ApplicationInfo, *, as_json: bool) -> None:
    show_one(f"{one.name}  {one.kind}", _document(one), as_json=as_json)


def _document(one: ApplicationInfo) -> documents.Application:
    from stepwell.server import documents

    return documents.application(one)


def _row(one: ApplicationInfo) -> list[str]:
    settings = " ".join(f"{name}={value}" for name, value in sorted(one.settings.items()))
    return [one.name, one.connector, one.kind, settings]
