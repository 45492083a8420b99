"""Versions of a workflow: an execution begins with its worker's newest one, and only workers that have it go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepwell.core.model import Claimed, ClaimRequest, ExecutionId, NewFork, SessionId
from stepwell.store.identity import new_id
from tests.store.world import MINUTE, World

BOTH = ("order", "order@1", "order@2")


async def claim(
    world: World, session: SessionId, *, code: Sequence[str] = BOTH, newest: Mapping[str, int] | None = None
) -> list[Claimed]:
    request = ClaimRequest(("default",), tuple(code), 100, versions=newest or {})
    return list((await world.store.claim(session, request)).executions)


async def begun(world: World, session: SessionId, version: int) -> ExecutionId:
    """An execution that began with this version, and is due again."""
    execution_id = await world.start()
    await claim(world, session, newest={"order": version})
    await world.suspend(session, execution_id, MINUTE)
    return execution_id


async def test_execution_begins_with_the_newest_version_and_keeps_it(world: World) -> None:
    session = await world.worker(workflows=BOTH)
    execution_id = await world.start()

    (first,) = await claim(world, session, newest={"order": 1})
    await world.suspend(session, execution_id, MINUTE)
    world.advance(2 * MINUTE)
    (second,) = await claim(world, session, newest={"order": 2})

    assert (first.version, second.version) == (1, 1)
    assert (await world.see(execution_id)).version == 1


async def test_worker_without_the_version_does_not_claim_it(world: World) -> None:
    """F98."""
    session = await world.worker(workflows=("order", "order@2"))
    execution_id = await begun(world, session, 1)
    world.advance(2 * MINUTE)

    assert await claim(world, session, code=("order", "order@2"), newest={"order": 2}) == []
    assert (await world.see(execution_id)).why == "no worker has version 1 of this workflow; sleeping"
    assert [one.id for one in await claim(world, session)] == [execution_id]


async def test_execution_that_began_without_a_version_stays_without_one(world: World) -> None:
    session = await world.worker()
    execution_id = await world.running(session)
    await world.suspend(session, execution_id, MINUTE)
    world.advance(2 * MINUTE)

    (again,) = await claim(world, session, newest={"order": 2})

    assert (again.id, again.version) == (execution_id, None)


async def test_fork_has_the_version_of_its_source(world: World) -> None:
    session = await world.worker(workflows=BOTH)
    source = await begun(world, session, 1)
    fork = ExecutionId(new_id())

    await world.store.fork(NewFork(source, fork, None, None, {}), by="ann")

    assert (await world.see(fork)).version == 1
    assert [one.version for one in await claim(world, session, newest={"order": 2})] == [1]
