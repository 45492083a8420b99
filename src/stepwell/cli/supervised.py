"""A process that ends with its supervisor, even if that is killed: the supervisor holds the other end of a pipe."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

import click

until_stdin_closes_option = click.option(
    "--until-stdin-closes", is_flag=True, help="Also stop when standard input ends, as a supervisor's pipe."
)


def on_end_of_stdin(call: Callable[[], object]) -> None:
    """Call it on the running event loop when standard input ends."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 1024):
            pass
        loop.call_soon_threadsafe(call)

    # a daemon that reads the descriptor itself: a lock on sys.stdin would be in the way of the interpreter's end
    threading.Thread(target=wait, name="stepwell-stdin", daemon=True).start()
