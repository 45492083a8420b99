"""Requests that are no deliveries get the answer that the vendor waits for, once they are proven."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stepwell.sources import SOURCES, Answer, Request, handshake
from tests.sources.endpoints import BY_NAME, ENDPOINTS, NOW, Endpoint

SLACK, CLOUDEVENTS = BY_NAME["slack"], BY_NAME["cloudevents"]
CHALLENGE = b'{"token": "x", "type": "url_verification", "challenge": "3eZbrw1aB10FEMAGAZd4FyFQ"}'


def answer(endpoint: Endpoint, request: Request) -> Answer | None:
    return handshake(endpoint.source, request, [endpoint.secret], settings=endpoint.settings, now=NOW)


def test_slacks_challenge_is_echoed() -> None:
    found = answer(SLACK, SLACK.delivery("message", body=CHALLENGE))

    assert found is not None
    assert (found.status, json.loads(found.body)) == (200, {"challenge": "3eZbrw1aB10FEMAGAZd4FyFQ"})
    assert found.headers == {"Content-Type": "application/json"}


def test_challenge_that_is_not_proven_is_not_echoed() -> None:
    right = SLACK.delivery("message", body=CHALLENGE)

    assert answer(SLACK, Request.post({}, CHALLENGE)) is None
    assert answer(SLACK, replace(right, body=CHALLENGE.replace(b"3e", b"3f"))) is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"type": "url_verification"}', b'{"type": "x", "challenge": "y"}', b"{" * 99_999]
)
def test_what_is_no_challenge_is_no_handshake(body: bytes) -> None:
    assert answer(SLACK, SLACK.delivery("message", body=body)) is None


def asking(*headers: tuple[str, str], method: str = "OPTIONS", query: bytes = b"") -> Request:
    return replace(Request.post(headers, b"", query), method=method)


ORIGIN = ("WebHook-Request-Origin", "eventgrid.azure.net")


def test_origin_may_send_to_an_endpoint_that_takes_all() -> None:
    allowed = {"WebHook-Allowed-Origin": "eventgrid.azure.net", "WebHook-Allowed-Rate": "*", "Allow": "POST, OPTIONS"}

    assert answer(CLOUDEVENTS, asking(ORIGIN)) == Answer(200, allowed)
    assert answer(CLOUDEVENTS, asking(ORIGIN, ("Authorization", "Bearer token-0123456789"))) == Answer(200, allowed)
    assert answer(CLOUDEVENTS, asking(ORIGIN, query=b"access_token=token-0123456789")) == Answer(200, allowed)


def test_origin_that_is_not_named_may_not_send() -> None:
    endpoint = replace(CLOUDEVENTS, settings={"hook_origins": "a.example eventgrid.azure.net", "hook_rate": "120"})

    allowed, refused = answer(endpoint, asking(ORIGIN)), answer(endpoint, asking((ORIGIN[0], "evil.example")))

    assert allowed is not None
    assert allowed.headers["WebHook-Allowed-Rate"] == "120"
    assert refused == Answer(403)


def test_origin_that_asks_with_a_wrong_token_is_not_answered() -> None:
    assert answer(CLOUDEVENTS, asking(ORIGIN, ("Authorization", "Bearer wrong"))) is None
    assert answer(CLOUDEVENTS, asking(ORIGIN, query=b"access_token=wrong")) is None


@pytest.mark.parametrize("origin", ["", "a b", "a\r\nX: y", "a\0", "\xff", "a" * 254])
def test_origin_that_is_no_name_of_a_host_is_not_echoed(origin: str) -> None:
    assert answer(CLOUDEVENTS, asking((ORIGIN[0], origin))) is None


def test_endpoint_that_is_not_set_up_right_gives_nobody_leave() -> None:
    assert answer(replace(CLOUDEVENTS, settings={"hook_origin": "a.example"}), asking(ORIGIN)) is None


def test_options_without_an_origin_and_posts_are_no_handshake() -> None:
    assert answer(CLOUDEVENTS, asking()) is None
    assert answer(CLOUDEVENTS, asking(ORIGIN, method="POST")) is None


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_delivery_is_no_handshake(endpoint: Endpoint) -> None:
    assert answer(endpoint, endpoint.delivery()) is None


def test_two_sources_have_a_handshake() -> None:
    assert {name for name, source in SOURCES.items() if source.handshake} == {"slack", "cloudevents"}
