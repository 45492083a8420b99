"""Routes: accounts at vendors. Secrets come in, and never go out."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stepwell.core.tokens import Scope
from stepwell.core.vault import ApplicationKind
from stepwell.errors import InvalidOption, UnknownApplication, UnknownConnection, Unsealable
from stepwell.server import documents
from stepwell.server.fields import Text
from stepwell.server.queries import given
from stepwell.server.routes import Answer, Call, Route

SecretText = Annotated[str, Meta(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]
Settings = Annotated[dict[Text, Annotated[str, Meta(max_length=4_000, pattern=r"^[^\x00]*$")]], Meta(max_length=100)]
Secrets = Annotated[dict[Text, SecretText], Meta(max_length=100)]


# --- connections --------------------------------------------------------------------------------------------------


class Connections(msgspec.Struct):
    """Connections by their names."""

    connections: list[documents.Connection]


class AddConnection(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The credentials of an account. `hook_secrets` are those that its webhooks are signed with."""

    name: Text
    connector: Text
    settings: Settings = {}
    secrets: Secrets = {}
    application: Text | UnsetType = UNSET
    hook_secrets: Annotated[list[SecretText], Meta(max_length=10)] = []


async def list_connections(call: Call) -> Connections:
    """List connections: whether each can be used, and why not."""
    return Connections([documents.connection(one) for one in await call.app.connections.list()])


async def get_connection(call: Call, name: Text) -> documents.Connection:
    """Look at a connection, without its secrets."""
    return documents.connection(await call.app.connections.get(name))


async def add_connection(call: Call, body: AddConnection) -> documents.Connection:
    """Store the credentials of an account."""
    return documents.connection(
        await call.app.connections.add(
            body.name,
            body.connector,
            settings=body.settings,
            secrets=body.secrets,
            application=body.application or None,
            hook_secrets=body.hook_secrets,
        )
    )


class ChangeConnection(msgspec.Struct, forbid_unknown_fields=True):
    """Settings to set; null removes one."""

    settings: Annotated[dict[Text, str | None], Meta(max_length=100)]


async def change_connection(call: Call, name: Text, body: ChangeConnection) -> documents.Connection:
    """Set settings of a connection; the others stay."""
    return documents.connection(await call.app.connections.change(name, body.settings))


class RotateConnection(msgspec.Struct, forbid_unknown_fields=True):
    """Secrets to set."""

    secrets: Secrets


async def rotate_connection(call: Call, name: Text, body: RotateConnection) -> documents.Connection:
    """Set secrets of a connection; the others stay. What waits for it goes on."""
    return documents.connection(await call.app.connections.rotate(name, body.secrets))


class RotateHookSecret(msgspec.Struct, forbid_unknown_fields=True):
    """A new secret; `keep` older ones still verify. Without a secret the older ones are dropped."""

    secret: SecretText | UnsetType = UNSET
    keep: Annotated[int, Meta(ge=0, le=9)] = 1


async def rotate_hook_secret(call: Call, name: Text, body: RotateHookSecret) -> documents.Connection:
    """Verify a connection's webhooks by another secret, and still by the one before."""
    connections = call.app.connections
    return documents.connection(await connections.rotate_hook_secret(name, body.secret or None, keep=body.keep))


async def test_connection(call: Call, name: Text) -> documents.Connection:
    """Try a connection's credentials, and remember what that has met."""
    return documents.connection(await call.app.connections.test(name))


async def enable_connection(call: Call, name: Text) -> documents.Connection:
    """Let a connection be used, or tried, again; what waits for it goes on."""
    return documents.connection(await call.app.connections.enable(name))


async def disable_connection(call: Call, name: Text) -> documents.Connection:
    """Let nothing use a connection: steps that need it park, its webhooks are refused."""
    return documents.connection(await call.app.connections.disable(name))


async def remove_connection(call: Call, name: Text) -> Answer[None]:
    """Forget a connection, with its credentials."""
    await call.app.connections.remove(name)
    return Answer(None)


class Authorise(msgspec.Struct, forbid_unknown_fields=True):
    """Where the vendor sends the browser back to: by default `/oauth/callback` of this server's public URL."""

    redirect_uri: Text | UnsetType = UNSET


class Consent(msgspec.Struct):
    """A person is to open `url` within ten minutes, and to agree there."""

    url: str


async def authorise_connection(call: Call, name: Text, body: Authorise = Authorise()) -> Consent:  # noqa: B008
    """Begin to connect an account by the consent of a person."""
    consent = await call.app.connections.authorise(name, redirect_uri=body.redirect_uri or call.callback)
    return Consent(consent.url)


