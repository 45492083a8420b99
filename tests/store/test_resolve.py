"""Saying what became of an effect whose outcome is unknown."""

from __future__ import annotations

import asyncio

import pytest

from stepwell.core.model import Checkpoint, ExecutionId, Kind, SessionId, Waiting
from stepwell.core.status import Status
from tests.store.world import HOUR, World, checkpoint, unknown

DIGEST = 7


async def parked(world: World, *keys: str) -> tuple[SessionId, ExecutionId]:
    """An execution that waits, with these intents and failures stored."""
    session = await world.worker()
    execution_id = await world.running(session)
    rows = [checkpoint(execution_id, key, b"null", kind=Kind.INTENT, digest=DIGEST) for key in keys]
    await world.flush(session, checkpoints=rows)
    await world.end(session, execution_id, Waiting(None, "outcome of effect 'charge' is unknown", 0))
    return session, execution_id


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ((), False),
        (("charge/#intent1",), True),
        (("charge/#intent1", "charge/#failed1"), False),
        (("charge/#intent1", "charge/#failed1", "charge/#intent2"), True),
        (("other/#intent1",), False),
        (("charge#2/#intent1",), False),
    ],
)
@pytest.mark.parametrize("value", [b'"receipt"', None])
async def test_only_an_unknown_outcome_can_be_resolved(
    world: World, stored: tuple[str, ...], expected: bool, value: bytes | None
) -> None:
    _, execution_id = await parked(world, *stored)

    status = Status.PENDING if expected else Status.WAITING
    assert await world.store.resolve(execution_id, "charge", value=value, by="ann") == (status, expected)
    assert len(await world.keys(execution_id)) == len(stored) + expected


async def test_value_is_what_the_effect_made(world: World) -> None:
    session, execution_id = await parked(world, "charge/#intent1")

    await world.store.resolve(execution_id, "charge", value=b'"receipt"', by="ann")

    claimed = await world.claim_one(session)
    assert claimed.checkpoints["charge"] == Checkpoint(Kind.EFFECT, DIGEST, False, b'"receipt"')
    assert claimed.signals == 1


async def test_repeat_closes_the_intent_and_keeps_it(world: World) -> None:
    session, execution_id = await parked(world, "charge/#intent1", "charge/#failed1", "charge/#intent2")

    await world.store.resolve(execution_id, "charge", value=None, by="ann")

    claimed = await world.claim_one(session)
    assert set(claimed.checkpoints) == {f"charge/#{which}{n}" for which in ("intent", "failed") for n in (1, 2)}


async def test_effect_of_a_running_or_ended_or_unknown_execution_is_not_resolved(world: World) -> None:
    session, execution_id = await parked(world, "charge/#intent1", "pay/#intent1")
    await world.store.resolve(execution_id, "pay", value=None, by="ann")
    await world.claim_one(session)

    assert await world.store.resolve(execution_id, "charge", value=None, by="ann") == (Status.RUNNING, False)
    await world.end(session, execution_id)
    assert await world.store.resolve(execution_id, "charge", value=None, by="ann") == (Status.COMPLETED, False)
    assert await world.store.resolve(unknown(), "charge", value=None, by="ann") is None


async def test_resolving_twice_changes_nothing(world: World) -> None:
    _, execution_id = await parked(world, "charge/#intent1")

    answers = await asyncio.gather(
        *(world.store.resolve(execution_id, "charge", value=b"%d" % n, by="ann") for n in range(5)),
        world.store.resolve(execution_id, "charge", value=None, by="ann"),
    )

    assert [answer and answer[1] for answer in answers].count(True) == 1


async def test_sleeping_execution_with_an_unknown_effect_is_due_now(world: World) -> None:
    session = await world.worker()
    execution_id = await world.running(session)
    await world.flush(session, checkpoints=[checkpoint(execution_id, "charge/#intent1", kind=Kind.INTENT)])
    await world.suspend(session, execution_id, HOUR)

    await world.store.resolve(execution_id, "charge", value=b"1", by="ann")

    assert (await world.claim_one(session)).id == execution_id
