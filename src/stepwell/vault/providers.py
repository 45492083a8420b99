"""What OAuth 2 is at each vendor, as data. Whatever differs from RFC 6749 stands here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ENTRA_SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"  # the id of Azure DevOps at Microsoft Entra

Where = Literal["body", "basic", "query"]


@dataclass(frozen=True, slots=True)
class Provider:
    """How tokens are got from one vendor.

    `{name}` in an address is a setting of the connection or its application; `defaults` are for those that are not set.
    `authenticates`: where the client's id and secret go. A refresh token that `rotates` works once.
    """

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...] = ()
    client_scopes: tuple[str, ...] | None = None  # of client credentials, if others
    separator: str = " "  # between scopes
    authenticates: Where = "body"
    has_pkce: bool = True
    defaults: Mapping[str, str] = field(default_factory=dict)
    ask: Mapping[str, str] = field(default_factory=dict)  # more parameters of the page that asks for consent
    exchange: Mapping[str, str] = field(default_factory=dict)  # more parameters when a code is exchanged
    is_consent_signed: bool = False  # what comes back carries `hmac`, as Shopify's does
    installation_url: str | None = None  # where an app gets tokens of its installation in an account


PROVIDERS: Mapping[str, Provider] = {
    # learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow; 1 h, refresh tokens may be used again
    "azure-devops": Provider(
        "https://login.microsoftonline.com/{directory}/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/{directory}/oauth2/v2.0/token",
        scopes=(ENTRA_SCOPE, "offline_access"),
        client_scopes=(ENTRA_SCOPE,),
        defaults={"directory": "organizations"},
    ),
    # developer.clickup.com/docs/authentication: id, secret and code in the query; the token neither ends nor is renewed
    "clickup": Provider(
        "https://app.clickup.com/api",
        "https://api.clickup.com/api/v2/oauth/token",
        authenticates="query",
        has_pkce=False,
    ),
    # shopify.dev/docs/apps/build/authentication-authorization/access-tokens: with `expiring` tokens live 60 minutes and
    # come with a refresh token that works once within 90 days; the one before it keeps working until the new access
    # token is used for the first time
    "shopify": Provider(
        "https://{shop}.myshopify.com/admin/oauth/authorize",
        "https://{shop}.myshopify.com/admin/oauth/access_token",
        separator=",",
        has_pkce=False,
        exchange={"expiring": "1"},
        is_consent_signed=True,
    ),
    # docs.github.com/apps: tokens of an app that lets them expire live 8 hours, refresh tokens work once in 6 months;
    # those of an installation live one hour
    "github": Provider(
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
        installation_url="https://api.github.com/app/installations/{installation}/access_tokens",
    ),
}

GENERIC = Provider("{authorize_url}", "{token_url}")


def provider_of(connector: str) -> Provider:
    """What is known of a connector's vendor; else what RFC 6749 says, with addresses from the settings."""
    return PROVIDERS.get(connector, GENERIC)