# --- applications -------------------------------------------------------------------------------------------------


class Applications(msgspec.Struct):
    """Applications by their names."""

    applications: list[documents.Application]


class AddApplication(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A client at a vendor, or an account that several connections share."""

    name: Text
    connector: Text
    kind: ApplicationKind = ApplicationKind.AUTHORIZATION_CODE
    settings: Settings = {}
    secrets: Secrets


async def list_applications(call: Call) -> Applications:
    """List applications."""
    return Applications([documents.application(one) for one in await call.app.applications.list()])


async def get_application(call: Call, name: Text) -> documents.Application:
    """Look at an application, without its secrets."""
    return documents.application(await call.app.applications.get(name))


async def add_application(call: Call, body: AddApplication) -> documents.Application:
    """Store an application."""
    return documents.application(
        await call.app.applications.add(
            body.name, body.connector, kind=body.kind, settings=body.settings, secrets=body.secrets
        )
    )


class ChangeApplication(msgspec.Struct, forbid_unknown_fields=True):
    """Settings and secrets to set; the others stay."""

    settings: Settings = {}
    secrets: Secrets = {}


async def change_application(call: Call, name: Text, body: ChangeApplication) -> documents.Application:
    """Set settings and secrets of an application. A client secret that is replaced still verifies webhooks."""
    return documents.application(await call.app.applications.change(name, **given(body)))


async def remove_application(call: Call, name: Text) -> Answer[None]:
    """Forget an application to which no connection belongs."""
    await call.app.applications.remove(name)
    return Answer(None)


# --- keys ---------------------------------------------------------------------------------------------------------


class Keys(msgspec.Struct):
    """The keys of this server, the newest first, then those that stored values need and it has not."""

    keys: list[documents.Key]


async def list_keys(call: Call) -> Keys:
    """List the keys that encrypt credentials."""
    return Keys([documents.key(one) for one in await call.app.keys.list()])


class Rotated(msgspec.Struct):
    """How many rows were encrypted again, and what could not be opened."""

    rows: int
    unsealable: list[str]


async def rotate_keys(call: Call) -> Rotated:
    """Encrypt again all that is not under the newest key; everything goes on meanwhile."""
    rotated = await call.app.keys.rotate()
    return Rotated(rotated.rows, [str(one) for one in rotated.unsealable])


_OF_ONE = (InvalidOption, UnknownConnection, Unsealable)
_OF_APPLICATION = (InvalidOption, UnknownApplication, Unsealable)


def _connections(method: str, path: str, scope: Scope, function: Any, **options: Any) -> Route:
    return Route(method, f"/connections{path}", scope, function, **{"errors": _OF_ONE, **options})


def _applications(method: str, path: str, scope: Scope, function: Any, **options: Any) -> Route:
    return Route(method, f"/applications{path}", scope, function, **{"errors": _OF_APPLICATION, **options})


ROUTES = (
    _connections("GET", "", Scope.READ, list_connections, errors=()),
    _connections("POST", "", Scope.ADMIN, add_connection, statuses=(201,), errors=(*_OF_ONE, UnknownApplication)),
    _connections("GET", "/{name}", Scope.READ, get_connection),
    _connections("DELETE", "/{name}", Scope.ADMIN, remove_connection, statuses=(204,)),
    _connections("POST", "/{name}/test", Scope.OPERATE, test_connection),
    _connections("POST", "/{name}/change", Scope.ADMIN, change_connection),
    _connections("POST", "/{name}/rotate", Scope.ADMIN, rotate_connection),
    _connections("POST", "/{name}/rotate-hook-secret", Scope.ADMIN, rotate_hook_secret),
    _connections("POST", "/{name}/authorise", Scope.ADMIN, authorise_connection),
    _connections("POST", "/{name}/enable", Scope.ADMIN, enable_connection),
    _connections("POST", "/{name}/disable", Scope.ADMIN, disable_connection),
    _applications("GET", "", Scope.READ, list_applications, errors=()),
    _applications("POST", "", Scope.ADMIN, add_application, statuses=(201,)),
    _applications("GET", "/{name}", Scope.READ, get_application),
    _applications("DELETE", "/{name}", Scope.ADMIN, remove_application, statuses=(204,)),
    _applications("POST", "/{name}/change", Scope.ADMIN, change_application),
    Route("GET", "/keys", Scope.ADMIN, list_keys, errors=(InvalidOption, Unsealable)),
    Route("POST", "/keys/rotate", Scope.ADMIN, rotate_keys, errors=(InvalidOption, Unsealable)),
)
