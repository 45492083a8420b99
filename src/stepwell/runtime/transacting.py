"""Steps whose writes to the engine's database commit together with their checkpoint."""

from __future__ import annotations

from typing import Any

from stepwell.core.model import NewCheckpoint
from stepwell.errors import DatabaseUnavailable, LeaseLost
from stepwell.failpoints import failpoint
from stepwell.runtime.attempts import Call, invoke
from stepwell.runtime.passes import Closing, Pass


async def body(pass_: Pass, call: Call) -> Any:
    """Run the function in a transaction, store what it returned, commit."""
    around = pass_.around
    async with around.store.transaction(around.session, is_async=call.shape.is_async) as transaction:
        value = await invoke(pass_, call, (transaction.connection, *call.args))
        failpoint("after_step_body")
        stored, value = call.shape.codec.encode(value)
        failpoint("before_step_commit")
        row = NewCheckpoint(pass_.id, call.key, call.kind, call.digest, stored)
        try:
            await transaction.commit(row)
        except LeaseLost:
            pass_.close(Closing.LOST, at_once=True)
            pass_.refuse()
        except DatabaseUnavailable as error:
            around.commit.give_up(error)  # committed or not, nobody knows: the next pass reads it
            pass_.close(Closing.LOST, at_once=True)
            pass_.refuse()
    failpoint("after_step_commit")
    return value
