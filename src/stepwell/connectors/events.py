"""Typed events: a delivery whose payload a connector has understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from stepwell.codec import codec_for
from stepwell.core.webhooks import WebhookEvent

Payload = TypeVar("Payload")


@dataclass(frozen=True)
class ConnectorEvent(WebhookEvent, Generic[Payload]):
    """A delivery with a typed `payload`. What does not fit it is refused where the event is made, and kept as `raw`.

    A connector's event says what its payload is, `payload_type`, and where in the body it is, `payload_of`.
    """

    payload_type: ClassVar[Any]

    def __post_init__(self) -> None:
        found = codec_for(self.payload_type).adapt(self.payload_of(self.raw))
        object.__setattr__(self, "_payload", found)  # no field: it is not stored, but made of the body each time

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        """What of the body the payload is made of, as plain JSON values."""
        return raw

    @property
    def payload(self) -> Payload:
        """What the delivery tells, as far as this connector understands it."""
        found: Payload = self.__dict__["_payload"]
        return found
