"""What the doctor makes of what it sees. Facts in, findings out; nothing here looks at anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

OLDEST_SERVER = 14  # the oldest major version that PostgreSQL itself still maintains
CLOCK_TOLERANCE = timedelta(seconds=2)
LATE = timedelta(minutes=1)
LONG_TRANSACTION = timedelta(minutes=5)  # under load, claims have become a third slower after three
FEW_DEAD_ROWS = 10_000
DEAD_SHARE = 0.2
UNINDEXED = timedelta(minutes=10)  # workers enter what has ended every twenty seconds
MANY_LEFTOVERS = 100_000
LITTLE_SPACE = 1024**3  # bytes: PostgreSQL keeps up to 1 GB of WAL
MEGABYTE = 1024**2


class State(StrEnum):
    """How bad a finding is. Only `fail` makes the doctor's exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One line of the doctor's: what was looked at, how it is, and the way out when it is not well."""

    check: str
    state: State
    fact: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """What runs here. `driver` is psycopg's implementation: binary, c or python."""

    python: str
    stepwell: str
    psycopg: str
    driver: str
    has_uvloop: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """The folder of the embedded database."""

    folder: str
    size_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Server:
    """The server as a connection meets it. `ahead_for`: how far its clock is ahead of this machine's."""

    version_number: int
    version: str
    encoding: str
    has_fsync: bool
    has_full_page_writes: bool
    synchronous_commit: str
    has_autovacuum: bool
    ahead_for: timedelta


@dataclass(frozen=True, slots=True)
class Role:
    """Who we are in the database. `lacking` are rights that a worker needs; changing the schema is none of them."""

    name: str
    may_change_schema: bool
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stranded:
    """Executions that no living worker can run."""

    workflow: str
    queue: str
    count: int


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one table, by the statistics."""

    name: str
    live_rows: int
    dead_rows: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What workers have yet to do beside executions. `oldest_for`: how long ago the earliest that is kept has ended."""

    unindexed: int = 0
    unindexed_for: timedelta | None = None
    leftovers: int = 0
    oldest_for: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """Events about which a trigger's code cannot decide."""

    trigger: str
    count: int
    error: str


@dataclass(frozen=True, slots=True)
class RefusedConnection:
    """A connection that a vendor has refused, and how many executions wait for it."""

    name: str
    reason: str
    waiting: int


@dataclass(frozen=True, slots=True)
class Work:
    """What is going on."""

    live_workers: int
    expired_workers: int
    stranded: Sequence[Stranded]
    late_for: timedelta | None
    oldest_transaction_for: timedelta | None
    tables: Sequence[Table]
    backlog: Backlog = Backlog()
    undecided: Sequence[Undecided] = ()
    refused: Sequence[RefusedConnection] = ()


def of_installation(found: Installation) -> Iterator[Finding]:
    """Which versions run."""
    loop = "uvloop" if found.has_uvloop else "asyncio's own loop (uvloop is not installed)"
    yield Finding("python", State.OK, f"{found.python}, {loop}")
    yield Finding("stepwell", State.OK, found.stepwell)
    if found.driver == "python":
        yield Finding(
            "driver",
            State.WARN,
            f"psycopg {found.psycopg} runs without its compiled part, which costs speed",
            "run `pip install 'psycopg[binary]'`",
        )
    else:
        yield Finding("driver", State.OK, f"psycopg {found.psycopg} ({found.driver})")


def of_disk(disk: Disk) -> Finding:
    """Whether the embedded database has room."""
    fact = (
        f"{disk.folder} holds {disk.size_bytes / MEGABYTE:,.0f} MB, {disk.free_bytes / MEGABYTE:,.0f} MB are free there"
    )
    if disk.free_bytes < LITTLE_SPACE:
        return Finding("disk", State.WARN, fact, "make room: a full disk stops the database")
    return Finding("disk", State.OK, fact)


