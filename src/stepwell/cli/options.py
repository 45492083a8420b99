"""Options that several commands have, and the database they name."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stepwell.cli.main import DEBUG
from stepwell.core.duration import InvalidDuration, parse_duration
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

LARGEST_PAGE = 1_000  # of a listing: more are read page by page


@dataclass(frozen=True, slots=True)
class Target:
    """The database that the command line names; None: what the code or the environment says."""

    url: str | None = None
    schema: str | None = None

    def open_flows(self, flows: str) -> App:
        """The App of FLOWS on this database: the command line wins over the code."""
        from stepwell.cli.flows import load

        self.set_environment()
        app = load(flows)
        app.use(self.url, schema=self.schema)
        return app

    def bare_app(self) -> App:
        """An App without workflows: a client."""
        from stepwell.app.application import App

        return App(self.url, schema=self.schema)

    def ask(self, question: Callable[[App], Coroutine[Any, Any, T]]) -> T:
        """What an App without workflows answers."""
        import asyncio

        async def answer() -> T:
            async with self.bare_app() as app:
                return await question(app)

        return asyncio.run(answer())

    @contextmanager
    def running(self) -> Iterator[str]:
        """The URL of the database; the embedded one runs meanwhile."""
        from stepwell.app import settings
        from stepwell.store.embedded import start_embedded

        if url := settings.database_url(self.url):
            yield url
            return
        with start_embedded(settings.embedded_folder()) as server:
            yield server.url

    @property
    def schema_name(self) -> str:
        from stepwell.app import settings
        from stepwell.store.statements import checked_schema

        return checked_schema(settings.schema(self.schema))

    def set_environment(self) -> None:
        """Let code that reads the settings itself while it is imported see the same database."""
        from stepwell.app import settings

        for name, value in ((settings.DATABASE_URL, self.url), (settings.SCHEMA, self.schema)):
            if value is not None:
                os.environ[name] = value

    def arguments(self) -> list[str]:
        """The options that name it to another command."""
        given = (("--database", self.url), ("--schema", self.schema))
        return [text for option, value in given if value is not None for text in (option, value)]


def to_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:  # noqa: ARG001
    """The callback of an option that takes a duration such as 30s, 10m, 24h."""
    try:
        return None if value is None else parse_duration(value)
    except InvalidDuration as error:
        raise click.BadParameter(str(error)) from error


def to_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:  # noqa: ARG001
    """The callback of an option that takes a time: ISO 8601, in UTC unless it says otherwise, or how long ago."""
    if value is None:
        return None
    with suppress(InvalidDuration, OverflowError):
        return datetime.now(UTC) - parse_duration(value)
    return _moment(value, otherwise="how long ago")


def to_end(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> datetime | timedelta | None:
    """The callback of an option that takes a duration from now on, or a time as `to_moment` does."""
    if value is None:
        return None
    with suppress(InvalidDuration):
        return parse_duration(value)
    return _moment(value, otherwise="from now on")


def _moment(value: str, *, otherwise: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no time; write it like 2030-01-31T08:00 or 2030-01-31, or {otherwise}: 90m, 7d"
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def several(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator that does what these do one below the other."""

    def decorate(command: F) -> F:
        return functools.reduce(lambda decorated, decorator: decorator(decorated), reversed(decorators), command)

    return decorate


def limit_option(what: str = "How many at most.") -> Callable[[F], F]:
    """--limit, of a listing."""
    return click.option("--limit", type=click.IntRange(1, LARGEST_PAGE), default=20, show_default=True, help=what)


def database_options(command: F) -> F:
    """--database and --schema; the command gets them as `target`."""

    @click.option("--database", metavar="URL", help="The database. [default: STEPWELL_DATABASE_URL, else embedded]")
    @click.option("--schema", metavar="NAME", help="Its schema. [default: STEPWELL_SCHEMA, else stepwell]")
    @functools.wraps(command)
    def with_target(*args: Any, database: str | None, schema: str | None, **kwargs: Any) -> Any:
        for option, value in (("--database", database), ("--schema", schema)):
            if value is not None and not value.strip():
                raise InvalidOption(f"{option} is empty; leave it out, or give a value (is a shell variable unset?)")
        return command(*args, target=Target(database, schema), **kwargs)

    return with_target  # type: ignore[return-value]


def output_options(what: str = "Print one JSON document.") -> Callable[[F], F]:
    """--json (the command gets `as_json`) and --debug."""

    def decorate(command: F) -> F:
        command = click.option(
            "--debug", is_flag=True, expose_value=False, callback=_remember_debug, help="Show tracebacks of errors."
        )(command)
        return click.option("--json", "as_json", is_flag=True, help=what)(command)

    return decorate


def _remember_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001
    if value:
        ctx.meta[DEBUG] = True


def is_debug() -> bool:
    """Whether this call has --debug."""
    return bool(click.get_current_context().meta.get(DEBUG))
