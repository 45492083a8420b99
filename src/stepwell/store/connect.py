"""How the engine connects: with the settings its plans need, or through a pooler that allows no settings."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stepwell.errors import DatabaseUnavailable, InvalidOption

# A statement prepared while a table was small would keep a plan that reads all of it for ever. Every statement of ours
# is meant to go by an index, so the others are ruled out, and one plan must do for all parameters: a plan made for the
# values at hand once joined 1,000 new checkpoints with the whole table. Compiling plans costs more than they do.
_PLANS = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off"
    " -c jit=off -c plan_cache_mode=force_generic_plan"
)

_PLANS_FOR_VALUES = "-c enable_bitmapscan=on -c enable_hashjoin=on -c plan_cache_mode=force_custom_plan"

LOCK_TIMEOUT = "5s"  # for a start: others of this process wait behind it

# A server that vanished without a word is noticed within seconds, not after the system's two hours.
_DEFAULTS: dict[str, Any] = {
    "application_name": "stepwell",
    "client_encoding": "UTF8",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

_QUOTATION = re.compile(r' "[^"]{2}')  # libpq quotes signs, such as "=", and then the URL itself, password and all


class Route(NamedTuple):
    """The way to a database: connection text, and whether a session's state outlives a statement there."""

    conninfo: str
    is_pooled: bool


def checked_conninfo(url: str) -> dict[str, Any]:
    """The parts of a database URL (or libpq connection text). Raises InvalidOption without showing a password."""
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        message = _QUOTATION.split(str(error).strip())[0].rstrip(" :")
        raise InvalidOption(
            f"the database URL cannot be read ({message}); write it like postgresql://user:password@host:5432/database"
        ) from None


def with_settings(url: str) -> str:
    """Connection text with the engine's session settings; for a direct connection."""
    given = checked_conninfo(url)
    options = f"{given.pop('options', None) or ''} {_PLANS}".strip()
    return make_conninfo("", **{**_DEFAULTS, **given, "options": options})


def without_settings(url: str) -> str:
    """Connection text that a pooler takes."""
    return make_conninfo("", **{**_DEFAULTS, **checked_conninfo(url)})


def with_lock_timeout(route: Route) -> Route:
    """The same way, on which a statement that waits for a lock is given up. What the URL says about it goes first."""
    if route.is_pooled:
        return route
    options = conninfo_to_dict(route.conninfo).get("options") or ""
    return Route(make_conninfo(route.conninfo, options=f"-c lock_timeout={LOCK_TIMEOUT} {options}"), is_pooled=False)


def with_plans_for_values(route: Route) -> Route:
    """The same way, on which a plan is made for the values at hand: for a listing any index may be the right one."""
    if route.is_pooled:
        return route
    options = conninfo_to_dict(route.conninfo).get("options") or ""
    return Route(make_conninfo(route.conninfo, options=f"{options} {_PLANS_FOR_VALUES}"), is_pooled=False)


def find_route(url: str) -> Route:
    """Connect once and see whether a pooler is in between. Raises DatabaseUnavailable.

    PgBouncer refuses settings at the start (or drops them, if told to), and makes up the process id that the driver is
    told. Behind one, statements go unprepared and hints cannot be heard, so the worker polls.
    """
    for conninfo in (with_settings(url), without_settings(url)):
        try:
            with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as connection:
                row = connection.execute("select pg_backend_pid(), current_setting('enable_seqscan')").fetchone()
                is_direct = row is not None and row == (connection.info.backend_pid, "off")
                return Route(conninfo if is_direct else without_settings(url), is_pooled=not is_direct)
        except psycopg.OperationalError as error:
            if "unsupported startup parameter" not in str(error):
                raise unavailable(error) from error
    raise DatabaseUnavailable("the server refuses our connection settings and a plain connection alike")


def unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    """The driver's error as ours, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return DatabaseUnavailable(f"the database cannot be reached: {lines[0] if lines else type(error).__name__}")


# Classes of errors by which nothing was changed and nothing is wrong with what was asked: rolled back by a conflict,
# out of resources (a full disk), not in the right state, stopped by an operator or a time limit, trouble of the system.
PASSING = ("40", "53", "55", "57", "58")


def is_passing(error: Exception) -> bool:
    """Whether the same statement may go through later: nothing was changed, and nothing is wrong with it."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "")[:2] in PASSING


def may_pass(error: Exception) -> bool:
    """The same for whoever can wait, also until the database can be reached again."""
    return isinstance(error, DatabaseUnavailable) or is_passing(error)
