"""Who may use the API: by a token; without any token, only this machine, and no web page of somebody else's.

Nothing here waits or looks anything up: facts of a request in, a refusal or nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from stepwell.core.tokens import Scope
from stepwell.server.problems import Refusal

SAFE_METHODS = ("GET", "HEAD")
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
WAY_OUT = "create a token with `stepwell tokens create NAME --scope admin`, and send it as `Authorization: Bearer ...`"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request, as the audit has it, and what they may do."""

    name: str
    scope: Scope


LOCAL = Actor("localhost", Scope.ADMIN)  # whoever is on this machine, while there are no tokens


def is_loopback(host: str) -> bool:
    """Whether an address, or `localhost`, is of this machine."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def refuse_strangers(
    *, method: str, scheme: str, client: str | None, headers: Headers, public_url: str | None = None
) -> None:
    """Without tokens: raise Refusal unless the request comes from this machine, and was not made by a foreign web page.

    A page's own address may be turned into ours (DNS rebinding): then its name stands in `Host`. It may send requests
    to us without reading the answers (CSRF): then its name stands in `Origin`.
    """
    if client is None or not is_loopback(client) or any(name in headers for name in FORWARDED):
        raise unauthorized(f"there are no tokens, so only requests of this machine itself are served; {WAY_OUT}")
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not (_is_local_host(hosts[0]) or _is_of(hosts[0], public_url)):
        raise Refusal(403, "forbidden", f"`Host` is not of this machine; use localhost, or {WAY_OUT}")
    if method not in SAFE_METHODS:
        _refuse_foreign_pages(headers, own=(f"{scheme}://{hosts[0]}", _origin_of(public_url)))


def _refuse_foreign_pages(headers: Headers, *, own: Iterable[str | None]) -> None:
    origins = headers.getlist("origin")
    if origins:
        is_own = len(origins) == 1 and origins[0].lower() in {one.lower() for one in own if one}
    else:  # a browser says at least this; other programs say neither
        is_own = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    if not is_own:
        raise Refusal(
            403, "forbidden", f"a web page of another origin may change nothing here without a token; {WAY_OUT}"
        )


def _is_local_host(host: str) -> bool:
    name = _name_of(host)
    return name is not None and is_loopback(name)


def _is_of(host: str, public_url: str | None) -> bool:
    return public_url is not None and host.lower() == urlsplit(public_url).netloc.lower()


def _origin_of(public_url: str | None) -> str | None:
    if public_url is None:
        return None
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}"


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def bearer_of(headers: Headers) -> str | None:
    """The token that a request brings. Raises Refusal for any other kind of `Authorization`."""
    given = headers.getlist("authorization")
    if not given:
        return None
    kind, _, secret = given[0].partition(" ")
    if len(given) > 1 or kind.lower() != "bearer" or not secret.strip():
        raise unauthorized("send one `Authorization: Bearer` header with a token")
    return secret.strip()


def unauthorized(detail: str) -> Refusal:
    """It is not known who asks."""
    return Refusal(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="stepwell"'})


def refuse_beyond(actor: Actor, needed: Scope) -> None:
    """Raise Refusal unless the actor's scope covers the one that is needed."""
    if not actor.scope.covers(needed):
        raise Refusal(403, "forbidden", f"this needs the scope '{needed}'; '{actor.name}' has '{actor.scope}'")
