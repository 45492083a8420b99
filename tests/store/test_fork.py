"""Executions that begin with the history of another one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from stepwell.core.model import ExecutionId, Failed, Forked, Kind, NewCheckpoint, NewFork, Suspended
from stepwell.core.status import Status
from stepwell.store.identity import new_id
from tests.store.world import DONE, HOUR, World, checkpoint, unknown

NO_EDIT: Mapping[str, bytes] = {}


async def fork(
    world: World, source: ExecutionId, from_step: str | None = None, *, edit: Mapping[str, bytes] = NO_EDIT
) -> ExecutionId:
    """A fork that is made."""
    new = NewFork(source, ExecutionId(new_id()), from_step, edit=edit)
    assert await world.store.fork(new, by="ann") is Forked.MADE
    return new.id


async def source(world: World, *flushes: list[tuple[str, Kind]], failed: str = "") -> ExecutionId:
    """An execution that stored these, flush by flush, and that the failure of a step ended, if one is named."""
    session = await world.worker("gone:1")
    started = await world.running(session, tags=("eu",), key="k", input=b'"in"')
    for n, flush in enumerate(flushes):
        rows = [checkpoint(started, key, f"{n}".encode(), kind=kind, is_failure=key == failed) for key, kind in flush]
        await world.flush(session, checkpoints=rows)
    await world.end(session, started, Failed(b"e", "no", (failed,)) if failed else DONE)
    await world.store.close_session(session)
    return started


STEPS = [[("fetch", Kind.STEP)], [("pay", Kind.STEP)], [("send", Kind.STEP)]]


async def test_fork_is_a_new_execution_with_the_input_and_tags_and_nothing_else(world: World) -> None:
    old = await source(world, *STEPS)
    before = await world.see(old)

    new = await world.see(await fork(world, old))

    assert (new.input, new.tags, new.workflow, new.queue) == (b'"in"', ("eu",), "order", "default")
    assert (new.key, new.result, new.parent_id, new.status, new.passes) == (None, None, None, Status.PENDING, 0)
    assert (new.fork_of, new.seed) == (old, old)
    assert await world.see(old) == before
    assert await world.audited(old) == [("ann", "fork")]


async def test_record_of_a_fork_names_the_new_execution(world: World) -> None:
    old = await source(world)
    new = await fork(world, old)

    (record,) = await world.store.audits(old, before=None, limit=5)

    assert record.detail == str(new)


@pytest.mark.parametrize(
    ("from_step", "kept"),
    [
        (None, {"fetch", "pay", "send"}),
        ("", set()),
        ("fetch", set()),
        ("pay", {"fetch"}),
        ("send", {"fetch", "pay"}),
    ],
)
async def test_first_claim_of_a_fork_comes_with_what_was_stored_before_the_step(
    world: World, from_step: str | None, kept: set[str]
) -> None:
    old = await source(world, *STEPS)

    new = await fork(world, old, from_step)

    claimed = await world.claim_one(await world.worker())
    assert (claimed.id, claimed.passes, claimed.seed, set(claimed.checkpoints)) == (new, 1, old, kept)
    assert claimed.is_fresh is False


async def test_what_was_stored_together_with_the_step_is_kept(world: World) -> None:
    """Branches that ran side by side: one was not before the other."""
    old = await source(world, [("a", Kind.STEP)], [("b", Kind.STEP), ("c", Kind.STEP)], [("d", Kind.STEP)])

    assert await world.keys(await fork(world, old, "b")) == ["a", "c"]


MAP = [
    [("fetch", Kind.STEP)],
    [("enrich/#0", Kind.ITEM), ("enrich/#3", Kind.ITEM)],
    [("enrich/#1", Kind.ITEM), ("enrich", Kind.MAP)],
    [("enrich#2", Kind.STEP)],
]


@pytest.mark.parametrize(
    ("from_step", "kept"),
    [
        ("enrich", ["fetch"]),
        ("enrich/#3", ["enrich/#0", "fetch"]),
        ("enrich/#1", ["enrich/#0", "enrich/#3", "fetch"]),
        ("enrich#2", ["enrich", "enrich/#0", "enrich/#1", "enrich/#3", "fetch"]),
    ],
)
async def test_fork_from_a_map_runs_all_its_items_and_from_an_item_that_one_and_later_ones(
    world: World, from_step: str, kept: list[str]
) -> None:
    old = await source(world, *MAP)

    assert await world.keys(await fork(world, old, from_step)) == kept


async def test_fork_from_a_map_that_has_not_ended_runs_all_its_items(world: World) -> None:
    old = await source(world, *MAP[:2], failed="enrich/#3")

    assert await world.keys(await fork(world, old, "enrich")) == ["fetch"]


async def test_what_a_branch_did_below_the_step_goes_with_it(world: World) -> None:
    old = await source(world, [("fetch", Kind.STEP)], [("fetch/store", Kind.STEP)], [("fetch#2", Kind.STEP)])

    assert await world.keys(await fork(world, old, "fetch/store")) == ["fetch"]
    assert await world.keys(await fork(world, old, "fetch")) == []


async def test_waits_and_results_of_children_are_history_like_steps(world: World) -> None:
    kinds = (Kind.WAIT, Kind.FIRST, Kind.RESULT, Kind.CHILD, Kind.SLEEP, Kind.VALUE, Kind.TRANSACTION, Kind.EFFECT)
    old = await source(world, *([(f"{kind}", kind)] for kind in kinds), [("last", Kind.STEP)])

    await fork(world, old, "last")

    claimed = await world.claim_one(await world.worker())
    assert {key: stored.kind for key, stored in claimed.checkpoints.items()} == {str(kind): kind for kind in kinds}
    assert claimed.parent_id is None


async def test_failures_that_ended_the_old_one_are_left_out_and_caught_ones_kept(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.flush(session, checkpoints=[checkpoint(started, key, is_failure=True) for key in ("caught", "pay")])
    await world.end(session, started, Failed(b"e", "no", ("pay",)))

    assert await world.keys(await fork(world, started)) == ["caught"]
    assert await world.keys(started) == ["caught", "pay"]


async def test_edited_results_replace_the_stored_ones(world: World) -> None:
    old = await source(world, *STEPS)

    new = await fork(world, old, "send", edit={"pay": b"9"})

    history = (await world.claim_one(await world.worker())).checkpoints
    assert {key: stored.value for key, stored in history.items()} == {"fetch": b"0", "pay": b"9"}
    assert new != old


async def test_failure_that_ended_the_old_one_can_be_edited_to_a_result(world: World) -> None:
    old = await source(world, *STEPS, failed="send")

    await fork(world, old, edit={"send": b"9"})

    stored = (await world.claim_one(await world.worker())).checkpoints["send"]
    assert (stored.value, stored.is_failure) == (b"9", False)


@pytest.mark.parametrize("kind", [Kind.SLEEP, Kind.VALUE, Kind.MAP, Kind.WAIT, Kind.FIRST, Kind.CHILD, Kind.INTENT])
async def test_only_results_can_be_edited(world: World, kind: Kind) -> None:
    old = await source(world, [("it", kind)])
    new = NewFork(old, ExecutionId(new_id()), edit={"it": b"9"})

    assert await world.store.fork(new, by="ann") is Forked.NO_EDIT


async def test_fork_that_cannot_be_made_leaves_nothing(world: World) -> None:
    old = await source(world, *STEPS)
    new = ExecutionId(new_id())

    for wrong, expected in (
        (NewFork(unknown(), new), Forked.NO_EXECUTION),
        (NewFork(old, new, "pya"), Forked.NO_STEP),
        (NewFork(old, new, "pa"), Forked.NO_STEP),
        (NewFork(old, new, "pay", edit={"send": b"1"}), Forked.NO_EDIT),
        (NewFork(old, new, edit={"fetch": b"1", "pya": b"1"}), Forked.NO_EDIT),
    ):
        assert await world.store.fork(wrong, by="ann") is expected

    assert await world.store.get(new) is None
    assert await world.audited() == []


async def test_fork_with_another_input_begins_without_history(world: World) -> None:
    old = await source(world, *STEPS)
    new = NewFork(old, ExecutionId(new_id()), "", b'"other"')

    assert await world.store.fork(new, by="ann") is Forked.MADE

    claimed = await world.claim_one(await world.worker())
    assert (claimed.input, claimed.checkpoints) == (b'"other"', {})


async def test_fork_of_a_fork_sees_the_random_numbers_of_the_first(world: World) -> None:
    old = await source(world, *STEPS)
    middle = await fork(world, old)
    last = await fork(world, middle, "pay")

    seen = await world.see(last)

    assert (seen.fork_of, seen.seed) == (middle, old)
    assert await world.keys(last) == ["fetch"]


async def test_fork_of_a_fork_has_what_the_first_one_stored_since(world: World) -> None:
    old = await source(world, STEPS[0])
    middle = await fork(world, old)
    session = await world.worker()
    assert (await world.claim_one(session)).id == middle
    await world.flush(session, checkpoints=[checkpoint(middle, "new")])

    last = await fork(world, middle, "new")

    assert await world.keys(last) == ["fetch"]
    assert (await world.see(middle)).status is Status.RUNNING


async def test_fork_that_has_not_begun_ends_at_once_when_it_is_cancelled(world: World) -> None:
    """Its history is another one's: there is nothing of its own to clean up."""
    new = await fork(world, await source(world, *STEPS))

    assert await world.store.reopen(new) == (Status.PENDING, False)
    assert await world.store.cancel(new, reason="by mistake") == (Status.CANCELLED, True)


