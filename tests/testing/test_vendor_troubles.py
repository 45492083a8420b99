"""What all fakes of vendors do when their switches are turned, and what a fake has to say itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing import served
from stepwell.testing.vendors import FakeVendor

SIGNAL_SECONDS = 30.0  # how long a test waits for what must come


class Counter(FakeVendor):
    """A vendor that counts, for everybody."""

    name = "counter"

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/count", self._count, methods=["POST"])]

    def refused(self, request: Request) -> Response | None:
        return None

    async def _count(self, _: Request) -> Response:
        self.ledger.record("counted", len(self.ledger.effects))
        self.has_counted.set()
        return JSONResponse({"count": len(self.ledger.effects)})

    def __init__(self) -> None:
        self.has_counted = asyncio.Event()
        super().__init__(tokens=())


async def test_slow_answer_comes_after_the_work_was_done() -> None:
    """So a client that gives up, or is killed, has left an effect behind."""
    fake = Counter()
    fake.switches.slow(seconds=3_600)
    async with served(fake) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        asking = asyncio.create_task(client.post("/count"))
        await asyncio.wait_for(fake.has_counted.wait(), SIGNAL_SECONDS)

        assert not asking.done()
        assert fake.ledger.count("counted") == 1
        asking.cancel()


@pytest.mark.parametrize("missing", ["routes", "refused"])
def test_fake_without_routes_or_credentials_cannot_be_made(missing: str) -> None:
    kind: Any = type("Half", (Counter,), {missing: getattr(FakeVendor, missing)})

    with pytest.raises(TypeError, match=missing):
        kind()


def test_shop_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepwell.testing import vendors

    for name in [name for name in sys.modules if name.startswith("stepwell.testing.vendors.shopify")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(vendors), "FakeShopify", raising=False)
    monkeypatch.setitem(sys.modules, "graphql", None)

    with pytest.raises(ImportError, match=r"pip install 'stepwell\[fakes\]'"):
        vendors.FakeShopify  # noqa: B018 - loading it is the test
