"""What a delivery starts: which executions, with which input. Pure, but for the ids that it mints."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from stepwell.codec import codec_for
from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.payload import WRAPPING_BYTES, pack
from stepwell.core.webhooks import Delivery, Envelope, HookSpec, NewDelivery, execution_key
from stepwell.errors import InvalidValue
from stepwell.store.identity import new_id

_BOM = b"\xef\xbb\xbf"  # that of a JSON text means nothing

_encode = msgspec.json.Encoder().encode
_read_json = codec_for(Any).decode_text


@dataclass(frozen=True, slots=True)
class Found:
    """What has come in, or was found by asking the vendor: verified, and read as far as it is before it is stored."""

    source: str
    connection: str | None
    envelope: Envelope
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    is_reconciled: bool = False


def new_delivery(found: Found, hooks: Iterable[HookSpec]) -> NewDelivery:
    """The delivery with an execution for each hook that takes it. Raises PayloadTooLarge when no input can hold it.

    A workflow with several such hooks is started once.
    """
    delivery_id, key = new_id(), execution_key(found.source, found.connection, found.envelope)
    starts = _starts(delivery_id, found, hooks, key=key)
    rest = (found.headers, found.body, starts, found.is_reconciled)
    return NewDelivery(delivery_id, found.source, found.connection, found.envelope, *rest)


def starts_again(one: Delivery, hooks: Iterable[HookSpec]) -> tuple[NewExecution, ...]:
    """The executions that a stored delivery starts by the hooks of today: with the same input, and without a key."""
    envelope = Envelope(one.type, one.dedupe_key, one.subject)
    found = Found(one.source, one.connection, envelope, one.headers, one.body, one.received_at)
    return _starts(one.id, found, hooks, key=None)


def _starts(delivery_id: UUID, found: Found, hooks: Iterable[HookSpec], *, key: str | None) -> tuple[NewExecution, ...]:
    inputs, first = _Inputs(delivery_id, found), dict[str, HookSpec]()
    for hook in hooks:
        if hook.takes(found.source, found.connection, found.envelope.type):
            first.setdefault(hook.workflow, hook)
    return tuple(
        NewExecution(ExecutionId(new_id()), hook.workflow, inputs.of(hook), hook.queue, key) for hook in first.values()
    )


class _Inputs:
    """The inputs that a delivery gives to workflows: the same event, by the name of the parameter that gets it."""

    def __init__(self, delivery_id: UUID, found: Found) -> None:
        self._delivery_id, self._found = delivery_id, found
        self._packed: dict[str | None, bytes] = {None: b"{}"}

    def of(self, hook: HookSpec) -> bytes:
        """The stored input of the hook's workflow."""
        if hook.parameter not in self._packed:
            event = event_json(self._delivery_id, self._found)
            self._packed[hook.parameter] = pack(_encode({hook.parameter: event}), extra_bytes=WRAPPING_BYTES)
        return self._packed[hook.parameter]


def event_json(delivery_id: UUID, found: Found) -> msgspec.Raw:
    """The WebhookEvent of a delivery."""
    event = {
        "delivery": delivery_id,
        "source": found.source,
        "type": found.envelope.type,
        "connection": found.connection,
        "received_at": found.received_at,
        "subject": found.envelope.subject,
        "headers": dict(found.headers),
        "raw": msgspec.Raw(raw_json(found.body)),
    }
    return msgspec.Raw(_encode(event))


def raw_json(body: bytes) -> bytes:
    """A body as JSON: itself, digit by digit, if it is JSON that a workflow can be given; else text; else base64.

    JSON that is nested too deep, or has a number that Python cannot read, is text.
    """
    text = body.removeprefix(_BOM)
    try:
        _read_json(text)
    except InvalidValue:
        return _as_text(body)
    return text


def _as_text(body: bytes) -> bytes:
    try:
        return _encode(body.decode())
    except UnicodeDecodeError:
        return _encode({"base64": b64encode(body).decode()})
