"""`stepwell migrate`: bring the database's schema to this version."""

from __future__ import annotations

import click

from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import note, show_json


@click.command("migrate")
@click.option("--print", "only_print", is_flag=True, help="Print the SQL for an empty database; touch nothing.")
@output_options()
@database_options
def command(target: Target, only_print: bool, as_json: bool) -> None:
    """Bring the database's schema to this version.

    Safe to run at any time and by many at once; what is applied already is left alone. Workers do the same when they
    start, unless STEPWELL_MIGRATE=0: then their role needs no right to change the schema.
    """
    from stepwell.store.migrate import migrate, script

    schema = target.schema_name
    if only_print:
        text = script(schema=schema)
        show_json({"schema": schema, "sql": text}) if as_json else click.echo(text, nl=False)
        return
    with target.running() as url:
        applied = migrate(url, schema=schema)
    if as_json:
        show_json({"schema": schema, "applied": applied})
        return
    for name in applied:
        click.echo(name)
    note(f"schema {schema} is at this version" + ("" if applied else " already; nothing was to be done"))
