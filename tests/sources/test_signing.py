"""What is signed here is taken here; what was changed on the way, or comes at another time, is not.

(The security row "replay" of the catalogue of faults.)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.sources import Refused, Verified
from stepwell.sources.samples import sample_types
from tests.sources.endpoints import ENDPOINTS, NOW, SIGNED, TIMED, Endpoint, value_of, with_header

endpoints = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
signed = pytest.mark.parametrize("endpoint", SIGNED, ids=lambda endpoint: endpoint.name)
timed = pytest.mark.parametrize("endpoint", TIMED, ids=lambda endpoint: endpoint.name)


@endpoints
@given(body=st.binary(max_size=300))
def test_any_bytes_that_were_signed_are_taken(endpoint: Endpoint, body: bytes) -> None:
    assert endpoint.verify(endpoint.delivery(body=body)) == Verified(0)


@endpoints
def test_every_sample_is_taken(endpoint: Endpoint) -> None:
    for type in sample_types(endpoint.source.name):
        assert endpoint.verify(endpoint.delivery(type)) == Verified(0), type


@signed
@given(data=st.data())
def test_byte_that_was_changed_in_the_body_is_noticed(endpoint: Endpoint, data: st.DataObject) -> None:
    request = endpoint.delivery()
    place = data.draw(st.integers(0, len(request.body) - 1))
    changed = bytearray(request.body)
    changed[place] ^= data.draw(st.integers(1, 255))

    assert isinstance(endpoint.verify(replace(request, body=bytes(changed))), Refused)


@endpoints
@given(data=st.data())
def test_byte_that_was_changed_in_a_proof_is_noticed(endpoint: Endpoint, data: st.DataObject) -> None:
    request = endpoint.delivery()
    name = data.draw(st.sampled_from(endpoint.proof_headers))
    value = bytearray(value_of(request, name))
    place = data.draw(st.integers(value.find(b" ") + 1, len(value) - 1))  # the name `Basic` is one in any case
    value[place] ^= data.draw(st.integers(1, 127))
    changed = with_header(request, name, bytes(value))

    assert isinstance(endpoint.verify(changed), Refused) or is_same_credential(endpoint, changed, request)


def is_same_credential(endpoint: Endpoint, one: object, other: object) -> bool:
    """Base64 has spare bits: two texts that stand for the same password are both right."""
    scheme = endpoint.source.scheme(endpoint.settings)
    return endpoint not in SIGNED and scheme.presented(one) == scheme.presented(other)  # type: ignore[union-attr,arg-type]


@timed
@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_delivery_within_five_minutes_is_taken(endpoint: Endpoint, seconds: int) -> None:
    assert endpoint.verify(endpoint.delivery(), now=NOW + timedelta(seconds=seconds)) == Verified(0)


@timed
@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 86_400])
def test_replay_outside_of_five_minutes_is_refused_both_ways(endpoint: Endpoint, seconds: int) -> None:
    assert isinstance(endpoint.verify(endpoint.delivery(), now=NOW + timedelta(seconds=seconds)), Refused)


@timed
def test_new_timestamp_over_an_old_delivery_is_refused(endpoint: Endpoint) -> None:
    old, later = endpoint.delivery(), NOW + timedelta(hours=1)
    before, after = str(int(NOW.timestamp())).encode(), str(int(later.timestamp())).encode()

    fresh = replace(old, headers=[(name, value.replace(before, after)) for name, value in old.headers])

    assert isinstance(endpoint.verify(fresh, now=later), Refused)


@pytest.mark.parametrize("name", ["standard-webhooks", "standard-webhooks v1a", "generic all"])
def test_new_id_over_an_old_delivery_is_refused_where_the_id_is_signed(name: str) -> None:
    endpoint = next(endpoint for endpoint in TIMED if endpoint.name == name)
    header = endpoint.settings.get("hook_id_header", "webhook-id")

    assert isinstance(endpoint.verify(with_header(endpoint.delivery(), header, b"another")), Refused)


@endpoints
def test_secret_that_is_no_longer_active_proves_nothing(endpoint: Endpoint) -> None:
    assert isinstance(endpoint.verify(endpoint.delivery(), secrets=[endpoint.secret + b"A"]), Refused)
