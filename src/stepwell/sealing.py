"""Secrets at rest: sealed with AES-256-GCM under one of several keys, each value bound to the place where it stands.

A sealed value is its version, the id of its key, a nonce and the ciphertext with its tag:

    01 | length of the key's id | the id | 12 bytes of nonce | ciphertext | 16 bytes of tag

Nonces are random, 96 bits (NIST SP 800-38D, section 8.2.2): a key is good for 2^32 values, far more than connections
are ever refreshed. The associated data names version, key, table, row and column, so that a value that was moved to
another row, or changed by a bit, does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stepwell.core.connections import Secret
from stepwell.errors import InvalidOption, Unsealable

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = 1
MAX_KEYS = 16  # the newest, and those of which backups may still hold values

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Place(NamedTuple):
    """Where a sealed value stands. It opens nowhere else."""

    table: str
    row: str
    column: str


class Key(NamedTuple):
    """A key with its id, which stands in front of every value that it has sealed."""

    id: str
    secret: Secret

    def text(self) -> str:
        """`id:base64`, as STEPWELL_KEYS and key files hold it. Handle it like a password."""
        return f"{self.id}:{self.secret.reveal()}"


def new_key(id: str) -> Key:
    """A key of 256 random bits. Raises InvalidOption when that cannot be an id."""
    return _checked(id, base64.b64encode(os.urandom(KEY_BYTES)).decode())


def parse_keys(text: str, *, where: str) -> tuple[Key, ...]:
    """The keys of `id:base64` entries, one a line or with commas between, the newest first; `#` begins a comment.

    Raises InvalidOption, which shows no key.
    """
    lines = (line.partition("#")[0] for line in text.splitlines())
    entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
    keys = []
    for place, entry in enumerate(entries, 1):
        id, colon, secret = entry.partition(":")
        if not colon:
            raise InvalidOption(f"{where}: entry {place} is not of the form id:base64; `stepwell keys new` makes one")
        try:
            keys.append(_checked(id.strip(), secret.strip()))
        except InvalidOption as error:
            raise InvalidOption(f"{where}: entry {place}: {error}") from None
    return tuple(keys)


def _checked(id: str, secret: str) -> Key:
    if not _KEY_ID.fullmatch(id):
        raise InvalidOption("a key's id has 1 to 32 letters, digits, dots, dashes or underscores")
    try:
        is_long_enough = len(base64.b64decode(secret, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        is_long_enough = False
    if not is_long_enough:
        raise InvalidOption(f"key '{id}' is not {KEY_BYTES} bytes in base64; `stepwell keys new` makes one")
    return Key(id, Secret(secret))


class Keyring:
    """The keys of a process. The first one seals; all of them open what they have sealed."""

    def __init__(self, keys: Iterable[Key]) -> None:
        """Raises InvalidOption when there is none, too many, or two of one id."""
        given = tuple(keys)
        self.ids = tuple(key.id for key in given)
        if not 1 <= len(given) <= MAX_KEYS or len(set(self.ids)) < len(given):
            raise InvalidOption(f"{len(given)} keys: give 1 to {MAX_KEYS}, each with an id of its own")
        self._keys = {key.id: key.secret for key in given}
        self._ciphers = {key.id: AESGCM(base64.b64decode(key.secret.reveal())) for key in given}

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.ids)})"

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        return self.ids[0]

    def seal(self, value: bytes, place: Place) -> bytes:
        """The value, unreadable, for that place. Another one each time."""
        nonce = os.urandom(NONCE_BYTES)
        head = bytes([VERSION, len(self.newest)]) + self.newest.encode()
        return head + nonce + self._ciphers[self.newest].encrypt(nonce, value, _bound(head, place))

    def open(self, sealed: bytes, place: Place) -> bytes:
        """The value that was sealed for that place. Raises Unsealable, which shows nothing of it."""
        id = key_id(sealed)
        cipher = self._ciphers.get(id or "")
        if id is None or cipher is None:
            has = f"this process has {', '.join(self.ids)}"
            reason = "is not of a form that this version knows" if id is None else f"its key is not here; {has}"
            raise Unsealable(*place, key_id=id, why=reason)
        head, rest = sealed[: 2 + len(id)], sealed[2 + len(id) :]
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], _bound(head, place))
        except (InvalidTag, ValueError):
            reason = "it was changed, belongs to another row, or another key has this id"
            raise Unsealable(*place, key_id=id, why=reason) from None

    def derived(self, id: str, purpose: str) -> bytes | None:
        """32 bytes that only a holder of that key can make, others for each purpose (HKDF, RFC 5869).

        None: the key is not here.
        """
        key = self._keys.get(id)
        if key is None:
            return None
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(base64.b64decode(key.reveal()))

    def is_newest(self, sealed: bytes | None) -> bool:
        """Whether there is nothing to be sealed again: no value, or one under the newest key."""
        return sealed is None or key_id(sealed) == self.newest


def key_id(sealed: bytes) -> str | None:
    """The id of the key that has sealed this; None: it is no sealed value."""
    length = sealed[1] if len(sealed) > 2 and sealed[0] == VERSION else 0
    text = sealed[2 : 2 + length].decode("ascii", "replace")
    return text if _KEY_ID.fullmatch(text) else None


def _bound(head: bytes, place: Place) -> bytes:
    """The associated data: each part with its length, so that no two places have the same."""
    parts = [head, *(part.encode() for part in place)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
