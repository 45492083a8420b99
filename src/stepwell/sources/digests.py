"""Ways to sign bytes with a key. A digest is compared as it is written, in a time that says nothing about it."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stepwell.errors import InvalidOption

Encode = Callable[[bytes], bytes]


def as_hex(digest: bytes) -> bytes:
    """In lower case, as every vendor writes it."""
    return digest.hex().encode()


as_base64: Encode = b64encode


class Digest(Protocol):
    """One way to sign."""

    def accepts(self, secret: bytes, message: bytes, presented: Sequence[bytes]) -> bool:
        """Whether any of the digests that came with the message was made with this secret. Never raises."""

    def of(self, secret: bytes, message: bytes) -> bytes | None:
        """The digest as the vendor writes it; None when the secret is no key of this kind."""

    def can_check(self, secret: bytes) -> bool:
        """Whether the secret is a key that digests of this kind are checked with."""


def itself(secret: bytes) -> bytes:
    """The key of vendors that sign with the secret's own bytes."""
    return secret


@dataclass(frozen=True, slots=True)
class HmacDigest:
    """HMAC (RFC 2104) under a key that both sides know. `key_of` gives empty bytes for a secret of another kind."""

    algorithm: str = "sha256"
    encode: Encode = as_hex
    prefix: bytes = b""
    key_of: Callable[[bytes], bytes] = itself

    def accepts(self, secret: bytes, message: bytes, presented: Sequence[bytes]) -> bool:
        expected = self.of(secret, message)
        return expected is not None and any(hmac.compare_digest(expected, digest) for digest in presented)

    def of(self, secret: bytes, message: bytes) -> bytes | None:
        key = self.key_of(secret)
        return self.prefix + self.encode(hmac.digest(key, message, self.algorithm)) if key else None

    def can_check(self, secret: bytes) -> bool:
        return bool(self.key_of(secret))


ED25519_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ed25519Digest:
    """Ed25519 (RFC 8032): the sender has the private key, the receiver only the public one, as a prefix tells."""

    prefix: bytes
    public_prefix: bytes
    private_prefix: bytes

    def accepts(self, secret: bytes, message: bytes, presented: Sequence[bytes]) -> bool:
        mine = [digest.removeprefix(self.prefix) for digest in presented if digest.startswith(self.prefix)]
        return bool(mine) and self.can_check(secret) and any(self._is_signed(secret, message, one) for one in mine)

    def _is_signed(self, secret: bytes, message: bytes, written: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # takes a while to import, and few need it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        signature = decoded_base64(written)
        if b64encode(signature) != written:  # bytes that several texts stand for are no two signatures
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self._key(secret, self.public_prefix)).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def of(self, secret: bytes, message: bytes) -> bytes | None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        seed = self._key(secret, self.private_prefix)[:ED25519_KEY_BYTES]  # some append the public key to it
        if len(seed) < ED25519_KEY_BYTES:
            return None
        return self.prefix + b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(message))

    def can_check(self, secret: bytes) -> bool:
        return len(self._key(secret, self.public_prefix)) == ED25519_KEY_BYTES

    def _key(self, secret: bytes, prefix: bytes) -> bytes:
        return decoded_base64(secret.removeprefix(prefix)) if secret.startswith(prefix) else b""


def decoded_base64(text: bytes) -> bytes:
    """What the text stands for, with or without its padding; nothing if it is no base64."""
    try:
        return b64decode(text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4), validate=True)
    except ValueError:
        return b""


def checked_key(digests: Sequence[Digest], secret: bytes, kinds: str) -> None:
    """Raise InvalidOption for a secret that none of the digests can be checked with."""
    if not any(digest.can_check(secret) for digest in digests):
        raise InvalidOption(f"the webhook secret is no key that signatures can be checked with; give {kinds}")
