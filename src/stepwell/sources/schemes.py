"""How senders prove who they are: what is presented, where it stands in a request, and what it is compared with.

A scheme is data. All secrets that are active are tried, and every comparison takes the same time whatever it finds.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

from stepwell.errors import InvalidOption
from stepwell.sources.digests import Digest, checked_key, decoded_base64
from stepwell.sources.request import Request
from stepwell.sources.verdicts import Refused, Verified

TOLERANCE_SECONDS = 300  # both ways: what all vendors with a timestamp use
MAX_SIGNATURES = 20  # in one request; a key that is rotated makes two
NO_MATCH = Refused("no active secret of this endpoint gives the proof that was sent")

_TIMESTAMP = re.compile(r"[0-9]{1,12}")  # Unix seconds; int() would take blanks, signs and underscores too
_PLACEHOLDER = re.compile(r"\{(id|timestamp)\}")


@dataclass(frozen=True, slots=True)
class Signature:
    """A digest of the body, and of what `before_body` says stands before it: `{id}` and `{timestamp}` are filled in.

    `headers` are the names under which it may come, the one that is used for sending first. It holds one digest, or
    several between `separator`s. The timestamp is a header of its own, or the part of the same one after a prefix.
    """

    headers: tuple[str, ...]
    digests: tuple[Digest, ...]
    kinds: str = "the signing secret that the vendor shows"
    separator: bytes | None = None
    before_body: str = ""
    id_header: str | None = None
    timestamp_header: str | None = None
    timestamp_part: str | None = None
    secret_headers: frozenset[str] = frozenset()

    def verify(self, request: Request, secrets: Sequence[bytes], now: datetime) -> Verified | Refused:
        """Whether one of the secrets gives a digest that was sent. Never raises, whatever the bytes."""
        proof = next((value for name in self.headers if (value := request.header(name))), None)
        if proof is None:
            return Refused(f"header {self.headers[0]} is missing, empty or there twice")
        facts = self._facts(request, proof, now)
        if isinstance(facts, Refused):
            return facts
        presented = proof.encode("latin-1").split(self.separator, MAX_SIGNATURES) if self.separator else None
        message = self._message(request.body, facts)
        for index, secret in enumerate(secrets):
            for digest in self.digests:
                if digest.accepts(secret, message, presented or [proof.encode("latin-1")]):
                    return Verified(index)
        return NO_MATCH

    def _facts(self, request: Request, proof: str, now: datetime) -> dict[str, str] | Refused:
        """What is signed with the body."""
        facts: dict[str, str] = {}
        if self.id_header:
            facts["id"] = request.header(self.id_header) or ""
            if not facts["id"]:
                return Refused(f"header {self.id_header} is missing, empty or there twice")
        if self.timestamp_header or self.timestamp_part:
            facts["timestamp"] = timestamp = self._timestamp(request, proof)
            if not _TIMESTAMP.fullmatch(timestamp):
                return Refused(f"{self.timestamp_header or self.headers[0]} has no timestamp in whole Unix seconds")
            if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
                return Refused(f"the timestamp is more than {TOLERANCE_SECONDS} seconds off; is a clock wrong?")
        return facts

    def _timestamp(self, request: Request, proof: str) -> str:
        if self.timestamp_header:
            return request.header(self.timestamp_header) or ""
        prefix = self.timestamp_part or ""
        return next((part.removeprefix(prefix) for part in proof.split(",") if part.startswith(prefix)), "")

    def _message(self, body: bytes, facts: Mapping[str, str]) -> bytes:
        before = _PLACEHOLDER.sub(lambda found: facts.get(found[1], ""), self.before_body)
        return before.encode("latin-1", "replace") + body

    def sign(self, body: bytes, secret: bytes, *, id: str, now: datetime) -> dict[str, str]:
        """The headers that prove it. Raises InvalidOption for a secret that cannot sign."""
        timestamp = str(int(now.timestamp()))
        message = self._message(body, {"id": id, "timestamp": timestamp})
        digest = next((made for kind in self.digests if (made := kind.of(secret, message))), None)
        if digest is None:
            raise InvalidOption("the webhook secret is no key that can sign; give the secret that the sender has")
        proof = digest.decode()
        if self.timestamp_part:
            proof = f"{self.timestamp_part}{timestamp},{proof}"
        return {
            self.headers[0]: proof,
            **({self.id_header: id} if self.id_header else {}),
            **({self.timestamp_header: timestamp} if self.timestamp_header else {}),
        }

    def check_secret(self, secret: bytes) -> None:
        """Raises InvalidOption, without quoting it, for a secret that can prove nothing."""
        checked_key(self.digests, secret, self.kinds)


class Credential(Protocol):
    """The secret itself, sent along."""

    @property
    def missing(self) -> str:
        """Why a request without one is refused."""

    @property
    def secret_headers(self) -> frozenset[str]:
        """Headers whose value is a secret, in lower case."""

    def presented(self, request: Request) -> bytes:
        """What was sent along; nothing if there is none, or more than one."""

    def headers_with(self, secret: bytes) -> dict[str, str]:
        """The headers that send it along."""

    def check_secret(self, secret: bytes) -> None:
        """Raises InvalidOption, without quoting it, for a secret that can prove nothing."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The secret as the value of a header."""

    header: str

    @property
    def missing(self) -> str:
        return f"header {self.header} is missing, empty or there twice"

    @property
    def secret_headers(self) -> frozenset[str]:
        return frozenset({self.header.lower()})

    def presented(self, request: Request) -> bytes:
        return (request.header(self.header) or "").encode("latin-1")

    def headers_with(self, secret: bytes) -> dict[str, str]:
        return {self.header: secret.decode("latin-1")}

    def check_secret(self, secret: bytes) -> None:
        """Any text that a header can hold."""


