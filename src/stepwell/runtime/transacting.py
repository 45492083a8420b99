"""Steps whose writes to the engine's database commit together with their checkpoint."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from stepwell.core.model import NewCheckpoint
from stepwell.errors import DatabaseUnavailable, LeaseLost
from stepwell.failpoints import failpoint
from stepwell.runtime.attempts import Call, invoke
from stepwell.runtime.outages import outlast
from stepwell.runtime.passes import Pass, Surroundings
from stepwell.store.base import Transaction


async def body(pass_: Pass, call: Call) -> Any:
    """Run the function in a transaction, store what it returned, commit."""
    around = pass_.around
    async with AsyncExitStack() as stack:
        transaction = await outlast(around, lambda: _begin(around, call, stack))
        value = await invoke(pass_, call, (transaction.connection, *call.args))
        failpoint("after_step_body")
        stored, value = call.shape.codec.encode(value)
        failpoint("before_step_commit")
        row = NewCheckpoint(pass_.id, call.key, call.kind, call.digest, stored)
        try:
            await transaction.commit(row)
        except LeaseLost:
            pass_.lose()
        except DatabaseUnavailable as error:
            around.commit.give_up(error)  # committed or not, nobody knows: the next pass reads it
            pass_.lose()
    pass_.replay.grow(row)
    failpoint("after_step_commit")
    return value


async def _begin(around: Surroundings, call: Call, stack: AsyncExitStack) -> Transaction:
    return await stack.enter_async_context(around.store.transaction(around.session, is_async=call.shape.is_async))
