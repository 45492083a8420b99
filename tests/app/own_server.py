"""A PostgreSQL of a test module's own, which may be stopped, and which every user of this machine can reach."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from stepwell.store.embedded import EmbeddedServer, start_embedded
from stepwell.store.embedded.postmaster import Changing, Ready, look


class Server:
    """A running server."""

    def __init__(self, embedded: EmbeddedServer) -> None:
        self._embedded = embedded

    @property
    def url(self) -> str:
        return self._embedded.url

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
    with TemporaryDirectory(prefix="stepwell-server-") as name:
        folder = Path(name) / "postgresql"
        for reachable in (folder.parent, folder):  # root's server runs as another user, and so does its pooler
            reachable.mkdir(exist_ok=True)
            reachable.chmod(0o755)
        with start_embedded(folder) as embedded:
            yield Server(embedded)