AUTHORIZATION = "Authorization"


@dataclass(frozen=True, slots=True)
class Basic:
    """User name and password (RFC 7617). The secret is `user:password`."""

    missing: str = "header Authorization is missing, there twice or not Basic with base64"
    secret_headers: frozenset[str] = frozenset({AUTHORIZATION.lower()})

    def presented(self, request: Request) -> bytes:
        return decoded_base64(_authorization(request, "basic"))

    def headers_with(self, secret: bytes) -> dict[str, str]:
        return {AUTHORIZATION: f"Basic {b64encode(secret).decode()}"}

    def check_secret(self, secret: bytes) -> None:
        _, colon, password = secret.partition(b":")
        if not colon or not password:
            raise InvalidOption("the webhook secret has no password; give it as user:password")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token in a header or in the query (RFC 6750), in one of them only."""

    parameter: bytes
    missing: str = "one token is needed, as Authorization: Bearer or in the query, and not both"
    secret_headers: frozenset[str] = frozenset({AUTHORIZATION.lower()})

    def presented(self, request: Request) -> bytes:
        in_header, in_query = _authorization(request, "bearer"), request.parameter(self.parameter) or b""
        return b"" if in_header and in_query else in_header or in_query

    def headers_with(self, secret: bytes) -> dict[str, str]:
        return {AUTHORIZATION: f"Bearer {secret.decode('latin-1')}"}

    def check_secret(self, secret: bytes) -> None:
        """Any text that a header can hold."""


def _authorization(request: Request, scheme: str) -> bytes:
    """What stands after the scheme's name; nothing if the header is not there or of another scheme."""
    name, _, value = (request.header(AUTHORIZATION) or "").partition(" ")
    return value.strip().encode("latin-1") if name.lower() == scheme else b""


Scheme = Signature | Credential


def verify_by(scheme: Scheme, request: Request, secrets: Sequence[bytes], now: datetime) -> Verified | Refused:
    """Whether one of the secrets proves where the request comes from. Never raises, whatever the bytes."""
    if isinstance(scheme, Signature):
        return scheme.verify(request, secrets, now)
    presented = scheme.presented(request)
    return _one_of(secrets, presented) if presented else Refused(scheme.missing)


def _one_of(secrets: Sequence[bytes], presented: bytes) -> Verified | Refused:
    """Digests are compared in place of the texts, whose lengths would show in the time."""
    digest = sha256(presented).digest()
    for index, secret in enumerate(secrets):
        if secret and compare_digest(digest, sha256(secret).digest()):
            return Verified(index)
    return NO_MATCH


def proof_by(scheme: Scheme, body: bytes, secret: bytes, *, id: str, now: datetime) -> dict[str, str]:
    """The headers that prove it, as the vendor sends them. Raises InvalidOption for a secret that cannot sign."""
    return scheme.sign(body, secret, id=id, now=now) if isinstance(scheme, Signature) else scheme.headers_with(secret)
