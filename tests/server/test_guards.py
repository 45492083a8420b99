"""Who is served without tokens, decided by facts of a request alone.

The security table: admin API open by default, CSRF.
"""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from stepwell.server.guards import bearer_of, is_loopback, refuse_strangers
from stepwell.server.problems import Refusal


def verdict(
    method: str = "GET",
    *,
    client: str | None = "127.0.0.1",
    host: str = "localhost:8300",
    public_url: str | None = None,
    **headers: str,
) -> int:
    """200, or the status of the refusal."""
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        refuse_strangers(method=method, scheme="http", client=client, headers=Headers(given), public_url=public_url)
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1"])
@pytest.mark.parametrize("host", ["localhost", "LocalHost:8300", "127.0.0.1:8300", "[::1]:8300", "localhost."])
def test_this_machine_is_served(client: str, host: str) -> None:
    assert verdict(client=client, host=host) == 200
    assert verdict("POST", client=client, host=host) == 200


@pytest.mark.parametrize(
    "client", ["10.0.0.1", "192.168.1.9", "8.8.8.8", "0.0.0.0", "fe80::1%eth0", "::ffff:10.0.0.1", "::", "", "x", None]
)
def test_other_machines_are_not(client: str | None) -> None:
    assert verdict(client=client) == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8300", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "", "[", "@",
     "localhost@evil.example", "evil.example#localhost"],
)  # fmt: skip
def test_name_that_was_turned_into_our_address_is_refused(host: str) -> None:
    """DNS rebinding: the browser believes to talk to the other site, and would read the answer."""
    assert verdict(host=host) == 403


@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for", "x_forwarded_host", "x_real_ip"])
def test_what_comes_through_a_proxy_is_not_of_this_machine(header: str) -> None:
    assert verdict(**{header: "127.0.0.1"}) == 401


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:5173", "https://localhost:8300", "http://127.0.0.1:8300", ""],
)
def test_web_page_of_another_origin_may_change_nothing(origin: str) -> None:
    """CSRF: a form of another site, or of another program on this machine."""
    assert verdict("POST", origin=origin) == 403
    assert verdict("GET", origin=origin) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_browser_that_says_that_another_site_asks_is_believed(site: str) -> None:
    assert verdict("POST", sec_fetch_site=site) == 403


def test_own_pages_may_change_things() -> None:
    assert verdict("POST", origin="http://localhost:8300", sec_fetch_site="same-origin") == 200


def test_public_url_is_another_name_of_this_server() -> None:
    url = "https://flows.example.com"

    assert verdict("POST", host="flows.example.com", origin=url, public_url=url) == 200
    assert verdict("POST", host="evil.example", origin=url, public_url=url) == 403


@pytest.mark.parametrize("given", ["Basic YTpi", "Bearer", "Bearer ", "sw_x", ""])
def test_only_bearer_tokens_are_understood(given: str) -> None:
    with pytest.raises(Refusal) as refused:
        bearer_of(Headers({"authorization": given}))

    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_two_tokens_are_one_too_many() -> None:
    twice = Headers(raw=[(b"authorization", b"Bearer sw_a"), (b"authorization", b"Bearer sw_b")])

    with pytest.raises(Refusal):
        bearer_of(twice)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.255.255.254"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)
