"""There is a sample of every source, and each is a new event when it is to be."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest

from stepwell.core.webhooks import Envelope
from stepwell.errors import InvalidOption
from stepwell.sources import SOURCES
from stepwell.sources.samples import number_of, sample, sample_types
from tests.sources.endpoints import BY_NAME, ID, NOW

OTHER = UUID("0198a5c0-9999-7aaa-8bbb-ccccddddeeee")
CASES = [(name, type) for name in SOURCES for type in sample_types(name)]
each = pytest.mark.parametrize(("name", "type"), CASES)


def test_every_source_has_a_sample() -> None:
    assert {name for name, _ in CASES} == set(SOURCES)


@each
def test_sample_is_json_of_a_few_kilobytes(name: str, type: str) -> None:
    body = sample(name, type, id=ID, now=NOW)

    assert isinstance(json.loads(body), dict)
    assert len(body) < 4_000


@each
def test_same_id_is_the_same_event_and_another_is_another(name: str, type: str) -> None:
    endpoint = BY_NAME[name]
    first, again, other = (endpoint.classify(endpoint.delivery(type, id=id)) for id in (ID, ID, OTHER))

    assert isinstance(first, Envelope)
    assert isinstance(other, Envelope)
    assert first == again
    assert first.dedupe_key != other.dedupe_key
    assert first.subject is None or first.subject != other.subject


@each
def test_sample_tells_of_no_time_but_the_one_it_is_sent_at(name: str, type: str) -> None:
    later = sample(name, type, id=ID, now=NOW + timedelta(days=1)).decode()

    assert "2026-01-02T03:04:05" not in later
    assert "1767323045" not in later


def test_number_of_an_id_fits_where_vendors_have_31_bits() -> None:
    for id in (UUID(int=0), UUID(int=2**128 - 1), ID):
        assert 1_000_000_000 <= number_of(id) < 2**31


def test_type_without_a_sample_is_refused_with_all_that_have_one() -> None:
    with pytest.raises(InvalidOption, match="orders/create"):
        sample("shopify", "orders/paid", id=ID, now=NOW)
    with pytest.raises(InvalidOption, match="generic"):
        sample_types("gitlab")
