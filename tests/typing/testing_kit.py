"""What a type checker makes of the testing kit. Checked, not run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from stepwell import App, Handle, Step
from stepwell.testing import (
    Durability,
    Effects,
    Fake,
    Lab,
    Replayed,
    Standstill,
    SyncLab,
    assert_durable,
    replay,
    running,
)

app = App()


@app.workflow
async def order(number: int, step: Step) -> str:
    raise NotImplementedError


async def lab_of_an_async_test() -> None:
    async with running(app, now=datetime(2030, 1, 1, tzinfo=UTC)) as lab:
        assert_type(lab, Lab)
        assert_type(lab.now, datetime)
        assert_type(lab.fake("fetch", ConnectionError(), 42), Fake)
        assert_type(lab.fake(order, "done"), Fake)
        lab.fake(7, "done")  # type: ignore[arg-type]
        assert_type(await (await app.start(order, 7)).result(), str)
        await lab.advance("2d")
        await lab.advance(timedelta(days=2))
        await lab.settle()
        await lab.crash()
        await lab.advance(2)  # type: ignore[arg-type]


def lab_of_a_plain_test() -> None:
    with running(app) as lab:
        assert_type(lab, SyncLab)
        lab.advance("2d")
        assert_type(app.sync.start(order, 7).result(), str)
    running("flows:app")  # type: ignore[arg-type]


async def cancel(lab: Lab, handle: Handle[Any]) -> None:
    await lab.advance("1d")
    await handle.cancel()


async def wrong(lab: Lab) -> None: ...


async def durability(effects: Effects) -> None:
    found = await assert_durable(order, 7, effects=effects, fakes={"fetch": 42}, meanwhile=cancel, by=len)
    assert_type(found, Durability)
    assert_type(found.repeated, Mapping[str, int])
    await assert_durable(order, 7, meanwhile=wrong)  # type: ignore[arg-type]
    await assert_durable("order", 7)  # type: ignore[arg-type]


async def histories(history: str, standstill: Standstill) -> None:
    assert_type(await replay(history, order), Replayed)
    assert_type([one.why for one in standstill.executions], list[str | None])
