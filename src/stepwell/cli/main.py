"""`stepwell`: the group of commands, each imported when it runs, and what becomes of an error."""

from __future__ import annotations

import errno
import traceback
from importlib import import_module
from typing import Any

import click

from stepwell.cli.exits import INTERRUPTED, ending_of
from stepwell.cli.output import clean

# What `stepwell --help` says of each command without importing it: the first sentence of its own help.
HELP = {
    "init": "Write a small project to begin with.",
    "dev": "Run a worker that starts again with the new code whenever a file is saved.",
    "worker": "Run executions until told to stop.",
    "serve": "Answer HTTP requests until told to stop.",
    "start": "Start an execution of a workflow.",
    "executions": "Look at executions; cancel, retry, pause, resume and fork them.",
    "events": "Send events, look at those that are kept and at who waits.",
    "callbacks": "Print the URLs that answer what an execution asks.",
    "schedules": "Look at schedules, pause and resume them, start one now.",
    "hooks": "Look at webhooks that came in, start something from one again, send one.",
    "connections": "Keep credentials of accounts: add, list, test, rotate, connect again.",
    "applications": "Keep applications at vendors: OAuth 2 clients, and keys that connections share.",
    "keys": "Make, list and rotate the keys that encrypt credentials.",
    "tokens": "Create, list and revoke tokens of the HTTP API.",
    "audit": "See who did what to which execution.",
    "migrate": "Bring the database's schema to this version.",
    "check": "Find code in workflows that would go wrong on a replay.",
    "doctor": "Check the installation, the database and the work in it.",
}

DEBUG = "stepwell.debug"  # in the context's meta, which is shared by all commands of one call


class Commands(click.Group):
    """The commands of HELP; the command `name` is `command` in the module `stepwell.cli.<name>`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(HELP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in HELP:
            return None
        command: click.Command = import_module(f"stepwell.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(HELP.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; any error ends as one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `stepwell ... | head`: click ends quietly
            if ctx.meta.get(DEBUG):
                click.echo("".join(traceback.format_exception(error)), err=True)
            ending = ending_of(error)
            click.echo(f"Error: {clean(ending.sentence)}", err=True)
            ctx.exit(ending.code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stepwell", message="stepwell %(version)s")
def commands() -> None:
    """Durable execution for Python on PostgreSQL: run workers, start workflows, see where they are.

    The database is --database, else STEPWELL_DATABASE_URL, else a PostgreSQL that starts by itself in .stepwell/ of the
    current folder.
    """


def main() -> None:
    """The `stepwell` command."""
    commands(prog_name="stepwell")
