"""Retrying an execution takes along the children that ended with it."""

from __future__ import annotations

from stepwell.core.model import (
    ExecutionId,
    Failed,
    Outcome,
    SessionId,
)
from stepwell.core.status import Status
from tests.store.world import FAILED, STOPPED, World


def failed(*steps: str) -> Failed:
    return Failed(b'{"type":"ChildFailed"}', "ChildFailed: no", steps)


async def family_of_three(world: World, session: SessionId) -> list[ExecutionId]:
    """A parent, its child and that one's child, all running."""
    parent, middle = await world.family(session)
    leaf = await world.child(session, middle, "leaf")
    assert await world.claimed_ids(session) == [leaf]
    return [parent, middle, leaf]


async def test_retry_takes_along_the_children_whose_failure_ended_it_and_theirs(world: World) -> None:
    session = await world.worker()
    parent, middle, leaf = await family_of_three(world, session)
    await world.end(session, leaf, failed("pay"))
    await world.end(session, middle, failed("leaf"))
    await world.end(session, parent, failed("bill"))

    assert await world.store.reopen(parent, by="ann") == (Status.PENDING, True)

    assert set(await world.claimed_ids(session)) == {parent, middle, leaf}
    assert await world.audited() == [("ann", "retry")]


async def test_retry_takes_along_the_children_that_ended_because_it_did(world: World) -> None:
    session = await world.worker()
    family = await family_of_three(world, session)
    for id in family:
        await world.end(session, id, STOPPED)

    await world.store.reopen(family[0])

    assert set(await world.claimed_ids(session)) == set(family)


async def test_retry_leaves_other_children_as_they_are(world: World) -> None:
    """One failed, but the parent did not fail for it; one was cancelled by somebody; one was only started."""
    session = await world.worker()
    parent = await world.running(session)
    keys: dict[str, Outcome] = {"caught": FAILED, "blamed": FAILED, "cancelled": STOPPED}
    children = {key: await world.child(session, parent, key) for key in keys}
    children["started"] = await world.child(session, parent, "started", is_called=False)
    assert set(await world.claimed_ids(session)) == set(children.values())
    for key, child in children.items():
        await world.end(session, child, keys.get(key, FAILED))
    await world.end(session, parent, failed("blamed", "started"))

    await world.store.reopen(parent)

    assert set(await world.claimed_ids(session)) == {parent, children["blamed"]}


async def test_child_that_still_cleans_up_is_not_taken_along(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    await world.end(session, parent, STOPPED)
    assert world.beat(session) == frozenset({called})

    await world.store.reopen(parent)

    assert world.beat(session) == frozenset({called})
    await world.end(session, called, STOPPED)
    assert (await world.see(called)).status is Status.CANCELLED
    assert await world.claimed_ids(session) == [parent]


async def test_retry_of_a_child_alone_leaves_its_parent(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    await world.end(session, called, failed("pay"))
    await world.end(session, parent, failed("bill"))

    await world.store.reopen(called)

    assert await world.claimed_ids(session) == [called]
    assert (await world.see(parent)).status is Status.FAILED
