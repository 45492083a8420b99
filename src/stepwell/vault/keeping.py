"""Applications and connections are added, changed and removed. Every answer is free of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from stepwell.core.accounts import ApplicationInfo, ConnectionInfo
from stepwell.core.connections import Secret
from stepwell.core.vault import ApplicationKind, ConnectionStatus, StoredApplication, StoredConnection
from stepwell.errors import DatabaseUnavailable, InvalidOption, UnknownApplication, UnknownConnection
from stepwell.store.base import Vault
from stepwell.vault.endpoints import check_endpoint
from stepwell.vault.seals import CLIENT_SECRET, PREVIOUS_CLIENT_SECRET, PRIVATE_KEY, Seals

MAX_SETTINGS = 100
MAX_TEXT_LENGTH = 20_000  # characters of a setting or a secret: a private key has some thousand
MAX_HOOK_SECRETS = 5  # that verify at once: the newest, and those that vendors still sign with
MAX_ROUNDS = 20  # of changing what somebody else has just changed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # it stands in addresses: /hooks/{source}/{connection}

Texts = Mapping[str, str]


class Keeping:
    """Changes what is stored; whatever is secret is sealed first."""

    def __init__(self, store: Vault, seals: Callable[[], Seals]) -> None:
        """`seals` is called when there is something to seal: without keys one can still look."""
        self._store, self._seals = store, seals

    # --- applications ---------------------------------------------------------------------------------------------

    async def add_application(
        self, name: str, connector: str, *, kind: ApplicationKind, settings: Texts, secrets: Texts
    ) -> ApplicationInfo:
        """Raises InvalidOption when the name is taken, or what it needs is missing."""
        row = StoredApplication(checked_name("application", name), checked_name("connector", connector), kind, {}, b"")
        row = replace(row, settings=_checked("setting", settings))
        if kind.is_oauth and not row.settings.get("client_id"):
            raise InvalidOption(f"application '{name}' has no client_id; the vendor shows it where you registered it")
        given = _checked_secrets(secrets)
        wanted = {ApplicationKind.SHARED: None, ApplicationKind.INSTALLATION: PRIVATE_KEY}.get(kind, CLIENT_SECRET)
        if not given or (wanted is not None and wanted not in given):
            raise InvalidOption(f"application '{name}' has no secret; give its {wanted or 'secrets, which are shared'}")
        if not await self._store.add_application(self._seals().sealed_application(row, given)):
            raise InvalidOption(f"application '{name}' is there already; change it, or choose another name")
        return await self.application(name)

    async def change_application(self, name: str, *, settings: Texts, secrets: Texts) -> ApplicationInfo:
        """Set these settings and secrets; the others stay. A client secret that is replaced still verifies deliveries.

        Connections that were refused for its sake are tried again. Raises UnknownApplication, InvalidOption.
        """
        given = _checked_secrets(secrets)
        for _ in range(MAX_ROUNDS):
            row = await self._application(name)
            before = self._seals().application(row)
            after = {**before, **given}
            if CLIENT_SECRET in given and CLIENT_SECRET in before:
                after[PREVIOUS_CLIENT_SECRET] = before[CLIENT_SECRET]
            row = replace(row, settings={**row.settings, **_checked("setting", settings)})
            if await self._store.change_application(self._seals().sealed_application(row, after)):
                await self._try_again(name)
                return await self.application(name)
        raise _too_busy("application", name)

    async def _try_again(self, application: str) -> None:
        for row in await self._store.connections():
            if row.application == application and row.status is ConnectionStatus.NEEDS_REAUTH:
                await self.set_status(row.name, ConnectionStatus.OK)

    async def application(self, name: str) -> ApplicationInfo:
        """One. Raises UnknownApplication."""
        return application_info(await self._application(name))

    async def applications(self) -> Sequence[ApplicationInfo]:
        """All, by their names."""
        return [application_info(row) for row in await self._store.applications()]

    async def remove_application(self, name: str) -> None:
        """Raises UnknownApplication; InvalidOption while connections belong to it."""
        if not await self._store.remove_application(name):
            await self._application(name)
            raise InvalidOption(f"connections belong to application '{name}'; remove them first")

    async def _application(self, name: str) -> StoredApplication:
        found = await self._store.applications(name)
        if not found:
            raise UnknownApplication(name)
        return found[0]

    # --- connections ----------------------------------------------------------------------------------------------

    async def add(
        self,
        name: str,
        connector: str,
        *,
        application: str | None,
        settings: Texts,
        secrets: Texts,
        hook_secrets: Sequence[str],
    ) -> ConnectionInfo:
        """One whose application asks for consent needs that before it can be used.

        Raises InvalidOption when the name is taken; UnknownApplication.
        """
        row = StoredConnection(checked_name("connection", name), checked_name("connector", connector), application)
        if application is not None:
            kept = await self._application(application)
            if kept.connector != connector:
                raise InvalidOption(f"application '{application}' is one of {kept.connector}, not of {connector}")
            if kept.kind is ApplicationKind.AUTHORIZATION_CODE and not secrets:
                row = replace(row, status=ConnectionStatus.NEEDS_REAUTH, error="it was never connected")
        row = replace(row, settings=_checked("setting", settings))
        signed_with = _checked_hook_secrets(hook_secrets)
        check_endpoint(connector, row.settings, signed_with)
        row = self._seals().sealed_connection(row, _checked_secrets(secrets))
        row = self._seals().sealed_hooks(row, signed_with)
        if not await self._store.add_connection(row):
            raise InvalidOption(f"connection '{name}' is there already; change or rotate it, or choose another name")
        return await self.get(name)

    async def get(self, name: str) -> ConnectionInfo:
        """One. Raises UnknownConnection."""
        return connection_info(await self._connection(name))

    async def list(self) -> Sequence[ConnectionInfo]:
        """All, by their names."""
        return [connection_info(row) for row in await self._store.connections()]

    async def change(self, name: str, settings: Mapping[str, str | None]) -> ConnectionInfo:
        """Set these settings, or remove those that are None; the others stay. Raises UnknownConnection."""
        given = _checked("setting", {key: value for key, value in settings.items() if value is not None})

        def change(row: StoredConnection) -> StoredConnection:
            kept = {key: value for key, value in row.settings.items() if key not in settings}
            check_endpoint(row.connector, {**kept, **given}, [])
            return replace(row, settings={**kept, **given})

        return await self._change(name, change, has_hooks_changed=True)

    async def rotate(self, name: str, secrets: Texts) -> ConnectionInfo:
        """Set these secrets; the others stay. It is ok now, and what waits for it goes on. Raises UnknownConnection."""
        given = _checked_secrets(secrets)
        if not given:
            raise InvalidOption(f"connection '{name}': give the secrets that it has from now on")

        def change(row: StoredConnection) -> StoredConnection:
            sealed = self._seals().sealed_connection(row, {**self._seals().connection(row), **given})
            return replace(sealed, status=ConnectionStatus.OK, error=None)

        return await self._change(name, change, has_hooks_changed=False)

    async def rotate_hook_secret(self, name: str, secret: str | None, *, keep: int) -> ConnectionInfo:
        """Webhooks are signed with this from now on; so many of those before it verify still. None: none is added.

        Raises UnknownConnection, InvalidOption.
        """
        given = _checked_hook_secrets([secret] if secret is not None else [])

        def change(row: StoredConnection) -> StoredConnection:
            check_endpoint(row.connector, row.settings, given)
            before = self._seals().hook_secrets(row)[: max(keep, 0)]
            return self._seals().sealed_hooks(row, _checked_hook_secrets([*given, *before]))

        return await self._change(name, change, has_hooks_changed=True)

    async def set_status(self, name: str, status: ConnectionStatus) -> ConnectionInfo:
        """Disable it, or let it be tried again. Raises UnknownConnection."""
        return await self._change(
            name,
            lambda row: replace(row, status=status, error=None if status is ConnectionStatus.OK else row.error),
            has_hooks_changed=True,
        )

    async def note_check(self, name: str, error: str | None) -> ConnectionInfo:
        """What a check has found. Raises UnknownConnection."""
        if not await self._store.note_check(name, error):
            raise UnknownConnection(name)
        return await self.get(name)

    async def remove(self, name: str) -> None:
        """Raises UnknownConnection."""
        if not await self._store.remove_connection(name):
            raise UnknownConnection(name)

    async def _connection(self, name: str) -> StoredConnection:
        found = await self._store.connections(name)
        if not found:
            raise UnknownConnection(name)
        return found[0]

    async def _change(
        self, name: str, change: Callable[[StoredConnection], StoredConnection], *, has_hooks_changed: bool
    ) -> ConnectionInfo:
        for _ in range(MAX_ROUNDS):
            changed = change(await self._connection(name))
            if await self._store.change_connection(changed, has_hooks_changed=has_hooks_changed):
                return await self.get(name)
        raise _too_busy("connection", name)


def application_info(row: StoredApplication) -> ApplicationInfo:
    """What of a row may be shown."""
    return ApplicationInfo(row.name, row.connector, row.kind, row.settings)


def connection_info(row: StoredConnection) -> ConnectionInfo:
    """What of a row may be shown."""
    return ConnectionInfo(
        name=row.name,
        connector=row.connector,
        application=row.application,
        settings=row.settings,
        status=row.status,
        error=row.error,
        expires_at=row.expires_at,
        refreshed_at=row.refreshed_at,
        checked_at=row.checked_at,
        check_error=row.check_error,
        has_hook_secrets=row.hook_secrets is not None,
    )


def checked_name(what: str, name: str) -> str:
    """A name that can stand in an address. Raises InvalidOption."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidOption(f"{what} {name!r:.120}: use 1 to 100 letters, digits, dots, dashes and underscores")
    return name


