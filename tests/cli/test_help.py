"""The command line as a whole: quick, the same everywhere, honest about its commands."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import click
import pytest

from stepwell.cli.main import HELP, commands
from tests.cli.conftest import run

ENGINE = {"msgspec", "psycopg", "rich", "stepwell.app.application", "stepwell.store.postgres", "uvloop", "watchfiles"}


def leaves(group: click.Group = commands, path: tuple[str, ...] = ()) -> list[tuple[str, click.Command]]:
    """Every command that does something, with its full name."""
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += (
            leaves(command, (*path, name)) if isinstance(command, click.Group) else [(" ".join((*path, name)), command)]
        )
    return found


LEAVES = leaves()
by_name = pytest.mark.parametrize("command", [command for _, command in LEAVES], ids=[name for name, _ in LEAVES])


def imported_by(*arguments: str) -> set[str]:
    """The modules that a call of the command line imports."""
    script = (
        "import sys\nfrom stepwell.cli.main import commands\n"
        f"try: commands({arguments!r})\nexcept SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_first_help_imports_neither_the_engine_nor_a_command_nor_anything_else_that_is_slow() -> None:
    modules = imported_by("--help")

    assert modules & (ENGINE | {"asyncio", "logging", "importlib.metadata"}) == set()
    assert {f"stepwell.cli.{name}" for name in HELP} & modules == set()


@pytest.mark.parametrize("name", HELP)
def test_help_of_a_command_does_not_import_the_engine(name: str) -> None:
    assert imported_by(name, "--help") & ENGINE == set()


@pytest.mark.parametrize("name", HELP)
def test_the_list_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    command = commands.get_command(click.Context(commands), name)

    assert command is not None
    assert command.get_short_help_str(limit=200) == HELP[name]


@by_name
def test_every_command_has_json_and_debug(command: click.Command) -> None:
    options = {name for parameter in command.params for name in parameter.opts}

    assert {"--json", "--debug"} <= options


@by_name
def test_every_command_but_init_and_keys_new_takes_a_database_and_a_schema(command: click.Command) -> None:
    options = {name for parameter in command.params for name in parameter.opts}

    assert command.name in ("init", "new") or {"--database", "--schema"} <= options


@by_name
def test_every_command_and_option_explains_itself(command: click.Command) -> None:
    assert command.help
    assert [
        parameter.name for parameter in command.params if isinstance(parameter, click.Option) and not parameter.help
    ] == []


def test_python_m_stepwell_is_stepwell() -> None:
    done = subprocess.run([sys.executable, "-m", "stepwell", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"stepwell {version('stepwell')}\n"


def test_an_unknown_command_is_wrong_usage() -> None:
    answer = run("excutions")

    assert answer.exit_code == 2
    assert "No such command 'excutions'" in answer.stderr
