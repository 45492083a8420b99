"""A trigger with `reconcile=` asks the vendor for what its webhooks have not brought."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from stepwell import App, NotYet, Status, WebhookEvent
from stepwell.core.triggers import WebhookTrigger, reconcile
from stepwell.core.webhooks import Envelope, Found, FoundEvent
from stepwell.inbox.starting import Found as Delivered
from stepwell.inbox.starting import new_delivery
from stepwell.runtime.starters import put_in_force
from stepwell.store.memory import MemoryStore
from stepwell.testing import Lab, running


class Vendor:
    """Has orders, and tells of those that came after a cursor; two at a time."""

    def __init__(self) -> None:
        self.orders: list[int] = []
        self.asked: list[str | None] = []
        self.refusals = 0
        self.on_page: Callable[[], Awaitable[None]] | None = None  # once

    async def find(self, cursor: str | None) -> Found:
        if self.refusals:
            self.refusals -= 1
            raise NotYet("10s", "too many requests")
        self.asked.append(cursor)
        at = int(cursor or 0)
        page = self.orders[at : at + 2]
        end = at + len(page)
        if (interrupt := self.on_page) is not None:
            self.on_page = None
            await interrupt()
        return Found([found(order) for order in page], str(end), has_more=end < len(self.orders))


def found(order: int) -> FoundEvent:
    return FoundEvent(Envelope("order.made", f"found:{order}", subject=f"order:{order}"), b'{"order":%d}' % order)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def app(vendor: Vendor) -> App:
    app = App()

    @app.workflow(trigger=WebhookTrigger("shop", ("order.*",), "acme", reconcile=reconcile(vendor.find, every="15m")))
    async def ship(event: WebhookEvent) -> int:
        return int(event.raw["order"])

    return app


@pytest.fixture
async def lab(app: App) -> AsyncIterator[Lab]:
    async with running(app, triggers=True) as lab:
        yield lab


async def deliver(app: App, order: int) -> None:
    """The vendor's webhook comes."""
    store = (await app.open()).store
    revision, hooks = await store.inbox.hooks()
    envelope = Envelope("order.made", str(uuid4()), subject=f"order:{order}")
    body = b'{"order":%d}' % order
    delivery = new_delivery(Delivered("shop", "acme", envelope, {}, body, store.now()), hooks)
    assert await store.inbox.accept([delivery], revision=revision)


async def shipped(app: App) -> list[int]:
    """What was shipped, in the order of the starts."""
    executions = await app.list(workflow="ship", status=Status.COMPLETED)
    return [await app.result(one.id) for one in reversed(executions)]


async def test_lost_delivery_is_found_and_starts_exactly_one_execution(app: App, vendor: Vendor, lab: Lab) -> None:
    vendor.orders = [1, 2, 3]
    await deliver(app, 1)
    await deliver(app, 3)
    await lab.advance("1h")

    assert sorted(await shipped(app)) == [1, 2, 3]
    assert [one.subject for one in await app.deliveries(is_reconciled=True)] == ["order:2"]


async def test_first_look_is_at_once_so_that_what_gets_lost_from_then_on_is_found(
    app: App, vendor: Vendor, lab: Lab
) -> None:
    """It finds out where to begin: with a nightly look, nothing of the first day would be found otherwise."""
    await lab.settle()

    assert vendor.asked == [None]
    (look,) = await app.list(workflow="ship.reconcile")
    assert look.status is Status.COMPLETED


async def test_other_processes_that_start_do_not_look_again(app: App, vendor: Vendor, lab: Lab) -> None:
    await lab.settle()
    await put_in_force((await app.open()).store, app.registry)
    await lab.settle()

    assert vendor.asked == [None]


async def test_paused_look_is_not_begun(app: App, vendor: Vendor) -> None:
    async with App(MemoryStore()) as other:
        other.workflow(trigger=WebhookTrigger("shop", ("*",), "acme", reconcile=reconcile(vendor.find, every="1d")))(
            ship
        )
        store = (await other.open()).store
        await store.catalog.apply_schedules(other.registry.schedules, workflows=other.registry.names)
        await other.pause_schedule("ship.reconcile")

        await put_in_force(store, other.registry)

        assert await other.list() == []


async def ship(event: WebhookEvent) -> None:
    """Does nothing."""


async def test_look_says_how_many_were_lost(app: App, vendor: Vendor, lab: Lab) -> None:
    vendor.orders = [1, 2, 3]
    await deliver(app, 2)
    await lab.advance("15m")

    second, first = await app.list(workflow="ship.reconcile")
    assert (await app.result(first.id), await app.result(second.id)) == (2, 0)


async def test_webhook_that_comes_after_all_starts_nothing_more(app: App, vendor: Vendor, lab: Lab) -> None:
    vendor.orders = [1]
    await lab.advance("15m")
    await deliver(app, 1)
    await lab.advance("15m")

    assert await shipped(app) == [1]


async def test_look_goes_on_from_the_cursor_page_by_page(app: App, vendor: Vendor, lab: Lab) -> None:
    vendor.orders = [1, 2, 3, 4, 5]
    await lab.advance("15m")
    vendor.orders += [6]
    await lab.advance("15m")

    assert vendor.asked == [None, "2", "4", "5", "5"]
    assert sorted(await shipped(app)) == [1, 2, 3, 4, 5, 6]


async def test_what_starts_nothing_here_is_not_kept(app: App, vendor: Vendor, lab: Lab) -> None:
    vendor.orders = [1, 2]
    for order in vendor.orders:
        await deliver(app, order)
    await lab.advance("15m")

    assert await app.deliveries(is_reconciled=True) == []


async def test_look_waits_while_the_vendor_limits_it(app: App, vendor: Vendor, lab: Lab) -> None:
    vendor.orders, vendor.refusals = [1], 20
    await lab.advance("1h")

    assert await shipped(app) == [1]


async def test_crash_in_the_middle_of_a_look_starts_nothing_twice(app: App, vendor: Vendor, lab: Lab) -> None:
    vendor.orders, vendor.on_page = [1, 2, 3, 4, 5], lab.crash
    await lab.advance("1h")

    assert vendor.asked[:3] == [None, None, "2"]  # the first look was cut, and begun again by another worker
    assert sorted(await shipped(app)) == [1, 2, 3, 4, 5]


async def test_crash_after_the_starts_and_before_the_cursor_starts_nothing_twice(
    app: App, vendor: Vendor, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = (await app.open()).store.catalog
    advance, cuts = catalog.advance, [1]

    async def cut_once(*arguments: Any, **options: Any) -> bool:
        if cuts:
            cuts.pop()
            await lab.crash()
        return await advance(*arguments, **options)

    monkeypatch.setattr(catalog, "advance", cut_once)
    vendor.orders = [1, 2, 3]
    await lab.advance("1h")

    assert vendor.asked[:2] == [None, None]
    assert sorted(await shipped(app)) == [1, 2, 3]
    assert len(await app.deliveries(is_reconciled=True)) == 3
