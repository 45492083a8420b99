"""A PostgreSQL of a test module's own, which may be stopped, and which every user of this machine can reach."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from stepwell.store.embedded import EmbeddedServer, start_embedded
from stepwell.store.embedded.account import HERE, account_for
from stepwell.store.embedded.binaries import find_binaries
from stepwell.store.embedded.postmaster import Changing, Ready, look
from stepwell.store.embedded.wheel_copy import executable_by


class Server:
    """A running server."""

    def __init__(self, embedded: EmbeddedServer) -> None:
        self._embedded = embedded

    @property
    def url(self) -> str:
        return self._embedded.url

    def set(self, **settings: str) -> None:
        """Change settings, for the next start or at once, as each can be."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name, value in settings.items():
                names = sql.Identifier(name), sql.Literal(value)
                connection.execute(sql.SQL("alter system set {} = {}").format(*names))
            connection.execute("select pg_reload_conf()")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT cuts everybody off and shuts down, SIGQUIT dies where it stands. Returns when it is gone."""
        running = look(self._embedded.folder)
        assert isinstance(running, Ready)
        os.kill(running.pid, how)
        give_up_at = time.monotonic() + 20
        while isinstance(look(self._embedded.folder), Ready | Changing):
            assert time.monotonic() < give_up_at, "the server does not stop"
            time.sleep(0.005)  # nobody tells when somebody else's process has gone

    def start(self) -> None:
        self._embedded.ensure_running()

    def restart(self, how: signal.Signals) -> None:
        self.stop(how)
        self.start()


@contextmanager
def own_server() -> Iterator[Server]:
    """A server while the block runs."""
    with _reachable_folder() as folder, start_embedded(folder) as embedded:
        yield Server(embedded)


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """A second server that gets every commit of the first one, while the block runs."""
    with _reachable_folder() as folder:
        _copy(primary, folder / "data")
        with start_embedded(folder) as embedded:
            yield Server(embedded)


def _copy(primary: Server, data: Path) -> None:
    account = account_for(data.parent)
    data.mkdir(mode=0o700)
    account.give(data)
    copy = executable_by(account, find_binaries()).path("pg_basebackup")
    command = [copy, "-D", HERE, "-d", primary.url, "--write-recovery-conf", "--checkpoint", "fast", "--no-password"]
    assert account.run(command, folder=data, seconds=60) is None
    for of_the_primary in data.glob(".s.PGSQL.*"):
        of_the_primary.unlink()


@contextmanager
def _reachable_folder() -> Iterator[Path]:
    """Root's server runs as another user, and so does its pooler."""
    with TemporaryDirectory(prefix="stepwell-server-") as name:
        folder = Path(name) / "postgresql"
        for reachable in (folder.parent, folder):
            reachable.mkdir(exist_ok=True)
            reachable.chmod(0o755)
        yield folder