async def test_fork_that_goes_on_stores_its_own_outcomes(world: World) -> None:
    old = await source(world, *STEPS)
    new = await fork(world, old, "pay")
    session = await world.worker()
    await world.claim_one(session)
    await world.flush(session, checkpoints=[NewCheckpoint(new, "pay", Kind.STEP, 7, b"9")])
    await world.end(session, new, Suspended(world.store.now(), None))

    assert set((await world.claim_one(session)).checkpoints) == {"fetch", "pay"}
    assert await world.keys(old) == ["fetch", "pay", "send"]


async def test_fork_of_what_was_removed_is_refused(world: World) -> None:
    old = await source(world, *STEPS)
    world.advance(2 * HOUR)
    await world.store.remove({"order": HOUR})

    assert await world.store.fork(NewFork(old, ExecutionId(new_id())), by="ann") is Forked.NO_EXECUTION


@pytest.mark.parametrize("from_step", [None, "send"])
async def test_fork_has_intended_none_of_the_effects_of_its_source(world: World, from_step: str | None) -> None:
    """What became of an attempt that was cut is the source's question: the fork asks under a key of its own."""
    begun = [("charge/#intent1", Kind.INTENT), ("charge/#failed1", Kind.INTENT), ("charge/#intent2", Kind.INTENT)]
    paid = [("pay/#intent1", Kind.INTENT), ("pay", Kind.EFFECT)]
    old = await source(world, paid, begun, [("send", Kind.STEP)])

    await fork(world, old, from_step)

    claimed = await world.claim_one(await world.worker())
    assert claimed.checkpoints.keys() == {"pay"} | ({"send"} if from_step is None else set())
