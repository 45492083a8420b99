"""The limits of the machine in this minute: what PostgreSQL, the disk and Python do with no engine between them."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from bench.ledger import PAYLOAD
from bench.measure import percentile
from bench.postgres import Postgres

VALUE = json.dumps({"order": 1, "line": 1, **PAYLOAD}, separators=(",", ":")).encode()
TABLE = "create table raw (execution uuid, step int, value bytea, primary key (execution, step))"
INSERT = "insert into raw select %s, step, %s from generate_series(1, %s) step"
UNNEST = "insert into raw select * from unnest(%s::uuid[], %s::int[], %s::bytea[])"
WINDOW_SECONDS = 1.5  # thousands of commits, and still short enough to stand before every comparison
READ_ROWS = 5_000


@dataclass(frozen=True)
class Limits:
    """One limit per field. A measure of an engine names the field that it is divided by."""

    fsync_ms: float
    commit_ms: float
    commits_per_second: float
    commit_cpu_us: float
    rows_per_second_by_100: float
    rows_per_second_by_1000: float
    wal_bytes_per_row: float
    read_seconds: float
    bare_steps_per_second: float
    bare_step_us: float


def measure(postgres: Postgres) -> Limits:
    """Take every limit, one after the other. About eight seconds."""
    with postgres.database("bench_raw") as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        commits, cpu_us = _one_row_commits(connection)
        by_100, _ = _batched_commits(connection, 100)
        wal_before = postgres.wal_bytes()
        by_1000, rows = _batched_commits(connection, 1000)
        wal_bytes = postgres.wal_bytes() - wal_before
        read_seconds = _read(connection)
    bare = asyncio.run(_bare_steps(workflows=2_000, steps=10))
    return Limits(
        fsync_ms=percentile(_fsyncs(postgres.folder / "fsync"), 50) * 1e3,
        commit_ms=percentile(commits, 50) * 1e3,
        commits_per_second=len(commits) / sum(commits),
        commit_cpu_us=cpu_us,
        rows_per_second_by_100=by_100,
        rows_per_second_by_1000=by_1000,
        wal_bytes_per_row=wal_bytes / rows,
        read_seconds=read_seconds,
        bare_steps_per_second=1 / bare,
        bare_step_us=bare * 1e6,
    )


def _one_row_commits(connection: psycopg.Connection) -> tuple[list[float], float]:
    """Seconds of each commit over one connection, and the client's processor time per commit in us."""
    execution, steps = uuid4(), itertools.count()

    def commit() -> None:
        connection.execute("insert into raw values (%s, %s, %s)", (execution, next(steps), VALUE), prepare=True)

    cpu = time.process_time()
    seconds = _timed(commit)
    return seconds, (time.process_time() - cpu) / len(seconds) * 1e6


def _batched_commits(connection: psycopg.Connection, size: int) -> tuple[float, int]:
    """Rows per second with `size` rows a commit, ten per execution in time order, and how many rows were written."""
    numbers = itertools.count()

    def commit() -> None:
        batch = [next(numbers) for _ in range(size)]
        executions = [UUID(int=number // 10) for number in batch]
        steps = [number % 10 for number in batch]
        connection.execute(UNNEST, (executions, steps, [VALUE] * size), prepare=True, binary=True)

    connection.execute("truncate raw")
    seconds = _timed(commit)
    return len(seconds) * size / sum(seconds), len(seconds) * size


def _read(connection: psycopg.Connection) -> float:
    """Seconds to fetch and decode one execution's history, the best of five."""
    execution = uuid4()
    connection.execute(INSERT, (execution, VALUE, READ_ROWS))

    def read() -> float:
        began = time.perf_counter()
        rows = connection.execute("select step, value from raw where execution = %s order by step", (execution,))
        assert len([json.loads(value) for _, value in rows]) == READ_ROWS
        return time.perf_counter() - began

    return min(read() for _ in range(5))


def _fsyncs(path: Path) -> list[float]:
    """Seconds of each fdatasync after one 8 KiB page was written over, as a WAL write is."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(file, bytes(64 * 8192), 0)

    def write_page() -> None:
        os.pwrite(file, VALUE, 0)
        os.fdatasync(file)

    try:
        return _timed(write_page)
    finally:
        os.close(file)


async def _bare_steps(*, workflows: int, steps: int) -> float:
    """Seconds per step when nothing is durable: each awaits a coroutine that encodes its result."""

    async def step() -> bytes:
        return json.dumps({"order": 1, "line": 1, **PAYLOAD}).encode()

    async def workflow() -> None:
        for _ in range(steps):
            await step()

    began = time.perf_counter()
    await asyncio.gather(*(workflow() for _ in range(workflows)))
    return (time.perf_counter() - began) / (workflows * steps)


def _timed(action: Callable[[], None]) -> list[float]:
    """The seconds of each call, repeated for a window."""
    seconds: list[float] = []
    until = time.perf_counter() + WINDOW_SECONDS
    while (began := time.perf_counter()) < until:
        action()
        seconds.append(time.perf_counter() - began)
    return seconds
