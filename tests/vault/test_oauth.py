"""OAuth 2 without the network: requests as the vendors want them, answers of every kind."""

from __future__ import annotations

import base64
import json
import traceback
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.connections import Secret
from stepwell.errors import InvalidOption
from stepwell.vault.oauth import (
    ClientIdentity,
    Dead,
    Tokens,
    Trouble,
    client_request,
    code_challenge,
    code_request,
    consent_url,
    filled,
    installation_request,
    is_consent_genuine,
    read_answer,
    refresh_request,
)
from stepwell.vault.providers import GENERIC, PROVIDERS, Provider, provider_of

CANARY = "canary-94ab"
CLIENT = ClientIdentity("me", Secret(CANARY))
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def test_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    assert code_challenge(VERIFIER) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize("name", [*PROVIDERS, "others"])
def test_nothing_of_a_request_is_shown_but_its_address(name: str) -> None:
    provider = provider_of(name)

    requests = [
        code_request(provider, "https://x/t", CLIENT, code=CANARY, redirect_uri="https://y", verifier=CANARY),
        refresh_request(provider, "https://x/t", CLIENT, token=Secret(CANARY)),
        client_request(provider, "https://x/t", CLIENT, scopes=""),
    ]

    assert CANARY not in repr(requests)
    assert CANARY not in repr(read_answer(200, f'{{"access_token": "{CANARY}", "refresh_token": "{CANARY}"}}'.encode()))


# --- what the vendors want --------------------------------------------------------------------------------------------


def test_clickup_gets_everything_in_the_query() -> None:
    """Its own way: POST /oauth/token?client_id&client_secret&code."""
    provider = PROVIDERS["clickup"]

    request = code_request(provider, provider.token_url, CLIENT, code="c", redirect_uri="https://y", verifier=VERIFIER)

    assert (request.url, request.form) == ("https://api.clickup.com/api/v2/oauth/token", {})
    assert {"client_id", "client_secret", "code"} <= set(request.query)
    assert "code_verifier" not in request.query


def test_shopify_is_asked_for_tokens_that_expire() -> None:
    provider = PROVIDERS["shopify"]
    url = filled(provider.token_url, {"shop": "acme"}, defaults=provider.defaults)

    request = code_request(provider, url, CLIENT, code="c", redirect_uri="https://y", verifier=VERIFIER)

    assert request.url == "https://acme.myshopify.com/admin/oauth/access_token"
    assert (request.form["expiring"], request.form["client_secret"]) == ("1", CANARY)
    assert refresh_request(provider, url, CLIENT, token=Secret("r")).form == {
        "grant_type": "refresh_token",
        "refresh_token": "r",
        "client_id": "me",
        "client_secret": CANARY,
    }


def test_entra_is_asked_for_azure_devops_and_a_refresh_token() -> None:
    provider = PROVIDERS["azure-devops"]
    url = filled(provider.authorize_url, {}, defaults=provider.defaults)

    asked = consent_url(
        provider, url, client_id="me", redirect_uri="https://y/cb", scopes=" ".join(provider.scopes), state="s",
        verifier=VERIFIER,
    )  # fmt: skip

    parts = urlsplit(asked)
    query = dict(parse_qsl(parts.query))
    assert (parts.netloc, parts.path) == ("login.microsoftonline.com", "/organizations/oauth2/v2.0/authorize")
    assert query["scope"] == "499b84ac-1321-427f-aa17-267ca6975798/.default offline_access"
    assert (query["code_challenge_method"], query["code_challenge"]) == ("S256", code_challenge(VERIFIER))
    assert (query["response_type"], query["redirect_uri"], query["state"]) == ("code", "https://y/cb", "s")


def test_identity_in_a_header_is_form_encoded_first() -> None:
    """RFC 6749, section 2.3.1: a colon in an id must not end it."""
    provider = Provider("", "", authenticates="basic")
    client = ClientIdentity("a:b", Secret("c%d é"))

    request = client_request(provider, "https://x/t", client, scopes="read")

    assert request.headers["Authorization"] == "Basic YSUzQWI6YyUyNWQlMjAlQzMlQTk="
    assert request.form == {"grant_type": "client_credentials", "scope": "read"}


@pytest.mark.parametrize(
    "shop", ["evil.com/", "evil.com#", "acme@evil.com", "a/../b", "", "acme.myshopify.com:1", "é", "a b", ".acme"]
)
def test_setting_cannot_lead_an_address_elsewhere(shop: str) -> None:
    provider = PROVIDERS["shopify"]

    with pytest.raises(InvalidOption, match="'shop'"):
        filled(provider.token_url, {"shop": shop}, defaults=provider.defaults)


def test_address_that_is_a_setting_is_taken_as_it_is() -> None:
    url = "http://127.0.0.1:8000/token?x=1"

    assert filled(GENERIC.token_url, {"token_url": url}, defaults={}) == url


