"""One request of a connector to a vendor: a real server on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stepwell.connectors import HttpConnector, Setting, VendorBusy, VendorError, VendorRejected
from stepwell.core.connections import Connection
from stepwell.errors import InvalidOption, NeedsReauthorisation, NotYet, UnknownConnection
from stepwell.testing.connections import GivenConnections, connection, lent_connections
from stepwell.testing.serving import served

CANARY = "canary-9f3a"


class Example(HttpConnector):
    name = "example"
    title = "Example"
    base_url = "https://{account}.example.com"
    settings = (Setting("token", "the API token", is_secret=True),)


@dataclass
class Vendor:
    """Answers as it is told to, and keeps what it was asked."""

    url: str = ""
    answers: list[Callable[[], Response]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        await request.body()
        self.asked.append(request)
        return self.answers.pop(0)() if self.answers else Response(b'{"ok": true}', media_type="application/json")

    def next(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self.answers.append(lambda: Response(body, status, named))


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    async with served(Starlette(routes=[Route("/{path:path}", vendor.answer, methods=["GET", "POST"])])) as url:
        vendor.url = url
        yield vendor


@pytest.fixture
async def lent(vendor: Vendor) -> AsyncIterator[GivenConnections]:
    async with lent_connections(
        connection("acme", "example", settings={"base_url": vendor.url}, token=CANARY)
    ) as connections:
        yield connections


async def test_request_is_authorised_and_carries_json(vendor: Vendor, lent: GivenConnections) -> None:
    answer = await Example("acme").request(
        "POST", "/things", operation="make a thing", query={"q": 1}, json={"n": 2**70}
    )

    assert answer.json() == {"ok": True}
    asked = vendor.asked[0]
    assert (asked.method, asked.url.path, asked.url.query) == ("POST", "/things", "q=1")
    assert asked.headers["authorization"] == f"Bearer {CANARY}"
    assert await asked.body() == b'{"n":%d}' % 2**70


async def test_limit_puts_the_step_off_and_closes_the_connection_for_all(
    vendor: Vendor, lent: GivenConnections
) -> None:
    vendor.next(429, retry_after="2.0")

    with pytest.raises(NotYet, match="Example limits"):
        await Example("acme").request("GET", "/", operation="look")
    with pytest.raises(NotYet, match="Example limits"):
        await Example("acme").request("GET", "/", operation="look")
    assert len(vendor.asked) == 1


async def test_failure_of_the_vendor_is_tried_again_and_says_when(vendor: Vendor, lent: GivenConnections) -> None:
    vendor.next(500, b"oops")
    vendor.next(503, retry_after="30")

    with pytest.raises(VendorError, match=r"example \(acme\), look: answered 500: oops"):
        await Example("acme").request("GET", "/", operation="look")
    with pytest.raises(VendorBusy) as busy:
        await Example("acme").request("GET", "/", operation="look")
    assert busy.value.delay.total_seconds() == 30


async def test_rejected_request_is_not_tried_again(vendor: Vendor, lent: GivenConnections) -> None:
    vendor.next(422, b"no such field")

    with pytest.raises(VendorRejected, match="no such field") as rejected:
        await Example("acme").request("GET", "/", operation="look")
    assert rejected.value.status == 422


async def test_redirect_is_not_followed(vendor: Vendor, lent: GivenConnections) -> None:
    vendor.next(302, location="http://169.254.169.254/")

    with pytest.raises(VendorRejected, match="redirects are not followed"):
        await Example("acme").request("GET", "/", operation="look")
    assert len(vendor.asked) == 1


async def test_refused_credentials_are_renewed_once_and_then_need_somebody(
    vendor: Vendor, lent: GivenConnections
) -> None:
    async def renew(refused: Connection) -> Connection:
        return connection("acme", "example", settings=dict(refused.settings), token="fresh")

    lent.renew = renew  # type: ignore[method-assign]
    vendor.next(401)
    await Example("acme").request("GET", "/", operation="look")
    vendor.next(401)
    vendor.next(401)

    with pytest.raises(NeedsReauthorisation, match="acme"):
        await Example("acme").request("GET", "/", operation="look")
    assert [one.headers["authorization"] for one in vendor.asked][:2] == [f"Bearer {CANARY}", "Bearer fresh"]


async def test_vendor_that_is_not_there_is_an_error_without_secrets(lent: GivenConnections) -> None:
    lent.given["acme"] = connection("acme", "example", settings={"base_url": "http://127.0.0.1:1"}, token=CANARY)

    with pytest.raises(VendorError, match="ConnectError") as unreachable:
        await Example("acme").request("GET", "/", operation="look")
    assert CANARY not in str(unreachable.value) + repr(unreachable.value)


async def test_five_failures_in_a_row_leave_the_vendor_alone_for_a_while(
    vendor: Vendor, lent: GivenConnections
) -> None:
    for _ in range(5):
        vendor.next(500)
        with pytest.raises(VendorError):
            await Example("acme").request("GET", "/", operation="look")

    with pytest.raises(NotYet, match="5 failures in a row"):
        await Example("acme").request("GET", "/", operation="look")
    assert len(vendor.asked) == 5


async def test_connection_of_another_system_or_without_its_secret_is_refused(lent: GivenConnections) -> None:
    lent.given["acme"] = connection("acme", "other", token="x")
    with pytest.raises(InvalidOption, match="one of other, not of example"):
        await Example("acme").request("GET", "/", operation="look")

    lent.given["acme"] = connection("acme", "example")
    with pytest.raises(InvalidOption, match=r"has no token .*`stepwell connections rotate \w+ --secret token` sets it"):
        await Example("acme").request("GET", "/", operation="look")


async def test_connector_says_what_it_lacks() -> None:
    with pytest.raises(InvalidOption, match="no App lends it"):
        await Example("acme").request("GET", "/", operation="look")
    async with lent_connections():
        with pytest.raises(InvalidOption, match="names no connection"):
            await Example().request("GET", "/", operation="look")
        with pytest.raises(UnknownConnection, match="stepwell connections add acme"):
            await Example("acme").request("GET", "/", operation="look")


@pytest.mark.parametrize("path", ["https://elsewhere.example/", "http://127.0.0.1:1/", "http://u@elsewhere.example"])
async def test_credentials_go_nowhere_but_to_the_address_of_the_connection(
    vendor: Vendor, lent: GivenConnections, path: str
) -> None:
    with pytest.raises(InvalidOption, match="no credentials of this connection go there"):
        await Example("acme").request("GET", path, operation="look")

    assert vendor.asked == []


async def test_whole_url_at_the_address_of_the_connection_is_asked(vendor: Vendor, lent: GivenConnections) -> None:
    await Example("acme").request("GET", f"{vendor.url}/next?page=2", operation="look")

    assert [(one.url.path, one.url.query) for one in vendor.asked] == [("/next", "page=2")]
