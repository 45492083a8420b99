"""What an endpoint is given is checked when it is set up: secrets that prove nothing, settings that make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from stepwell.errors import InvalidOption
from stepwell.sources import (
    SOURCES,
    Refused,
    Request,
    check_secret,
    check_settings,
    sign,
    source_named,
    stored_headers,
    verify,
)
from tests.sources.endpoints import BY_NAME, ED25519_PRIVATE, ED25519_PUBLIC, ENDPOINTS, NOW, Endpoint

endpoints = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)


@endpoints
def test_right_secret_and_settings_are_taken(endpoint: Endpoint) -> None:
    check_settings(endpoint.source, endpoint.settings)
    check_secret(endpoint.source, endpoint.secret, settings=endpoint.settings)


@endpoints
@pytest.mark.parametrize("secret", [b"", b" ", b"\n", b"\t "])
def test_empty_secret_is_refused_when_the_endpoint_is_set_up(endpoint: Endpoint, secret: bytes) -> None:
    with pytest.raises(InvalidOption, match="empty"):
        check_secret(endpoint.source, secret, settings=endpoint.settings)


@endpoints
@pytest.mark.parametrize("ending", [b"\n", b" ", b"\r\n", b"\0", b"a\nb"])
def test_secret_as_a_file_or_a_copy_spoils_it_is_refused_and_not_quoted(endpoint: Endpoint, ending: bytes) -> None:
    with pytest.raises(InvalidOption) as refused:
        check_secret(endpoint.source, endpoint.secret + ending, settings=endpoint.settings)

    assert endpoint.secret.decode() not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("azure-devops", b"password alone"),
        ("azure-devops", b"user:"),
        ("standard-webhooks", b"whsec_"),
        ("standard-webhooks", b"whsec_!!!"),
        ("standard-webhooks", b"whpk_AAAA"),
        ("standard-webhooks", ED25519_PRIVATE),
        ("generic basic", b":"),
    ],
)
def test_secret_that_is_no_key_of_its_kind_is_refused(name: str, secret: bytes) -> None:
    with pytest.raises(InvalidOption, match="give") as refused:
        check_secret(BY_NAME[name].source, secret, settings=BY_NAME[name].settings)

    assert secret.decode() not in str(refused.value) or len(secret) < 10


def test_public_key_signs_nothing() -> None:
    with pytest.raises(InvalidOption, match="sign"):
        sign(SOURCES["standard-webhooks"], b"", ED25519_PUBLIC, type="a", id="b", now=NOW)


WRONG: list[tuple[str, Mapping[str, str]]] = [
    ("github", {"hook_header": "X"}),
    ("generic", {"hook_heder": "X-Sig"}),
    ("generic", {"hook_header": "X Sig"}),
    ("generic", {"hook_header": ""}),
    ("generic", {"hook_header": "X-Sig\r\nX: y"}),
    ("generic", {"hook_algorithm": "md5"}),
    ("generic", {"hook_encoding": "hex64"}),
    ("generic", {"hook_proof": "none"}),
    ("generic", {"hook_proof": ""}),
    ("generic", {"hook_id_field": "a..b"}),
    ("generic", {"hook_signed": "{timestamp}"}),
    ("generic", {"hook_signed": "{secret}{body}"}),
    ("generic", {"hook_signed": "{timestamp}.{body}"}),
    ("generic", {"hook_signed": "{id}.{body}"}),
    ("generic", {"hook_timestamp_header": "X-Time", "hook_signed": "{body}"}),
    ("azure-devops", {"hook_proof": "hmac"}),
    ("cloudevents", {"hook_rate": "many"}),
    ("cloudevents", {"hook_origins": "a.example\r\nX: y"}),
]


@pytest.mark.parametrize(("name", "settings"), WRONG, ids=repr)
def test_setting_that_makes_no_sense_is_refused_by_name_and_lets_nobody_in(
    name: str, settings: Mapping[str, str]
) -> None:
    with pytest.raises(InvalidOption, match="hook_"):
        check_settings(SOURCES[name], settings)

    assert isinstance(verify(SOURCES[name], Request.post({}, b""), [b"x"], settings=settings, now=NOW), Refused)


def test_settings_of_the_connector_are_passed_over() -> None:
    settings = {"tenant": "acme", "header": "not ours"}

    check_settings(SOURCES["github"], settings)

    request = BY_NAME["github"].delivery()
    assert not isinstance(
        verify(SOURCES["github"], request, [BY_NAME["github"].secret], settings=settings, now=NOW), Refused
    )


def test_source_that_is_none_is_refused_with_all_that_are() -> None:
    with pytest.raises(InvalidOption, match="azure-devops, clickup, shopify"):
        source_named("gitlab")


SECRET_HEADERS = {
    "Authorization": "Basic YTpi",
    "PROXY-Authorization": "Basic YTpi",
    "Cookie": "a=b",
    "X-Api-Key": "0a1b",
    "X-Key": "key",
}


@endpoints
def test_headers_that_are_kept_hold_no_secret(endpoint: Endpoint) -> None:
    delivery = endpoint.delivery()
    sent = [*delivery.headers, *((name.encode(), value.encode()) for name, value in SECRET_HEADERS.items())]

    kept = stored_headers(endpoint.source, Request("POST", sent, b"", b"access_token=x"), settings=endpoint.settings)

    assert not kept.keys() & {"authorization", "proxy-authorization", "cookie"}
    assert endpoint.secret.decode() not in repr(kept)
    assert endpoint.source.scheme(endpoint.settings).secret_headers.isdisjoint(kept)
    assert kept["content-type"] == endpoint.source.content_type


def test_headers_are_kept_as_texts_that_can_be_stored() -> None:
    request = Request("POST", [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"\xff\x00")], b"")

    assert stored_headers(SOURCES["github"], request) == {"x-a": "1, 2", "x-b": "\xff�"}


def test_schedule_of_a_vendor_says_when_it_sends_again() -> None:
    azure_devops, clickup, github = (SOURCES[name].retries for name in ("azure-devops", "clickup", "github"))

    assert azure_devops.next_delay(503, attempt=1) == timedelta(seconds=1)
    assert azure_devops.next_delay(503, attempt=8) == timedelta(seconds=60)
    assert azure_devops.next_delay(503, attempt=9) is None
    assert azure_devops.next_delay(500, attempt=1) is None  # not transient: it goes on probation
    assert azure_devops.next_delay(410, attempt=1) is None
    assert clickup.next_delay(500, attempt=4) is not None
    assert clickup.next_delay(500, attempt=5) is None
    assert clickup.next_delay(410, attempt=1) is None
    assert github.next_delay(500, attempt=1) is None
    assert SOURCES["slack"].retries.next_delay(500, attempt=1) == timedelta(0)
    assert all(source.retries.next_delay(202, attempt=1) is None for source in SOURCES.values())


def test_schedules_are_within_what_vendors_say() -> None:
    totals = {name: sum(source.retries.delays, timedelta(0)) for name, source in SOURCES.items()}

    assert timedelta(hours=3) < totals["shopify"] <= timedelta(hours=4)
    assert len(SOURCES["shopify"].retries.delays) == 8
    assert totals["stripe"] <= timedelta(days=3)
    assert len(SOURCES["standard-webhooks"].retries.delays) == 9


def test_only_larger_bodies_than_a_mebibyte_that_a_vendor_may_send_are_taken() -> None:
    larger = {name: source.max_body_bytes for name, source in SOURCES.items() if source.max_body_bytes != 1024 * 1024}

    assert larger == {"shopify": 8 * 1024 * 1024, "github": 25 * 1024 * 1024}


def test_no_setting_can_be_taken_for_one_of_a_connector() -> None:
    names = [setting.name for source in SOURCES.values() for setting in source.settings]

    assert [name for name in names if not name.startswith("hook_")] == []


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cloudevents", {"hook_origins": "a.example b.example", "hook_rate": "120"}),
        ("cloudevents", {"hook_origins": "*", "hook_rate": "*"}),
        ("azure-devops", {"hook_proof": "api-key", "hook_header": "X-Hook-Key"}),
        ("generic", {"hook_prefix": "", "hook_signed": "{body}", "hook_type_field": "a.b.c"}),
    ],
    ids=repr,
)
def test_setting_that_makes_sense_is_taken(name: str, settings: Mapping[str, str]) -> None:
    check_settings(SOURCES[name], settings)
