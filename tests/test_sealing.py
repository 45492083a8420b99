"""What is sealed opens with its key at its place, and nowhere else."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.connections import Secret
from stepwell.errors import InvalidOption, Unsealable
from stepwell.sealing import Key, Keyring, Place, key_id, new_key, parse_keys

HERE = Place("connection", "acme", "credentials")
CANARY = "canary-7c1e"


def ring(*ids: str) -> Keyring:
    return Keyring([new_key(id) for id in ids])


@given(st.binary(max_size=300))
def test_what_is_sealed_opens(value: bytes) -> None:
    keys = ring("k1")

    assert keys.open(keys.seal(value, HERE), HERE) == value


def test_same_value_is_sealed_differently_each_time() -> None:
    keys = ring("k1")

    assert len({keys.seal(b"x", HERE) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "place",
    [
        Place("connection", "other", "credentials"),
        Place("connection", "acme", "hook_secrets"),
        Place("application", "acme", "credentials"),
        Place("connectionacme", "", "credentials"),
    ],
)
def test_value_of_another_row_or_column_does_not_open(place: Place) -> None:
    keys = ring("k1")

    with pytest.raises(Unsealable) as caught:
        keys.open(keys.seal(CANARY.encode(), HERE), place)

    assert (caught.value.row, caught.value.key_id) == (place.row, "k1")
    assert CANARY not in str(caught.value)


def test_no_flipped_bit_opens() -> None:
    keys = ring("k1")
    sealed = keys.seal(b"value", HERE)

    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(Unsealable):
            keys.open(bytes(changed), HERE)


@given(st.binary(max_size=60))
def test_garbage_does_not_open(garbage: bytes) -> None:
    with pytest.raises(Unsealable):
        ring("k1").open(garbage, HERE)


def test_value_of_a_missing_key_is_refused_by_the_name_of_its_row_and_key() -> None:
    sealed = ring("old").seal(CANARY.encode(), HERE)

    with pytest.raises(Unsealable, match=r"credentials of connection 'acme', sealed with key 'old'.*has new"):
        ring("new").open(sealed, HERE)


def test_another_key_of_the_same_id_does_not_open() -> None:
    with pytest.raises(Unsealable, match="another key has this id"):
        ring("k1").open(ring("k1").seal(b"value", HERE), HERE)


def test_newest_key_seals_and_all_open() -> None:
    old, new = new_key("old"), new_key("new")
    sealed = Keyring([old]).seal(b"value", HERE)

    both = Keyring([new, old])

    assert both.open(sealed, HERE) == b"value"
    assert key_id(both.seal(b"value", HERE)) == "new"
    assert (both.is_newest(sealed), both.is_newest(both.seal(b"", HERE)), both.is_newest(None)) == (False, True, True)


def test_form_is_the_documented_one() -> None:
    """Another program can open it with the key alone: AES-256-GCM, the associated data with lengths."""
    key = new_key("k1")
    sealed = Keyring([key]).seal(b"value", HERE)

    head, nonce, rest = sealed[:4], sealed[4:16], sealed[16:]
    parts = [head, b"connection", b"acme", b"credentials"]
    bound = b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    assert head == b"\x01\x02k1"
    assert AESGCM(base64.b64decode(key.secret.reveal())).decrypt(nonce, rest, bound) == b"value"


def test_keys_are_read_with_the_newest_first() -> None:
    one, other = new_key("one"), new_key("other")

    text = f"# of 2030\n{one.text()},\n  {other.text()}  # the one before\n"

    assert [key.id for key in parse_keys(text, where="here")] == ["one", "other"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CANARY, "entry 1 is not of the form id:base64"),
        (f"k1:{CANARY}", "not 32 bytes"),
        (f"k1:{base64.b64encode(CANARY.encode()).decode()}", "not 32 bytes"),
        (f"k 1:{base64.b64encode(bytes(32)).decode()}", "a key's id"),
    ],
)
def test_keys_that_cannot_be_read_are_not_shown(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as caught:
        parse_keys(text, where="STEPWELL_KEYS")

    assert CANARY not in str(caught.value)
    assert base64.b64encode(CANARY.encode()).decode() not in str(caught.value)


@pytest.mark.parametrize("ids", [(), ("k1", "k1"), tuple(f"k{number}" for number in range(17))])
def test_keyring_needs_a_few_keys_of_different_ids(ids: tuple[str, ...]) -> None:
    with pytest.raises(InvalidOption):
        ring(*ids)


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>10}".format])
def test_no_form_of_a_key_shows_it(show: Callable[[object], str]) -> None:
    key = new_key("k1")

    assert key.secret.reveal() not in show(key) + show(Keyring([key])) + show([key.secret])


@pytest.mark.parametrize(
    "store", [pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode], ids=["pickle", "json", "msgpack"]
)
@pytest.mark.parametrize("value", [Secret(CANARY), {"a": [Secret(CANARY)]}, Key("k1", Secret(CANARY))])
def test_no_serializer_takes_a_secret(store: Callable[[object], bytes], value: object) -> None:
    with pytest.raises(TypeError) as caught:
        store(value)

    assert CANARY not in str(caught.value)