def test_address_that_is_missing_is_asked_for() -> None:
    with pytest.raises(InvalidOption, match="setting 'token_url' is missing"):
        filled(GENERIC.token_url, {}, defaults={})


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "life"),
    [
        (b'{"access_token": "a", "refresh_token": "r", "expires_in": 3600}', 3600.0),
        (b'{"access_token": "a", "refresh_token": "r", "expires_in": "3599.5"}', 3599.5),
        (b"access_token=a&refresh_token=r&expires_in=28800", 28800.0),
        (b'{"access_token": "a", "refresh_token": "r"}', None),
        (b'{"access_token": "a", "refresh_token": "r", "expires_in": null}', None),
        (b'{"access_token": "a", "refresh_token": "r", "expires_in": -1}', None),
        (b'{"access_token": "a", "refresh_token": "r", "expires_in": 1e99}', None),
        (b'{"access_token": "a", "refresh_token": "r", "expires_in": "soon"}', None),
    ],
)
def test_tokens_are_read_with_their_life(body: bytes, life: float | None) -> None:
    answer = read_answer(200, body)

    assert isinstance(answer, Tokens)
    assert (answer.access.reveal(), answer.refresh and answer.refresh.reveal(), answer.life_seconds) == ("a", "r", life)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "used"}', "invalid_grant used"),
        (401, b'{"error": "invalid_client"}', "invalid_client"),
        (200, b"error=bad_refresh_token&error_description=expired", "bad_refresh_token expired"),
    ],
)
def test_dead_grant_is_told_from_trouble_whatever_the_status(status: int, body: bytes, reason: str) -> None:
    assert read_answer(status, body) == Dead(reason)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"<html>sorry</html>"),
        (503, b'{"error": "temporarily_unavailable"}'),
        (429, b"{}"),
        (200, b""),
        (200, b"[1, 2]"),
        (200, b'{"access_token": ""}'),
        (200, b'{"access_token": 7}'),
        (500, b'{"access_token": "a"}'),
        (302, b'{"access_token": "a"}'),
        (200, b"\xff\xfe\x00"),
        (200, b"[" * 100_000),
    ],
)
def test_anything_else_is_trouble_that_may_pass(status: int, body: bytes) -> None:
    assert isinstance(read_answer(status, body), Trouble)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_raises(status: int, body: bytes) -> None:
    read_answer(status, body)


# --- consents that are signed -----------------------------------------------------------------------------------------


def test_consent_of_shopifys_documentation_is_genuine() -> None:
    """shopify.dev, "Implement authorization code grant manually": the parameters without hmac, in order, in hex."""
    query = {
        "code": "0907a61c0c8d55e99db179b68161bc00",
        "hmac": "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf",
        "shop": "some-shop.myshopify.com",
        "state": "0.6784241404160823",
        "timestamp": "1337178173",
    }

    assert is_consent_genuine(query, Secret("hush"))
    assert not is_consent_genuine({**query, "shop": "other.myshopify.com"}, Secret("hush"))
    assert not is_consent_genuine(query, Secret("other"))
    assert not is_consent_genuine({}, Secret("hush"))


# --- apps that sign for themselves ------------------------------------------------------------------------------------

NOW = datetime(2030, 1, 31, 8, tzinfo=UTC)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def test_app_signs_that_it_is_itself_for_ten_minutes() -> None:
    """GitHub's rules: RS256, issued a minute ago, at most ten minutes, the client id as issuer."""
    key = rsa.generate_private_key(65537, 2048)

    request = installation_request("https://x/t", ClientIdentity("Iv1.7", Secret(pem(key))), now=NOW)

    head, claims, signature = request.headers["Authorization"].removeprefix("Bearer ").split(".")
    key.public_key().verify(
        base64.urlsafe_b64decode(f"{signature}=="), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    read = [json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in (head, claims)]
    seconds = int(NOW.timestamp())
    assert read == [{"alg": "RS256", "typ": "JWT"}, {"iat": seconds - 60, "exp": seconds + 540, "iss": "Iv1.7"}]
    assert (request.form, request.query) == ({}, {})


@pytest.mark.parametrize("text", ["", CANARY, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_private_key_that_is_none_is_not_shown(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"private_key of app 'Iv1\.7' is no RSA key") as caught:
        installation_request("https://x/t", ClientIdentity("Iv1.7", Secret(text)), now=NOW)

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_key_of_another_kind_is_refused() -> None:
    text = pem(ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(InvalidOption, match="is no RSA key"):
        installation_request("https://x/t", ClientIdentity("Iv1.7", Secret(text)), now=NOW)


def test_token_of_an_installation_is_read_with_its_end() -> None:
    answer = read_answer(201, b'{"token": "ghs_1", "expires_at": "2030-01-31T09:00:00Z", "permissions": {}}')

    assert isinstance(answer, Tokens)
    assert (answer.access.reveal(), answer.refresh, answer.ends_at) == ("ghs_1", None, NOW + timedelta(hours=1))


@pytest.mark.parametrize("text", ["soon", "2030-01-31T09:00:00", "", "9" * 400])
def test_end_that_is_no_time_is_none(text: str) -> None:
    answer = read_answer(201, json.dumps({"token": "ghs_1", "expires_at": text}).encode())

    assert isinstance(answer, Tokens)
    assert answer.ends_at is None


def test_refused_signature_is_dead_and_told() -> None:
    assert read_answer(401, b'{"message": "A JSON web token could not be decoded"}') == Dead(
        "the vendor answered 401: A JSON web token could not be decoded"
    )
    assert isinstance(read_answer(404, b'{"message": "Not Found"}'), Trouble)
