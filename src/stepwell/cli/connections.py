"""`stepwell connections`: credentials of accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from stepwell.cli.exits import FAILED
from stepwell.cli.given import (
    ask,
    hook_secret_option,
    read_one,
    secret_options,
    secrets_of,
    setting_option,
    settings_of,
)
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import Cell, Row, note, show_fields, show_json, show_one, show_table
from stepwell.core.vault import ConnectionStatus
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.connectors.base import Setting
    from stepwell.core.accounts import ConnectionInfo
    from stepwell.server import documents

STYLES = {ConnectionStatus.OK: "green", ConnectionStatus.NEEDS_REAUTH: "bold red", ConnectionStatus.DISABLED: "dim"}


@click.group("connections")
def command() -> None:
    """Keep credentials of accounts: add, list, test, rotate, connect again."""


@command.command("add")
@click.argument("name")
@click.argument("connector")
@click.option("--application", metavar="NAME", help="The application it belongs to.")
@setting_option
@secret_options
@hook_secret_option
@output_options()
@database_options
def add(
    name: str,
    connector: str,
    target: Target,
    application: str | None,
    settings: Sequence[str],
    asked: Sequence[str],
    sources: Sequence[str],
    hook_secret_from: str | None,
    as_json: bool,
) -> None:
    """Store the credentials of an account.

    Without any secret or application the connector's own are asked for; with --hook-secret-from alone it is one that
    only takes webhooks. Secrets are never given as arguments, which others can see.
    """
    given = settings_of(settings)
    _refuse_open_secrets(connector, given)
    wanted = asked or ([] if sources or application or hook_secret_from else _secrets_of(connector))
    secrets = secrets_of(wanted, sources)
    hook_secrets = [read_one(hook_secret_from)] if hook_secret_from else []
    added = target.ask(
        lambda app: app.connections.add(
            name, connector, settings=given, secrets=secrets, application=application, hook_secrets=hook_secrets
        )
    )
    _show_change(added, as_json=as_json)
    if added.status is ConnectionStatus.NEEDS_REAUTH and not as_json:
        note(f"`stepwell connections connect {name}` asks for consent")
    elif not secrets and not application and (choice := _secrets_of(connector, is_required=False)):
        note(f"it has no secret yet; {connector} takes {', '.join(choice)}")
    elif secrets and not application:
        for setting in _settings(connector):
            if setting.is_required and not setting.is_secret and setting.name not in given:
                note(f"it has no {setting.name} yet ({setting.meaning}); {setting.way_to_set(name)}")


def _secrets_of(connector: str, *, is_required: bool = True) -> list[str]:
    """The secrets that a connector takes, if it is known here; or only those without which it does nothing."""
    return [one.name for one in _settings(connector) if one.is_secret and one.is_required >= is_required]


def _settings(connector: str) -> Sequence[Setting]:
    from stepwell.app.accounts import connector_class

    kind = connector_class(connector)
    return kind.settings if kind else ()


def _refuse_open_secrets(connector: str, settings: Mapping[str, object]) -> None:
    for name in _secrets_of(connector, is_required=False):
        if name in settings:
            raise InvalidOption(f"{name} is a secret of {connector}; use --secret {name}, which does not show it")


@command.command("list")
@output_options()
@database_options
def list_(target: Target, as_json: bool) -> None:
    """List connections: whether each can be used, and why not."""
    found = target.ask(lambda app: app.connections.list())
    if as_json:
        show_json({"connections": [_document(one) for one in found]})
    elif found:
        show_table(["CONNECTION", "CONNECTOR", "STATUS", "TOKEN UNTIL", "CHECKED", "WHY"], [_row(one) for one in found])
    else:
        note("there are no connections; `stepwell connections add NAME CONNECTOR` makes one")


@command.command("show")
@click.argument("name")
@output_options()
@database_options
def show(name: str, target: Target, as_json: bool) -> None:
    """Show one connection, without its secrets."""
    one = target.ask(lambda app: app.connections.get(name))
    if as_json:
        show_json(_document(one))
    else:
        show_fields(_facts(one))


@command.command("test")
@click.argument("name")
@output_options()
@database_options
def test(name: str, target: Target, as_json: bool) -> None:
    """Try the credentials, and remember what that has met.

    The exit code is 1 when they do not work.
    """
    tested = target.ask(lambda app: app.connections.test(name))
    verdict = "works" if tested.check_error is None else "does not work"
    show_one(f"{tested.name}  {verdict}", _document(tested), as_json=as_json)
    if tested.check_error is not None:
        if not as_json:
            note(tested.check_error)
        click.get_current_context().exit(FAILED)


@command.command("change")
@click.argument("name")
@setting_option
@click.option("--unset", "removed", multiple=True, metavar="NAME", help="Remove a setting; can be repeated.")
@output_options()
@database_options
def change(name: str, target: Target, settings: Sequence[str], removed: Sequence[str], as_json: bool) -> None:
    """Set settings of a connection; the others stay."""
    given = {**settings_of(settings), **dict.fromkeys(removed)}

    async def change(app: App) -> ConnectionInfo:
        _refuse_open_secrets((await app.connections.get(name)).connector, given)
        return await app.connections.change(name, given)

    _show_change(target.ask(change), as_json=as_json)


@command.command("rotate")
@click.argument("name")
@secret_options
@hook_secret_option
@click.option("--keep", type=click.IntRange(0), default=1, show_default=True, help="Older ones that still verify.")
@output_options()
@database_options
def rotate(
    name: str,
    target: Target,
    asked: Sequence[str],
    sources: Sequence[str],
    hook_secret_from: str | None,
    keep: int,
    as_json: bool,
) -> None:
    """Give a connection new secrets; what waits for it goes on.

    Without options it asks for the connector's own. A webhook's secret is set beside the `keep` ones before it.
    """

    async def change(app: App) -> ConnectionInfo:
        hook_secret = read_one(hook_secret_from) if hook_secret_from else None
        wanted = asked or ([] if sources or hook_secret else _secrets_of((await app.connections.get(name)).connector))
        if secrets := secrets_of(wanted, sources):
            changed = await app.connections.rotate(name, secrets)
        if hook_secret is not None or not secrets:
            changed = await app.connections.rotate_hook_secret(name, hook_secret or ask("hook secret"), keep=keep)
        return changed

    _show_change(target.ask(change), as_json=as_json)


@command.command("connect")
@click.argument("name")
@click.option("--redirect", "redirect_uri", metavar="URL", help="Where the vendor sends the browser back to.")
@click.option("--no-wait", is_flag=True, help="Only print where to agree: a server of yours completes it.")
@output_options()
@database_options
def connect(name: str, target: Target, redirect_uri: str | None, no_wait: bool, as_json: bool) -> None:
    """Connect an account, or connect it again: a person agrees in a browser.

    A redirect to this machine is waited for here; else the address to which the browser was sent is asked for.
    """
    from stepwell.cli import consent

    async def change(app: App) -> ConnectionInfo | None:
        asked = await consent.begin(app, name, redirect_uri=redirect_uri)
        if no_wait:
            show_one(asked.url, {"url": asked.url}, as_json=as_json)
            return None
        async with consent.returning(name, asked) as query:
            note(f"open this address, and agree: {asked.url}")
            return await app.connections.complete(await query())

    if (connected := target.ask(change)) is not None:
        _show_change(connected, as_json=as_json)


@command.command("enable")
@click.argument("name")
@output_options()
@database_options
def enable(name: str, target: Target, as_json: bool) -> None:
    """Let a connection be used, or tried, again; what waits for it goes on."""
    _show_change(target.ask(lambda app: app.connections.enable(name)), as_json=as_json)


@command.command("disable")
@click.argument("name")
@output_options()
@database_options
def disable(name: str, target: Target, as_json: bool) -> None:
    """Let nothing use a connection: steps that need it park, its webhooks are refused."""
    _show_change(target.ask(lambda app: app.connections.disable(name)), as_json=as_json)


@command.command("remove")
@click.argument("name")
@output_options()
@database_options
def remove(name: str, target: Target, as_json: bool) -> None:
    """Forget a connection, with its credentials."""
    target.ask(lambda app: app.connections.remove(name))
    show_one(f"{name}  removed", {"name": name, "removed": True}, as_json=as_json)


def _show_change(one: ConnectionInfo, *, as_json: bool) -> None:
    show_one(f"{one.name}  {one.status}", _document(one), as_json=as_json)


def _document(one: ConnectionInfo) -> documents.Connection:
    from stepwell.server import documents

    return documents.connection(one)


def _row(one: ConnectionInfo) -> Row:
    from stepwell.cli.shown import moment

    why = one.error or (f"check: {one.check_error}" if one.check_error else "")
    times = [moment(one.expires_at) or "-", moment(one.checked_at) or "-"]
    return [one.name, one.connector, Cell(one.status, STYLES[one.status]), *times, why]


def _facts(one: ConnectionInfo) -> list[tuple[str, str]]:
    from stepwell.cli.shown import moment

    facts = [
        ("connection", one.name),
        ("connector", one.connector),
        ("application", one.application),
        ("status", one.status),
        ("error", one.error),
        *((f"setting {name}", value) for name, value in sorted(one.settings.items())),
        ("hook secrets", "yes" if one.has_hook_secrets else "no"),
        ("token until", moment(one.expires_at)),
        ("renewed", moment(one.refreshed_at)),
        ("checked", moment(one.checked_at)),
        ("check", one.check_error),
    ]
    return [(name, value) for name, value in facts if value]