def _checked_secrets(given: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(text) for name, text in _checked("secret", given).items()}


def _checked_hook_secrets(given: Sequence[str | Secret]) -> list[Secret]:
    texts = [one.reveal() if isinstance(one, Secret) else one for one in given][:MAX_HOOK_SECRETS]
    for text in texts:
        _check_text("a webhook's secret", text)
        if not text.strip():
            raise InvalidOption("a webhook's secret is empty: anybody could sign with it")
    return [Secret(text) for text in texts]


def _checked(what: str, given: Mapping[str, str]) -> dict[str, str]:
    """Texts by names, as the database can keep them. Errors name them and never show a value."""
    if len(given) > MAX_SETTINGS:
        raise InvalidOption(f"{len(given)} {what}s are too many, use at most {MAX_SETTINGS}")
    for name, text in given.items():
        checked_name(f"{what}'s name", name)
        _check_text(f"{what} '{name}'", text)
    return dict(given)


def _check_text(what: str, text: str) -> None:
    if not isinstance(text, str) or not text or len(text) > MAX_TEXT_LENGTH or "\0" in text:
        raise InvalidOption(f"{what}: use text of 1 to {MAX_TEXT_LENGTH:,} characters, without NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidOption(f"{what} has a lone surrogate, which is no character") from None


def _too_busy(what: str, name: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"{what} '{name}' is changed by others all the time; try again")
