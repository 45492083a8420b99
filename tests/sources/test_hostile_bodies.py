"""Bodies that no honest sender sends are classified or refused, never raised about, and what is stored can be stored.

NUL (F68), numbers without end (F69, F71), nesting without end (F70) and keys without end (F75), in every field that is
read.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.webhooks import Envelope
from stepwell.sources import Refused, Request
from stepwell.sources.reading import FORM, MAX_TEXT_BYTES, storable
from stepwell.sources.samples import sample_types
from tests.sources.endpoints import BY_NAME, ENDPOINTS, Endpoint

DEEP = 200_000
HOSTILE = {
    "nothing": b"",
    "null": b"null",
    "text": b'"workitem.created"',
    "list": b"[]",
    "number": b"1e999",
    "not a number": b'{"id": NaN}',
    "nested lists": b"[" * DEEP,
    "nested and closed": b'{"resource":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "nested objects": b'{"a":' * DEEP,
    "half": b'{"id": "a',
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "UTF-16": '{"id": "a"}'.encode("utf-16"),
    "lone surrogate": b'{"id": "\\ud800", "type": "\\udfff"}',
    "key that is no UTF-8": b'{"\xff": 1}',
    "twice": b'{"id": 1, "id": {}}',
    "long number": b'{"id": ' + b"9" * 5_000 + b"}",
}
VALUES = [
    "\0",
    "a\0b",
    "x" * 1_001,
    "é" * 600,
    "\ufeff",
    2**63,
    2**64,
    -1,
    0,
    True,
    1.5,
    None,
    [],
    {},
    [[1]],
    {"id": {}},
    [{"id": 1}],
    "../..",
    "<script>",
    "*",
]

endpoints = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)


def is_storable(text: str | None) -> bool:
    return text is None or (bool(text) and "\0" not in text and len(text.encode()) <= MAX_TEXT_BYTES)


def check(found: Envelope | Refused) -> None:
    if isinstance(found, Envelope):
        for text in (found.type, found.dedupe_key, found.subject, found.tenant):
            assert is_storable(text), text
    else:
        assert found.reason


def requests_with(endpoint: Endpoint, body: bytes) -> list[Request]:
    """The body with all headers of each type, as a form, and without any header."""
    posted = [endpoint.delivery(type, body=body) for type in sample_types(endpoint.source.name)]
    return [*posted, Request.post({"Content-Type": FORM}, body), Request.post({}, body)]


@endpoints
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_body_is_classified_or_refused(endpoint: Endpoint, body: bytes) -> None:
    for request in requests_with(endpoint, body):
        check(endpoint.classify(request))


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place inside a JSON value."""
    match value:
        case dict():
            inner = [place for key, one in value.items() for place in places(one, (*path, key))]
        case list():
            inner = [place for key, one in enumerate(value) for place in places(one, (*path, key))]
        case _:
            inner = []
    return [*([path] if path else []), *inner]


def with_value(value: object, path: tuple[str | int, ...], new: object) -> object:
    if not path:
        return new
    copy = value.copy() if isinstance(value, dict | list) else {}
    copy[path[0]] = with_value(copy[path[0]], path[1:], new)  # type: ignore[index]
    return copy


@endpoints
def test_every_field_of_every_sample_may_hold_anything(endpoint: Endpoint) -> None:
    for type in sample_types(endpoint.source.name):
        body = json.loads(endpoint.delivery(type).body)
        for place in places(body):
            for value in VALUES:
                changed = json.dumps(with_value(body, place, value)).encode()
                check(endpoint.classify(Request.post({"X-GitHub-Event": "issues", "X-Shopify-Topic": type}, changed)))


@given(
    endpoint=st.sampled_from(ENDPOINTS),
    body=st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"X-GitHub-Event", b"X-Shopify-Topic", b"ce-id", b"ce-type", b"webhook-id"]),
            st.binary(max_size=2_000),
        )
    ),
)
def test_classifying_never_raises_whatever_the_bytes(
    endpoint: Endpoint, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    check(endpoint.classify(Request("POST", headers, body)))


def test_number_beyond_64_bits_is_kept_with_all_its_digits() -> None:
    body = b'{"subscriptionId": "s", "id": 18446744073709551616, "eventType": "build.complete"}'

    found = BY_NAME["azure-devops"].classify(Request.post({}, body))

    assert found == Envelope("build.complete", "s:18446744073709551616")


@given(text=st.text() | st.text(min_size=900, max_size=1_100) | st.from_regex("\ud800|\0"))
def test_text_is_stored_as_it_is_or_as_its_hash(text: str) -> None:
    stored = storable(text)

    assert "\0" not in stored
    assert len(stored.encode()) <= MAX_TEXT_BYTES
    assert stored == text or stored.startswith("sha256:")


def test_texts_that_cannot_be_stored_stay_different() -> None:
    assert storable("a\0") != storable("b\0")
    assert storable("x" * 1_001) != storable("x" * 1_002)
    assert storable("x" * MAX_TEXT_BYTES) == "x" * MAX_TEXT_BYTES
