"""What of a workflow webhooks start: declared, put in force, kept for as long as it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from stepwell import App, InvalidOption, Step, WebhookEvent, webhook
from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.webhooks import Envelope, HookSpec, NewDelivery
from stepwell.runtime.starters import put_in_force
from stepwell.runtime.upkeep import remove
from stepwell.store.identity import new_id
from stepwell.store.memory import MemoryStore


@dataclass(frozen=True)
class OrderCreated(WebhookEvent):
    """As a connector's events are."""


async def test_declared_webhooks_are_in_force_once_a_worker_starts() -> None:
    store = MemoryStore()
    app = App(store)

    @app.workflow(
        queue="crm",
        trigger=[webhook("shopify", ("orders/*", "refunds/create"), connection="acme"), webhook("github", id="pushes")],
    )
    async def order(event: OrderCreated, step: Step, dry: bool = False) -> None: ...

    @app.workflow(trigger=webhook("stripe"))
    async def nothing_asked() -> None: ...

    await put_in_force(store, app.registry)

    assert (await store.inbox.hooks())[1] == [
        HookSpec("nothing-asked", "nothing-asked", "default", None, "stripe", ("*",)),
        HookSpec("order", "order", "crm", "event", "shopify", ("orders/*", "refunds/create"), "acme"),
        HookSpec("pushes", "order", "crm", "event", "github", ("*",)),
    ]


async def test_second_webhook_of_a_workflow_without_an_id_is_numbered() -> None:
    app = App(MemoryStore())

    @app.workflow(trigger=[webhook("github"), webhook("shopify")])
    async def order(event: WebhookEvent | None) -> None: ...

    assert [(spec.id, spec.parameter) for spec in app.registry.hooks] == [("order", "event"), ("order#2", "event")]


def test_misspelt_source_is_refused_since_no_delivery_would_ever_come() -> None:
    app = App(MemoryStore())

    with pytest.raises(InvalidOption, match=r"no source of webhooks is called 'gihtub'; there are: .*github"):

        @app.workflow(trigger=webhook("gihtub"))
        async def triage(event: WebhookEvent) -> None: ...


def test_workflow_that_needs_more_than_a_delivery_is_refused() -> None:
    app = App(MemoryStore())

    with pytest.raises(InvalidOption, match=r"one parameter may be annotated as WebhookEvent.*\(payload\)"):

        @app.workflow(trigger=webhook("github"))
        async def order(payload: dict[str, str], event: WebhookEvent) -> None: ...


def test_two_webhooks_of_one_id_are_refused() -> None:
    app = App(MemoryStore())

    @app.workflow(trigger=webhook("github", id="in"))
    async def order(event: WebhookEvent) -> None: ...

    with pytest.raises(InvalidOption, match="two triggers by webhooks are called 'in'"):

        @app.workflow(trigger=webhook("shopify", id="in"))
        async def other(event: WebhookEvent) -> None: ...


def test_newest_version_says_what_starts_it() -> None:
    app = App(MemoryStore())

    @app.workflow(id="order", version=1, trigger=webhook("github"))
    async def first(event: WebhookEvent) -> None: ...

    @app.workflow(id="order", version=2, trigger=webhook("shopify"))
    async def second(happened: WebhookEvent) -> None: ...

    assert [(spec.id, spec.source, spec.parameter) for spec in app.registry.hooks] == [("order", "shopify", "happened")]


@pytest.mark.parametrize(("days", "is_there"), [(6, True), (8, False)])
async def test_deliveries_are_kept_for_a_week(days: int, is_there: bool) -> None:
    store = MemoryStore()
    new = NewExecution(ExecutionId(new_id()), "order", b"{}", key="k")
    one = NewDelivery(new_id(), "github", None, Envelope("push", "1"), {}, b"{}", (new,))
    await store.inbox.accept([one], revision=0)
    store.clock.advance(timedelta(days=days))

    await remove(store, App(store).registry)

    assert (await store.inbox.delivery(one.id) is not None) is is_there


@pytest.mark.parametrize("given", ["soon", "10s"])
async def test_deliveries_cannot_be_kept_for_what_is_no_time(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_DELIVERY_RETENTION", given)

    with pytest.raises(InvalidOption, match="STEPWELL_DELIVERY_RETENTION"):
        async with App(MemoryStore()).worker():
            pass


async def test_deliveries_are_kept_as_long_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_DELIVERY_RETENTION", "30d")

    app = App(MemoryStore())

    @app.workflow
    async def order(event: WebhookEvent) -> None: ...

    async with app.worker() as worker:
        assert worker._settings.deliveries_for == timedelta(days=30)
