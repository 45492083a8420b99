"""Failures to stored bytes and back."""

from __future__ import annotations

import msgspec

from stepwell.core.failure import Failure

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Failure)


def encode_failure(failure: Failure) -> bytes:
    """The stored form of a failure."""
    return _encoder.encode(failure)


def decode_failure(data: bytes) -> Failure:
    """The failure that was stored. Unknown fields, of newer versions, are ignored."""
    return _decoder.decode(data)
