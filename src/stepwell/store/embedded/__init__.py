"""The PostgreSQL that starts by itself in a project's `.stepwell/` folder.

    binaries.py    where PostgreSQL's executables are on this machine
    account.py     who runs the server when this process is root, and where that user can work
    lock.py        file locks that the kernel drops when their process dies
    postmaster.py  what the server says about itself: ready, changing, stale, stopped
    cluster.py     creates, starts and stops the server of one folder
    server.py      joins it, and leaves it: the last one out stops it

It uses the standard library only, is synchronous, and works before any event loop.
"""

from __future__ import annotations

from stepwell.store.embedded.binaries import Binaries, find_binaries
from stepwell.store.embedded.server import EmbeddedServer, start_embedded

__all__ = ["Binaries", "EmbeddedServer", "find_binaries", "start_embedded"]