def of_server(server: Server) -> Iterator[Finding]:
    """Whether the server is one that keeps what it has acknowledged."""
    if server.version_number < OLDEST_SERVER * 10_000:
        yield Finding(
            "server", State.FAIL, f"PostgreSQL {server.version}", f"use version {OLDEST_SERVER} or later: upgrade it"
        )
    else:
        yield Finding("server", State.OK, f"PostgreSQL {server.version}")
    yield _of_encoding(server.encoding)
    yield _of_durability(server)
    yield _of_clock(server.ahead_for)


def _of_encoding(encoding: str) -> Finding:
    if encoding == "UTF8":
        return Finding("encoding", State.OK, encoding)
    return Finding(
        "encoding", State.FAIL, f"{encoding} cannot hold every text", "create the database with encoding UTF8"
    )


def _of_durability(server: Server) -> Finding:
    """Acknowledged work survives a power cut only with these (F30)."""
    relaxed = [
        name
        for name, is_relaxed in (
            ("fsync", not server.has_fsync),
            ("full_page_writes", not server.has_full_page_writes),
            ("synchronous_commit", server.synchronous_commit == "off"),
        )
        if is_relaxed
    ]
    if not relaxed:
        return Finding("durability", State.OK, "a commit that was acknowledged survives a power cut")
    return Finding(
        "durability",
        State.WARN,
        f"{' and '.join(relaxed)} off: a power cut can lose work that was acknowledged",
        "turn it on where that matters",
    )


def _of_clock(ahead_for: timedelta) -> Finding:
    seconds = ahead_for.total_seconds()
    fact = f"the server's clock is {abs(seconds):.1f} s {'ahead of' if seconds >= 0 else 'behind'} this machine's"
    if abs(ahead_for) <= CLOCK_TOLERANCE:
        return Finding("clock", State.OK, fact)
    return Finding(
        "clock", State.WARN, fact, "timers keep to the server's, but logs will not line up: synchronise both by NTP"
    )


def of_pooling(*, is_pooled: bool) -> Finding:
    """How statements get there."""
    if is_pooled:
        return Finding(
            "connection", State.OK, "through a pooler: statements go unprepared and workers poll instead of listening"
        )
    return Finding("connection", State.OK, "direct")


def of_schema(schema: str, problem: str | None) -> Finding:
    """Whether the schema is that of this version."""
    if problem is None:
        return Finding("schema", State.OK, f"{schema} is at this version")
    return Finding("schema", State.FAIL, problem)


def of_role(role: Role) -> Finding:
    """Whether this role may do what a worker and a client do."""
    if role.lacking:
        fact = f"{role.name} lacks: {', '.join(role.lacking)}"
        return Finding("role", State.FAIL, fact, "have the owner of the schema grant it")
    if role.may_change_schema:
        return Finding("role", State.OK, f"{role.name} may do all it needs, and bring the schema to new versions")
    fact = f"{role.name} may do all it needs, but not bring the schema to new versions"
    return Finding("role", State.OK, f"{fact}: its owner runs `stepwell migrate` for that")


def of_work(work: Work, *, has_autovacuum: bool) -> Iterator[Finding]:
    """Whether what is to be done gets done."""
    yield _of_workers(work)
    yield from map(_of_stranded, work.stranded)
    yield _of_lateness(work.late_for)
    yield from map(_of_undecided, work.undecided)
    yield from map(_of_refused, work.refused)
    yield _of_search(work.backlog)
    yield _of_retention(work.backlog)
    yield _of_transactions(work.oldest_transaction_for)
    yield _of_vacuum(work.tables, has_autovacuum=has_autovacuum)


def _of_workers(work: Work) -> Finding:
    expired = f", {work.expired_workers} expired and not yet cleaned up" if work.expired_workers else ""
    if work.live_workers:
        return Finding("workers", State.OK, f"{work.live_workers} alive{expired}")
    return Finding("workers", State.WARN, f"none is alive{expired}", "run `stepwell worker FLOWS`")


