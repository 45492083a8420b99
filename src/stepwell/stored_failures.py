"""Failures to stored bytes and back."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stepwell.core.failure import Failure
from stepwell.core.model import Child


@dataclass(frozen=True, slots=True)
class ChildFailure(Failure):
    """How a child ended that did not complete, with what ended it."""

    execution_id: str = ""
    status: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Failure)
_child_decoder = msgspec.json.Decoder(ChildFailure)


def encode_failure(failure: Failure) -> bytes:
    """The stored form of a failure."""
    return _encoder.encode(failure)


def decode_failure(data: bytes) -> Failure:
    """The failure that was stored. Unknown fields, of newer versions, are ignored."""
    return _decoder.decode(data)


def decode_child_failure(data: bytes) -> ChildFailure:
    """The same of a child."""
    return _child_decoder.decode(data)


def failure_of_child(child: Child) -> ChildFailure:
    """What its parent stores of a child that failed or was cancelled."""
    if child.error is None:
        known = Failure("ExecutionCancelled", child.reason or "cancelled")
    else:
        known = decode_failure(child.error)
    return ChildFailure(known.type, known.message, known.traceback, known.causes, 1, str(child.id), child.status)
