"""What durable calls have in common: what is stored answers, and a call that does not fit it parks the execution."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from stepwell.core.model import Checkpoint, Kind
from stepwell.core.replay import check_arguments
from stepwell.errors import Diverged
from stepwell.runtime.passes import Key, Pass

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("stepwell.step")


def durable(
    call: Callable[Concatenate[Pass, P], Awaitable[R]],
) -> Callable[Concatenate[Pass, P], Coroutine[Any, Any, R]]:
    """The call, which parks the execution in place of raising Diverged."""

    @wraps(call)
    async def parking(pass_: Pass, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(pass_, *args, **kwargs)
        except Diverged as error:
            await pass_.diverge(error)

    return parking


async def recall(pass_: Pass, key: Key, kind: Kind) -> Checkpoint | None:
    """What is stored of the call, if it has an outcome. Raises Diverged when it is that of another kind of call."""
    found = pass_.replay.stored(key, kind)
    if found is not None:
        await asyncio.sleep(0)  # new tasks begin before this one goes on, as they did on the first pass
    return found


def check_digest(pass_: Pass, key: Key, stored: int, met: int) -> None:
    """Raise Diverged when the call was stored with other arguments; only warn if so set."""
    try:
        check_arguments(key, stored, met)
    except Diverged as error:
        differ(pass_, error)


def differ(pass_: Pass, error: Diverged) -> None:
    """A completed call is made differently now: raise the error; only warn if so set."""
    if pass_.around.is_strict and not pass_.is_lenient:
        raise error
    log.warning("execution %s: %s", pass_.id, error)
