"""A webhook and a look at the vendor tell of the same event: together they start one execution, in whatever order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from stepwell import App
from stepwell.connectors import AzureDevOps, ClickUp, GitHub, Shopify
from stepwell.core.triggers import WebhookTrigger
from stepwell.inbox.starting import Found as Delivered
from stepwell.inbox.starting import new_delivery
from stepwell.testing import connection, lent_connections, running, served
from stepwell.testing.vendors import FakeAzureDevOps, FakeClickUp, FakeGitHub, FakeShopify, FakeVendor, Outgoing
from tests.connectors.deliveries import envelope_of

HOOK = "https://hooks.example.com"
SHOP = "octo-org/shop"


@dataclass
class Case:
    """A vendor with a webhook, a trigger for what it tells, and how one more thing happens there."""

    fake: FakeVendor
    trigger: WebhookTrigger
    happen: Callable[[str], object]


@asynccontextmanager
async def azure_devops() -> AsyncIterator[Case]:
    fake = FakeAzureDevOps()
    fake.subscribe("workitem.created", HOOK)
    trigger = AzureDevOps("acme").on_work_item_created(reconcile="15m")
    async with served(fake) as url:
        settings = {"base_url": f"{url}/fabrikam", "organization": "fabrikam"}
        async with lent_connections(connection("acme", "azure-devops", settings=settings, pat="pat-1")):
            yield Case(fake, trigger, lambda title: fake.create_work_item("Bug", title))


@asynccontextmanager
async def github() -> AsyncIterator[Case]:
    fake = FakeGitHub()
    hook = fake.add_webhook(SHOP, HOOK, secret="s3cret", events=["issues"])
    trigger = GitHub("acme").on_issue_opened(reconcile="15m")
    async with served(fake) as url:
        settings = {"base_url": url, "webhook_id": str(hook.id), "repository": SHOP}
        async with lent_connections(connection("acme", "github", settings=settings, token="ghp_1")):
            yield Case(fake, trigger, lambda title: fake.open_issue(SHOP, title))


@asynccontextmanager
async def clickup() -> AsyncIterator[Case]:
    fake = FakeClickUp()
    fake.add_webhook(HOOK, "taskCreated")
    trigger = ClickUp("acme").on_task_created(reconcile="15m")
    async with served(fake) as url:
        settings = {"base_url": f"{url}/api/v2", "team": "9001"}
        async with lent_connections(connection("acme", "clickup", settings=settings, token="pk_1")):
            yield Case(fake, trigger, lambda title: fake.create_task("901", title))


@asynccontextmanager
async def shopify() -> AsyncIterator[Case]:
    fake = FakeShopify()
    fake.subscribe("orders/create", HOOK)
    trigger = Shopify("acme").on_order_created(reconcile="15m")
    async with served(fake) as url:
        settings = {"base_url": url, "shop": "acme"}
        async with lent_connections(connection("acme", "shopify", settings=settings, token="shpat_1")):
            yield Case(fake, trigger, lambda title: fake.create_order((title, 1, "1.00")))


async def deliver(app: App, sent: Outgoing) -> None:
    """The webhook comes, and is answered with 202."""
    store = (await app.open()).store
    revision, hooks = await store.inbox.hooks()
    envelope = envelope_of(sent.source, sent.body, sent.headers)
    delivery = new_delivery(Delivered(sent.source, "acme", envelope, sent.headers, sent.body, store.now()), hooks)
    assert await store.inbox.accept([delivery], revision=revision)
    sent.answered(202, 1)


@pytest.mark.parametrize("vendor", [azure_devops, clickup, github, shopify])
async def test_lost_webhook_is_found_and_starts_one_execution(
    vendor: Callable[[], AbstractAsyncContextManager[Case]],
) -> None:
    app = App()
    async with vendor() as case:

        @app.workflow(trigger=case.trigger)
        async def note() -> None:
            return None

        async with running(app, triggers=True) as lab:
            await lab.advance("15m")
            case.happen("delivered")
            case.happen("lost")
            case.happen("late")
            first, _, late = case.fake.outgoing.all
            await deliver(app, first)
            await lab.advance("30m")
            await deliver(app, late)
            await lab.advance("30m")

            executions = await app.list(workflow="note")
            reconciled = await app.deliveries(is_reconciled=True)

    assert len(executions) == 3
    assert len(reconciled) == 2
