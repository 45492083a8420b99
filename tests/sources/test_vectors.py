"""Signatures that vendors publish, or that their own libraries make, are taken; the same over anything else is not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stepwell.sources import Refused, Request, Verified, source_named, verify
from tests.sources.endpoints import NOW

VECTORS = json.loads((Path(__file__).parents[1] / "samples" / "signatures" / "vectors.json").read_text())

each = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def given(vector: dict[str, Any]) -> tuple[Request, bytes, datetime]:
    secret = vector.get("secret") or f"{vector['username']}:{vector['password']}"
    now = datetime.fromtimestamp(vector["now"], UTC) if vector["now"] else NOW
    return Request.post(vector["headers"], vector["body"].encode()), secret.encode(), now


@each
def test_published_signature_is_taken(vector: dict[str, Any]) -> None:
    request, secret, now = given(vector)

    assert verify(source_named(vector["source"]), request, [secret], now=now) == Verified(0)


@each
def test_any_of_the_active_secrets_is_enough_and_is_named(vector: dict[str, Any]) -> None:
    request, secret, now = given(vector)

    assert verify(source_named(vector["source"]), request, [b"older:one", secret], now=now) == Verified(1)


@each
def test_published_signature_with_another_secret_is_refused(vector: dict[str, Any]) -> None:
    request, secret, now = given(vector)

    assert isinstance(verify(source_named(vector["source"]), request, [secret + b"A"], now=now), Refused)


@pytest.mark.parametrize("vector", [v for v in VECTORS if "secret" in v], ids=lambda vector: vector["name"])
def test_published_signature_over_another_body_is_refused(vector: dict[str, Any]) -> None:
    request, secret, now = given(vector)

    changed = replace(request, body=request.body + b" ")

    assert isinstance(verify(source_named(vector["source"]), changed, [secret], now=now), Refused)
