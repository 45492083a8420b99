"""Every trouble that the fakes can make, at every vendor: what creates something comes through it, and does it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stepwell import App, Status, Step
from stepwell.connectors import AzureDevOps, ClickUp, GitHub, Shopify
from stepwell.testing import connection, lent_connections, running, served
from stepwell.testing.vendors import FakeAzureDevOps, FakeClickUp, FakeGitHub, FakeShopify, FakeVendor


@dataclass
class Vendor:
    """A fake, where it answers, its credentials, and something that is created there."""

    fake: Callable[[], FakeVendor]
    settings: Callable[[str], dict[str, str]]
    secrets: dict[str, str]
    create: Callable[[], Any]
    arguments: tuple[Any, ...]
    what: str


VENDORS = {
    "azure-devops": Vendor(
        FakeAzureDevOps,
        lambda url: {"base_url": f"{url}/fabrikam", "organization": "fabrikam", "project": "Shop"},
        {"pat": "pat-1"},
        lambda: AzureDevOps("acme").create_work_item,
        ("Bug", "The basket forgets"),
        "work item created",
    ),
    "clickup": Vendor(
        FakeClickUp,
        lambda url: {"base_url": f"{url}/api/v2", "team": "9001"},
        {"token": "pk_1"},
        lambda: ClickUp("acme").create_task,
        ("901", "Boxes"),
        "task created",
    ),
    "github": Vendor(
        FakeGitHub,
        lambda url: {"base_url": url},
        {"token": "ghp_1"},
        lambda: GitHub("acme").create_issue,
        ("octo-org/shop", "Spelling"),
        "issue created",
    ),
    "shopify": Vendor(
        FakeShopify,
        lambda url: {"base_url": url, "shop": "acme"},
        {"token": "shpat_1"},
        lambda: Shopify("acme").set_product,
        ({"handle": "tea"}, {"title": "Tea"}),
        "product created",
    ),
}
COMMON: dict[str, dict[str, Any]] = {
    "limit": {"retry_after": "2.0"},
    "fail": {"status": 500},
    "drop": {},
    "drop_after_commit": {},
    "slow": {"seconds": 0.01},
    "slow_down": {"retry_after": "2.0"},
}
CASES = [(vendor, switch) for vendor in VENDORS for switch in COMMON]
CASES += [("shopify", "throttle"), ("azure-devops", "sign_in_page")]


@pytest.mark.parametrize(("name", "switch"), CASES)
async def test_step_comes_through_the_trouble_and_has_one_effect(name: str, switch: str) -> None:
    status, fake = await made(VENDORS[name], lambda fake: getattr(fake.switches, switch)(**COMMON.get(switch, {})))

    assert (status, fake.ledger.count(VENDORS[name].what)) == (Status.COMPLETED, 1)


@pytest.mark.parametrize("name", VENDORS)
async def test_refused_credentials_park_the_step_and_nothing_is_done(name: str) -> None:
    status, fake = await made(VENDORS[name], FakeVendor.expire_tokens)

    assert (status, fake.ledger.count(VENDORS[name].what)) == (Status.WAITING, 0)


async def made(vendor: Vendor, spoil: Callable[[FakeVendor], None]) -> tuple[Status, FakeVendor]:
    """What has become, an hour later, of an execution that creates something while that goes wrong."""
    app, fake = App(), vendor.fake()

    @app.workflow
    async def flow(step: Step) -> None:
        await step.run("create", vendor.create(), *vendor.arguments)

    async with served(fake) as url:
        settings = vendor.settings(url)
        lent = connection("acme", fake.name, settings=settings, **vendor.secrets)
        async with lent_connections(lent), running(app) as lab:
            spoil(fake)
            handle = await app.start(flow)
            await lab.settle()
            await lab.advance("1h")
            return await handle.status(), fake
