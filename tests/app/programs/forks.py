"""Starts executions before and after forking, as a pre-forking server does. Its argument is the database's URL."""

from __future__ import annotations

import asyncio
import os
import sys

from stepwell import App

app = App(sys.argv[1])


@app.workflow
def double(number: int) -> int:
    return 2 * number


def in_plain_child() -> None:
    """The child's first call; it must not touch the parent's connections."""
    assert not app.sync.start(double, 1, key="one").is_new
    assert app.sync.start(double, 2, key="two").is_new


async def in_async_child() -> None:
    assert not (await app.start(double, 1, key="one")).is_new
    assert (await app.start(double, 3, key="three")).is_new
    await app.close()


def forked(work: object) -> int:
    """The exit status of a child that does the work."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work()) if asyncio.iscoroutinefunction(work) else work()  # type: ignore[operator]
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


assert app.sync.start(double, 1, key="one").is_new
assert forked(in_plain_child) == 0
assert forked(in_async_child) == 0
assert sorted(one.key or "" for one in app.sync.list()) == ["one", "three", "two"]
assert app.sync.start(double, 4, key="four").is_new
app.sync.close()
