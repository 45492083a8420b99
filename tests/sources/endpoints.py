"""An endpoint of every source, and deliveries to it: what the tests of sources share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from stepwell.core.webhooks import Envelope
from stepwell.sources import SOURCES, Refused, Request, Source, Verified, classify, sign, verify
from stepwell.sources.samples import sample, sample_types
from stepwell.sources.schemes import Signature
from stepwell.sources.source import Sent

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = UUID("0198a5c0-1111-7222-8333-444455556666")

# made for the tests, as each vendor makes them
STANDARD_SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ED25519_PRIVATE = b"whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ED25519_PUBLIC = b"whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


@dataclass(frozen=True)
class Endpoint:
    """A source with a secret. `signing` is what the sender has, when that is another one."""

    name: str
    source: Source
    secret: bytes
    settings: Mapping[str, str] = field(default_factory=dict)
    signing: bytes | None = None

    def delivery(
        self, type: str | None = None, *, body: bytes | None = None, id: UUID = ID, now: datetime = NOW
    ) -> Request:
        """A proven delivery of a sample, or of other bytes."""
        type = type or sample_types(self.source.name)[0]
        content = sample(self.source.name, type, id=id, now=now) if body is None else body
        secret = self.signing or self.secret
        headers = sign(self.source, content, secret, type=type, id=str(id), now=now, settings=self.settings)
        return Request.post(headers, content)

    def verify(
        self, request: Request, *, secrets: list[bytes] | None = None, now: datetime = NOW
    ) -> Verified | Refused:
        active = [self.secret] if secrets is None else secrets
        return verify(self.source, request, active, settings=self.settings, now=now)

    def classify(self, request: Request) -> Envelope | Refused:
        return classify(self.source, request, settings=self.settings)

    @property
    def proof_headers(self) -> list[str]:
        """The headers without which nothing is proven, in lower case."""
        said = {name.lower() for name in self.source.headers(Sent("any", "any", None))} | {"content-type"}
        names = [name.decode().lower() for name, _ in self.delivery().headers]
        signed = {"webhook-id", self.settings.get("hook_id_header", "").lower()}
        return [name for name in names if name not in said or name in signed]


_GENERIC = SOURCES["generic"]
ENDPOINTS = [
    Endpoint("azure-devops", SOURCES["azure-devops"], b"stepwell:pass word"),
    Endpoint("azure-devops api-key", SOURCES["azure-devops"], b"0a1b2c3d4e", {"hook_proof": "api-key"}),
    Endpoint("clickup", SOURCES["clickup"], b"CLICKUPSECRET0123456789"),
    Endpoint("shopify", SOURCES["shopify"], b"shpss_0123456789abcdef"),
    Endpoint("github", SOURCES["github"], b"It's a Secret to Everybody"),
    Endpoint("stripe", SOURCES["stripe"], b"whsec_test_secret"),
    Endpoint("slack", SOURCES["slack"], b"8f742231b10e8888abcd99yyyzzz85a5"),
    Endpoint("standard-webhooks", SOURCES["standard-webhooks"], STANDARD_SECRET),
    Endpoint("standard-webhooks v1a", SOURCES["standard-webhooks"], ED25519_PUBLIC, signing=ED25519_PRIVATE),
    Endpoint("cloudevents", SOURCES["cloudevents"], b"token-0123456789"),
    Endpoint("generic", _GENERIC, b"a secret"),
    Endpoint("generic basic", _GENERIC, b"user:password", {"hook_proof": "basic"}),
    Endpoint("generic api-key", _GENERIC, b"key-0123456789", {"hook_proof": "api-key", "hook_header": "X-Key"}),
    Endpoint(
        "generic all",
        _GENERIC,
        b"a secret",
        {
            "hook_header": "X-Sig",
            "hook_algorithm": "sha512",
            "hook_encoding": "base64",
            "hook_prefix": "sha512=",
            "hook_timestamp_header": "X-Time",
            "hook_signed": "v2:{id}:{timestamp}:{body}",
            "hook_id_header": "X-Id",
            "hook_type_field": "type",
        },
    ),
]
BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}
SIGNED = [endpoint for endpoint in ENDPOINTS if isinstance(endpoint.source.scheme(endpoint.settings), Signature)]
TIMED = [BY_NAME[name] for name in ("stripe", "slack", "standard-webhooks", "standard-webhooks v1a", "generic all")]


def with_header(request: Request, name: str, *values: bytes) -> Request:
    """The request with other values of a header; with none of them, without it."""
    rest = [(key, value) for key, value in request.headers if key.lower() != name.lower().encode()]
    return replace(request, headers=[*rest, *((name.encode(), value) for value in values)])


def value_of(request: Request, name: str) -> bytes:
    return next(value for key, value in request.headers if key.lower() == name.lower().encode())