def _of_stranded(stranded: Stranded) -> Finding:
    queue = "" if stranded.queue == "default" else f" in queue '{stranded.queue}'"
    return Finding(
        "executions",
        State.WARN,
        f"{stranded.count:,} of workflow '{stranded.workflow}'{queue} wait, and no living worker has it",
        "start a worker that has it, or cancel them",
    )


def _of_lateness(late_for: timedelta | None) -> Finding:
    if late_for is None:
        return Finding("lateness", State.OK, "nothing that a worker could run is due")
    fact = f"the oldest execution that is due waits for {late_for.total_seconds():,.0f} s"
    if late_for <= LATE:
        return Finding("lateness", State.OK, fact)
    return Finding("lateness", State.WARN, fact, "add workers, or raise their --concurrency")


def _of_undecided(undecided: Undecided) -> Finding:
    fact = f"'{undecided.trigger}' cannot decide about {_counted(undecided.count, 'event')}: {undecided.error}"
    return Finding(
        "triggers", State.WARN, fact, "mend its `where`: it is asked again every minute, and nothing is lost"
    )


def _of_refused(refused: RefusedConnection) -> Finding:
    waiting = f" ({_counted(refused.waiting, 'execution')} waiting)" if refused.waiting else ""
    return Finding(
        "connections",
        State.WARN,
        f"'{refused.name}' needs re-authorisation{waiting}: {refused.reason}",
        f"`stepwell connections connect {refused.name}`, or rotate its secrets",
    )


def _of_search(backlog: Backlog) -> Finding:
    """What is not in the index of words is looked through one by one."""
    if not backlog.unindexed or backlog.unindexed_for is None:
        return Finding("search", State.OK, "every execution that has ended is in the index of words")
    minutes = backlog.unindexed_for.total_seconds() / 60
    executions = _counted(backlog.unindexed, "ended execution")
    fact = f"{executions} not yet in the index of words, the earliest ended {minutes:,.0f} min ago"
    if backlog.unindexed_for <= UNINDEXED:
        return Finding("search", State.OK, fact)
    return Finding(
        "search", State.WARN, f"{fact}: searches are slow", "let a worker run: it enters thousands in a second"
    )


def _of_retention(backlog: Backlog) -> Finding:
    if backlog.oldest_for is None:
        return Finding("retention", State.OK, "no execution has ended")
    fact = f"the earliest that is kept ended {_counted(backlog.oldest_for.days, 'day')} ago"
    if backlog.leftovers > MANY_LEFTOVERS:
        fact += f"; {backlog.leftovers:,} are removed whose steps are still to go"
        return Finding("retention", State.WARN, fact, "let a worker run: they go in pieces beside its work")
    return Finding("retention", State.OK, fact)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _of_transactions(oldest_for: timedelta | None) -> Finding:
    """An open transaction keeps dead rows from being removed, which slows the queue down (F36)."""
    if oldest_for is None or oldest_for <= LONG_TRANSACTION:
        return Finding("transactions", State.OK, "none has been open for long")
    return Finding(
        "transactions",
        State.WARN,
        f"one has been open for {oldest_for.total_seconds() / 60:,.0f} min, so dead rows cannot be removed",
        "find it in pg_stat_activity and end it",
    )


def _of_vacuum(tables: Sequence[Table], *, has_autovacuum: bool) -> Finding:
    if not has_autovacuum:
        return Finding("vacuum", State.WARN, "autovacuum is off: tables grow without end", "turn autovacuum on")
    bloated = [
        table
        for table in tables
        if table.dead_rows > FEW_DEAD_ROWS and table.dead_rows > DEAD_SHARE * (table.live_rows + table.dead_rows)
    ]
    if not bloated:
        return Finding("vacuum", State.OK, f"{sum(table.dead_rows for table in tables):,} dead rows")
    worst = max(bloated, key=lambda table: table.dead_rows)
    return Finding(
        "vacuum",
        State.WARN,
        f"table {worst.name} has {worst.dead_rows:,} dead rows beside {worst.live_rows:,} live ones",
        "see that no transaction stays open, and that autovacuum keeps up",
    )
