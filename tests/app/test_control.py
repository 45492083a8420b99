"""Pausing, resuming, forking, many at once, and the record of it, on PostgreSQL."""

from __future__ import annotations

import getpass
import socket
from typing import Any
from uuid import uuid4

import pytest

from stepwell import App, Bulk, InvalidOption, NotAllowed, Status, Step, UnknownExecution, UnknownStep


def look_up(item: str) -> int:
    return len(item)


@pytest.fixture
def order(app: App) -> Any:
    @app.workflow
    async def order(item: str, step: Step) -> list[Any]:
        price = await step.run("look-up", look_up, item)
        return [price, await step.run("pay", str, step.uuid())]

    return order


async def test_paused_execution_waits_until_it_is_resumed(app: App, order: Any) -> None:
    handle = await app.start(order, "chair")
    assert await app.pause(handle.id, reason="prices are wrong", by="ann") is Status.PENDING
    with pytest.raises(NotAllowed):
        await app.retry(handle.id)
    async with app.worker():
        assert (await app.get(handle.id)).why == "paused by ann"
        await app.resume(handle.id)
        assert (await handle.result("30s"))[0] == 5
    with pytest.raises(NotAllowed):
        await app.pause(handle.id)
    with pytest.raises(UnknownExecution):
        await app.resume(uuid4())


async def test_fork_keeps_what_was_before_the_step_and_sees_the_same_uuid(app: App, order: Any) -> None:
    async with app.worker():
        old = await app.start(order, "chair")
        result = await old.result("30s")
        same = await app.fork(old.id, from_step="pay")
        assert await same.result("30s") == result
        edited = await app.fork(same.id, from_step="pay", edit={"look-up": 9})
        assert await edited.result("30s") == [9, result[1]]
    assert (await app.get(edited.id)).fork_of == same.id
    with pytest.raises(UnknownStep):
        await app.fork(old.id, from_step="pya")


async def test_record_names_the_user_and_host_unless_it_is_told_who(app: App, order: Any) -> None:
    handle = await app.start(order, "chair")
    await app.pause(handle.id, reason="look")
    await app.resume(handle.id, by="ann")

    resumed, paused = await app.audit(handle.id)

    assert (paused.actor, paused.detail) == (f"{getpass.getuser()}@{socket.gethostname()}", "look")
    assert (resumed.actor, resumed.number > paused.number) == ("ann", True)
    assert await app.audit(handle.id, before=resumed.number) == [paused]


async def test_bulk_calls_go_through_all_pages_of_what_is_meant(app: App, order: Any) -> None:
    """Three pages of them."""

    @app.workflow
    async def other(step: Step) -> None: ...

    await app.start_many(order, ["chair"] * 1_200)
    spared = await app.start(other)

    assert await app.pause_many(workflow=order, dry_run=True) == Bulk(1_200, 0)
    assert await app.pause_many(workflow=order, by="ann") == Bulk(1_200, 1_200)
    assert await app.resume_many(workflow=order) == Bulk(1_200, 1_200)
    assert await app.resume_many(workflow=order) == Bulk(1_200, 0)
    assert await app.fork_many(workflow=other) == Bulk(1, 1)
    assert await app.cancel_many(workflow=order, status="pending", reason="sold out") == Bulk(1_200, 1_200)
    assert await app.retry_many(workflow=order, status="cancelled") == Bulk(1_200, 1_200)
    assert await spared.status() is Status.PENDING
    assert len(await app.audit(limit=10_000)) == 4 * 1_200 + 1
    with pytest.raises(InvalidOption):
        await app.pause_many()


def test_sync_form_has_the_same_calls(database_url: str) -> None:
    app = App(database_url)

    @app.workflow
    def flow(number: int) -> int:
        return number

    sync = app.sync
    try:
        handle = sync.start(flow, 1)
        assert sync.pause(handle.id, by="ann") is Status.PENDING
        assert sync.resume(handle.id, by="bob") is Status.PENDING
        assert sync.get(sync.fork(handle.id, 2).id).fork_of == handle.id
        assert sync.pause_many(workflow=flow) == Bulk(2, 2)
        assert sync.resume_many(workflow=flow, dry_run=True) == Bulk(2, 0)
        assert sync.resume_many(workflow=flow) == Bulk(2, 2)
        assert [record.action for record in sync.audit(handle.id)] == ["resume", "pause", "fork", "resume", "pause"]
    finally:
        sync.close()
