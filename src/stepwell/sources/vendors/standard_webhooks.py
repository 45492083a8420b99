"""Standard Webhooks 1.0: id, timestamp and body are signed; several signatures while a key is rotated.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

from datetime import timedelta

from stepwell.core.webhooks import Envelope
from stepwell.sources.digests import Ed25519Digest, HmacDigest, as_base64, decoded_base64
from stepwell.sources.reading import UNTYPED, envelope, field
from stepwell.sources.request import Request
from stepwell.sources.schemes import Signature
from stepwell.sources.source import Retries, Sent, Source, always, regardless, seconds
from stepwell.sources.verdicts import Refused

ID = "webhook-id"
_MINUTE, _HOUR = 60, 3600


def symmetric_key(secret: bytes) -> bytes:
    """The bytes that a `whsec_` secret stands for; nothing for a key of another kind."""
    is_asymmetric = secret.startswith((b"whpk_", b"whsk_"))
    return b"" if is_asymmetric else decoded_base64(secret.removeprefix(b"whsec_"))


def classify(request: Request) -> Envelope | Refused:
    """The specification recommends `type` in the body, and does not demand it."""
    id = request.header(ID)
    if not id:
        return Refused(f"header {ID} is missing, empty or there twice")
    return envelope(field(request.body, "type") or UNTYPED, id)


def headers(sent: Sent) -> dict[str, str]:
    return {ID: sent.id}


STANDARD_WEBHOOKS = Source(
    "standard-webhooks",
    always(
        Signature(
            ("webhook-signature",),
            (
                HmacDigest(encode=as_base64, prefix=b"v1,", key_of=symmetric_key),
                Ed25519Digest(b"v1a,", b"whpk_", b"whsk_"),
            ),
            "whsec_ and base64, or for signatures v1a the sender's public key, whpk_ and base64 of 32 bytes",
            separator=b" ",
            before_body="{id}.{timestamp}.",
            id_header=ID,
            timestamp_header="webhook-timestamp",
        )
    ),
    regardless(classify),
    headers=headers,
    answer_within=timedelta(seconds=15),
    retries=Retries(
        seconds(5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
    ),
)
