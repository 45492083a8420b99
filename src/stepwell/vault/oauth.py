"""OAuth 2 without the network: what is asked for, and what an answer means.

RFC 6749 (grants, errors), RFC 7636 (PKCE, S256 only), RFC 9700 (what is safe today).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote

import msgspec

from stepwell.core.connections import Secret
from stepwell.errors import InvalidOption
from stepwell.vault.providers import Provider

MAX_LIFE_SECONDS = 10 * 365 * 86_400.0  # of a token: a vendor that says more means that it does not end
MAX_TOLD = 200  # characters of a vendor's own words

# The grant is dead: another try makes no sense. Of bad_refresh_token: docs.github.com, "Refreshing user access tokens".
DEAD = frozenset(
    {"invalid_grant", "bad_refresh_token", "invalid_refresh_token", "unauthorized_client", "invalid_client"}
)

_SAFE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TEMPLATE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """An application at its vendor."""

    id: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A POST to a token endpoint. Nothing of it but the address may be shown."""

    url: str
    query: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint has given: how long it lives, or when it ends; neither: the vendor does not say."""

    access: Secret
    refresh: Secret | None
    life_seconds: float | None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """The grant is refused for good; `reason` in the vendor's words."""

    reason: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """No tokens this time; another try may get some."""

    reason: str


TokenAnswer = Tokens | Dead | Trouble


def filled(template: str, settings: Mapping[str, str], *, defaults: Mapping[str, str]) -> str:
    """An address with its settings. One that stands within it cannot change where it leads. Raises InvalidOption."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        text = settings.get(name) or defaults.get(name)
        if text is None:
            raise InvalidOption(f"setting '{name}' is missing; the address {template} needs it")
        if template != found[0] and not _SAFE_PART.fullmatch(text):
            raise InvalidOption(f"setting '{name}' is {text!r:.80}; use letters, digits, dots and dashes")
        return text

    return _TEMPLATE.sub(value, template)


def code_challenge(verifier: str) -> str:
    """The S256 challenge of a code verifier (RFC 7636, section 4.2)."""
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    challenge: str = create_s256_code_challenge(verifier)
    return challenge


def consent_url(
    provider: Provider,
    url: str,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: str,
    state: str,
    verifier: str,
) -> str:
    """Where a person is sent to be asked (RFC 6749, section 4.1.1)."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

    more = dict(provider.ask)
    if provider.has_pkce:
        more |= {"code_challenge": code_challenge(verifier), "code_challenge_method": "S256"}
    asked: str = prepare_grant_uri(
        url, client_id, "code", redirect_uri=redirect_uri, scope=scopes or None, state=state, **more
    )
    return asked


def code_request(
    provider: Provider, url: str, client: ClientIdentity, *, code: str, redirect_uri: str, verifier: str
) -> TokenRequest:
    """Exchange a code for tokens (RFC 6749, section 4.1.3)."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, **provider.exchange}
    if provider.has_pkce:
        form["code_verifier"] = verifier
    return _request(provider, url, client, form)


def refresh_request(provider: Provider, url: str, client: ClientIdentity, *, token: Secret) -> TokenRequest:
    """Exchange a refresh token for new tokens (RFC 6749, section 6)."""
    return _request(provider, url, client, {"grant_type": "refresh_token", "refresh_token": token.reveal()})


def client_request(provider: Provider, url: str, client: ClientIdentity, *, scopes: str) -> TokenRequest:
    """Ask for a token in the application's own name (RFC 6749, section 4.4.2)."""
    form = {"grant_type": "client_credentials"}
    return _request(provider, url, client, form | ({"scope": scopes} if scopes else {}))


def installation_request(url: str, app: ClientIdentity, *, now: datetime) -> TokenRequest:
    """Ask for a token of an app's installation, by a JSON web token that the app signs with its private key.

    docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App": RS256, at most ten minutes, begun a minute
    ago for clocks that differ. Raises InvalidOption when that is no RSA key.
    """
    seconds = int(now.timestamp())
    claims = {"iat": seconds - 60, "exp": seconds + 540, "iss": app.id}
    token = _signed(claims, app)
    headers = {"Accept": "application/vnd.github+json", "Authorization": f"Bearer {token}"}
    return TokenRequest(url, {}, {}, headers)


def _signed(claims: Mapping[str, object], app: ClientIdentity) -> str:
    """A JSON web token (RFC 7519) with the signature RS256 (RFC 7518, section 3.3)."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        key = serialization.load_pem_private_key(app.secret.reveal().encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidOption(f"the private_key of app '{app.id}' is no RSA key in PEM form without a password")
    text = b".".join(_base64url(msgspec.json.encode(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return b".".join((text, _base64url(key.sign(text, padding.PKCS1v15(), hashes.SHA256())))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _request(provider: Provider, url: str, client: ClientIdentity, form: dict[str, str]) -> TokenRequest:
    headers = {"Accept": "application/json"}
    identity = {"client_id": client.id, "client_secret": client.secret.reveal()}
    match provider.authenticates:
        case "body":
            return TokenRequest(url, {}, form | identity, headers)
        case "query":
            return TokenRequest(url, form | identity, {}, headers)
        case "basic":  # both parts form-encoded first: RFC 6749, section 2.3.1
            pair = f"{quote(client.id, safe='')}:{quote(client.secret.reveal(), safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
            return TokenRequest(url, {}, form, headers)


def read_answer(status: int, body: bytes) -> TokenAnswer:
    """What a token endpoint's answer means. Some vendors refuse with 200, some answer in form encoding."""
    fields = _fields(body)
    if error := fields.get("error") or fields.get("err"):
        told = " ".join(str(part) for part in (error, fields.get("error_description")) if part)[:MAX_TOLD]
        return Dead(told) if str(error) in DEAD else Trouble(f"the vendor answered {status}: {told}")
    token = fields.get("access_token") or fields.get("token")
    if not 200 <= status < 300 or not isinstance(token, str) or not token:
        told = f": {fields['message']}"[:MAX_TOLD] if "message" in fields else " without a token"
        return (
            Dead(f"the vendor answered 401{told}") if status == 401 else Trouble(f"the vendor answered {status}{told}")
        )
    refresh = fields.get("refresh_token")
    return Tokens(
        Secret(token),
        Secret(refresh) if isinstance(refresh, str) and refresh else None,
        _seconds(fields.get("expires_in")),
        _moment(fields.get("expires_at")),
    )


def _fields(body: bytes) -> Mapping[str, object]:
    try:
        read = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return dict(parse_qsl(body.decode(errors="replace")))
    return read if isinstance(read, dict) else {}


def _seconds(value: object) -> float | None:
    """Seconds of life, which some vendors give as text; None for what does not end, or cannot be read."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return None
    return seconds if 0.0 < seconds <= MAX_LIFE_SECONDS else None


def _moment(value: object) -> datetime | None:
    """A time as GitHub writes it: 2030-01-31T08:00:00Z. None for what is no time with a zone."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def is_consent_genuine(query: Mapping[str, str], secret: Secret) -> bool:
    """Whether the vendor has sent this back: `hmac`, in hex, over the other parameters in order (Shopify)."""
    rest = "&".join(f"{name}={query[name]}" for name in sorted(query) if name not in ("hmac", "signature"))
    digest = hmac.new(secret.reveal().encode(), rest.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(digest.encode(), query.get("hmac", "").encode())
