from __future__ import annotations

import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.payload import (
    COMPRESS_ABOVE_BYTES,
    MAX_DEPTH,
    PAYLOAD_LIMIT_BYTES,
    TEXT_LIMIT_BYTES,
    depth_of,
    is_same,
    pack,
    refuse_deep,
    unpack,
)
from stepwell.errors import InvalidValue, PayloadTooLarge


def noise(size: int) -> bytes:
    """Printable text that no compression makes much shorter: six bits in each byte."""
    alphabet = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
    return b'"' + bytes(random.Random(7).choices(alphabet, k=size - 2)) + b'"'


@given(st.text(max_size=100), st.sampled_from([1, 1000, 5000]))
def test_unpacking_gives_back_what_was_packed(text: str, times: int) -> None:
    stored = b'"' + text.encode() * times + b'"'

    assert unpack(pack(stored)) == stored


def test_short_text_is_stored_as_it_is() -> None:
    text = b'"' + b"a" * (COMPRESS_ABOVE_BYTES - 2) + b'"'

    assert pack(text) is text


def test_long_text_is_stored_compressed_behind_a_byte_no_json_begins_with() -> None:
    text = b'"' + b"a" * COMPRESS_ABOVE_BYTES + b'"'

    packed = pack(text)

    assert packed[0] == 1
    assert len(packed) < len(text) / 50


def test_long_text_under_the_limit_is_stored_also_when_it_hardly_compresses() -> None:
    text = noise(PAYLOAD_LIMIT_BYTES)

    assert unpack(pack(text)) == text


def test_what_is_still_above_the_limit_when_compressed_is_refused_with_both_sizes() -> None:
    """F74"""
    text = noise(2 * PAYLOAD_LIMIT_BYTES)

    with pytest.raises(PayloadTooLarge) as refused:
        pack(text)

    assert refused.value.limit_bytes == PAYLOAD_LIMIT_BYTES
    assert PAYLOAD_LIMIT_BYTES < refused.value.size_bytes < len(text)


def test_text_of_any_compressibility_has_a_limit_and_just_below_it_is_readable() -> None:
    largest = b'"' + b"a" * (TEXT_LIMIT_BYTES - 2) + b'"'

    assert unpack(pack(largest)) == largest
    with pytest.raises(PayloadTooLarge) as refused:
        pack(largest + b" ")
    assert (refused.value.size_bytes, refused.value.limit_bytes) == (TEXT_LIMIT_BYTES + 1, TEXT_LIMIT_BYTES)


def test_stored_bytes_that_expand_without_end_are_refused_before_they_do() -> None:
    bomb = b"\x01" + zlib.compress(bytes(4 * TEXT_LIMIT_BYTES), 9)

    with pytest.raises(PayloadTooLarge):
        unpack(bomb)


@pytest.mark.parametrize(
    "damaged",
    [
        b"\x01",
        b"\x01not compressed at all",
        b"\x01" + zlib.compress(b"[1, 2, 3]")[:-3],
        b"\x01" + zlib.compress(b"[1, 2, 3]") + b"more",
    ],
)
def test_damaged_stored_bytes_are_named_as_such(damaged: bytes) -> None:
    with pytest.raises(InvalidValue, match="stored damaged"):
        unpack(damaged)


def levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


tricky_text = st.text('[]{}"\\a', max_size=6)
trees = st.recursive(
    tricky_text, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(tricky_text, inner, max_size=3)
)


@given(trees)
def test_depth_counts_brackets_outside_of_strings_only(value: Any) -> None:
    assert depth_of(json.dumps(value).encode()) == levels(value)


def test_text_is_refused_from_the_first_level_too_many() -> None:
    """F70"""
    refuse_deep(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(InvalidValue, match="nested deeper than 100 levels"):
        refuse_deep(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":{"c":[1,2],"d":null}}', b'{ "b": {"d": null, "c": [1, 2]}, "a": 1 }'),
        (b'"\\u00e9"', '"\N{LATIN SMALL LETTER E WITH ACUTE}"'.encode()),
        (pack(b'["' + b"x" * 100_000 + b'"]'), b'["' + b"x" * 100_000 + b'"]'),
    ],
)
def test_payloads_that_are_written_otherwise_hold_the_same(one: bytes, other: bytes) -> None:
    assert is_same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"[1,2]", b"[2,1]"),
        (b"1", b"1.0"),
        (b"1", b"true"),
        (b"1", b'["1"]'),
        (b"0.1", b"0.10000000000000000001"),
        (b"9007199254740993", b"9007199254740992.0"),
        (b'{"a":null}', b"{}"),
    ],
)
def test_payloads_with_any_other_value_are_not_the_same(one: bytes, other: bytes) -> None:
    assert not is_same(one, other)
