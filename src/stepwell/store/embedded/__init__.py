"""The PostgreSQL that starts by itself in a project's `.stepwell/` folder.

    server.py         joins the server of a folder, and leaves it: the last one out stops it
    lock.py           file locks that the kernel drops when their process dies
    cluster.py        starts and stops the server
    postmaster.py     what the server says about itself: ready, changing, stale, stopped
    data_folder.py    creates its data, whole or not at all
    socket_folder.py  where its socket is
    account.py        who runs it when this process is root
    binaries.py       where PostgreSQL's executables are on this machine
    wheel_copy.py     a copy of them that the server's user can run

It uses the standard library only, is synchronous, and works before any event loop.
"""

from __future__ import annotations

from stepwell.store.embedded.binaries import Binaries, find_binaries
from stepwell.store.embedded.server import EmbeddedServer, start_embedded

__all__ = ["Binaries", "EmbeddedServer", "find_binaries", "start_embedded"]
