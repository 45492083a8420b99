"""The App's calls about connections, applications and keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from stepwell.app.accounts import Accounts, check
from stepwell.app.database import GivenBackend, PostgresDatabase
from stepwell.app.opening import Opening
from stepwell.core.accounts import ApplicationInfo, ConnectionInfo, Consent, KeyInfo
from stepwell.core.vault import ApplicationKind, ConnectionStatus
from stepwell.errors import InvalidOption, NotYet, StepwellError
from stepwell.running import connected

if TYPE_CHECKING:
    from stepwell.vault.keeping import Keeping
    from stepwell.vault.rotation import Rotated

NOTHING: Mapping[str, str] = {}
MAX_CHECK_LENGTH = 500  # characters of what a check has met


class AccountCalls(Opening):
    """The part of an App that knows accounts at vendors."""

    _accounts: Accounts | None = None

    @property
    def connections(self) -> ConnectionCalls:
        """Credentials of accounts: add, list, test, rotate, connect again."""
        return ConnectionCalls(self._open_accounts)

    @property
    def applications(self) -> ApplicationCalls:
        """What connections belong to: a client at a vendor, or an account that several share."""
        return ApplicationCalls(self._open_accounts)

    @property
    def keys(self) -> KeyCalls:
        """The keys that encrypt credentials."""
        return KeyCalls(self._open_accounts)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """While the block runs connectors can be used in it, outside of any step. Workers do this by themselves."""
        async with lent(await self._open_accounts()):
            yield

    async def _open_accounts(self) -> Accounts:
        await self.open()
        return self._open_accounts_now()

    def _open_accounts_now(self) -> Accounts:
        """The same of an App that is open."""
        assert self._client is not None, "the App is open"
        store = self._client.store
        if self._accounts is None or self._accounts.store is not store:
            database = self._database
            is_embedded = isinstance(database, PostgresDatabase) and database.is_embedded
            is_memory = isinstance(database, GivenBackend)
            self._accounts = Accounts(store, is_embedded=is_embedded, is_memory=is_memory)
        return self._accounts

    async def close(self) -> None:
        """Give back connections and the embedded database. Idempotent; a later call opens it again."""
        accounts, self._accounts = self._accounts, None
        if accounts is not None:
            await accounts.close()
        await super().close()

    def forget(self) -> None:
        """Drop the connections without using them: they belong to an ended event loop, or to the parent process."""
        self._accounts = None
        super().forget()


@asynccontextmanager
async def lent(accounts: Accounts) -> AsyncIterator[None]:
    """While the block runs connectors find connections there."""
    before = connected.set(accounts.connected)
    try:
        yield
    finally:
        connected.reset(before)


class _Calls:
    """Calls about accounts; the first one opens the App."""

    def __init__(self, accounts: Callable[[], Awaitable[Accounts]]) -> None:
        self._accounts = accounts

    async def _keeping(self) -> Keeping:
        return (await self._accounts()).keeping


class ConnectionCalls(_Calls):
    """What can be done to connections. No answer shows a secret."""

    async def add(
        self,
        name: str,
        connector: str,
        *,
        settings: Mapping[str, str] = NOTHING,
        secrets: Mapping[str, str] = NOTHING,
        application: str | None = None,
        hook_secrets: Sequence[str] = (),
    ) -> ConnectionInfo:
        """Store the credentials of an account. `hook_secrets` are those that its webhooks are signed with.

        One whose application asks for a person's consent can be used after `authorise` and `complete`. Raises
        InvalidOption when the name is taken, UnknownApplication.
        """
        return await (await self._keeping()).add(
            name, connector, application=application, settings=settings, secrets=secrets, hook_secrets=hook_secrets
        )

    async def list(self) -> Sequence[ConnectionInfo]:
        """All, by their names."""
        return await (await self._keeping()).list()

    async def get(self, name: str) -> ConnectionInfo:
        """One. Raises UnknownConnection."""
        return await (await self._keeping()).get(name)

    async def change(self, name: str, settings: Mapping[str, str | None]) -> ConnectionInfo:
        """Set these settings, remove those that are None; the others stay. Raises UnknownConnection."""
        return await (await self._keeping()).change(name, settings)

    async def rotate(self, name: str, secrets: Mapping[str, str]) -> ConnectionInfo:
        """Set these secrets; the others stay. What waits for the connection goes on. Raises UnknownConnection."""
        return await (await self._keeping()).rotate(name, secrets)

    async def rotate_hook_secret(self, name: str, secret: str | None, *, keep: int = 1) -> ConnectionInfo:
        """Verify webhooks by this secret, and still by so many before it. With None and `keep` older ones are dropped.

        Raises UnknownConnection, InvalidOption.
        """
        return await (await self._keeping()).rotate_hook_secret(name, secret, keep=keep)

    async def test(self, name: str) -> ConnectionInfo:
        """Try the credentials, and note what that has met: `checked_at`, `check_error`. Raises UnknownConnection."""
        accounts = await self._accounts()
        row = await accounts.keeping.get(name)
        try:
            async with lent(accounts):
                await accounts.lending.use(name)
                await check(row.connector, name)
            error = None
        except (StepwellError, NotYet) as failed:
            error = str(failed)[:MAX_CHECK_LENGTH]
        return await accounts.keeping.note_check(name, error)

    async def authorise(self, name: str, *, redirect_uri: str | None = None, is_bound: bool = False) -> Consent:
        """Begin to connect an account: a person opens the answer's `url` within ten minutes, and agrees.

        The vendor then sends the browser to `redirect_uri`, by default that of the application, and `complete` takes
        what it brings. `is_bound`: only with the answer's `binding`, such as a cookie. Raises UnknownConnection,
        InvalidOption.
        """
        accounts = await self._accounts()
        return await accounts.consents.begin(name, redirect_uri=redirect_uri, is_bound=is_bound)

    async def complete(self, query: Mapping[str, str], *, binding: str | None = None) -> ConnectionInfo:
        """Connect the account, by the query that the vendor has sent a browser back with.

        What waits for the connection goes on. Raises AuthorisationFailed.
        """
        return await (await self._accounts()).consents.complete(query, binding=binding)

    async def enable(self, name: str) -> ConnectionInfo:
        """Let it be used, or tried, again; what waits for it goes on. Raises UnknownConnection."""
        return await (await self._keeping()).set_status(name, ConnectionStatus.OK)

    async def disable(self, name: str) -> ConnectionInfo:
        """Let nothing use it: steps that need it park, its webhooks are refused. Raises UnknownConnection."""
        return await (await self._keeping()).set_status(name, ConnectionStatus.DISABLED)

    async def remove(self, name: str) -> None:
        """Forget it, with its credentials. Raises UnknownConnection."""
        await (await self._keeping()).remove(name)


class ApplicationCalls(_Calls):
    """What can be done to applications. No answer shows a secret."""

    async def add(
        self,
        name: str,
        connector: str,
        *,
        kind: ApplicationKind | str = ApplicationKind.AUTHORIZATION_CODE,
        settings: Mapping[str, str] = NOTHING,
        secrets: Mapping[str, str],
    ) -> ApplicationInfo:
        """Store an application. OAuth 2 needs the setting `client_id` and the secret `client_secret`.

        Raises InvalidOption when the name is taken, or something is missing.
        """
        keeping = await self._keeping()
        return await keeping.add_application(name, connector, kind=_kind(kind), settings=settings, secrets=secrets)

    async def list(self) -> Sequence[ApplicationInfo]:
        """All, by their names."""
        return await (await self._keeping()).applications()

    async def get(self, name: str) -> ApplicationInfo:
        """One. Raises UnknownApplication."""
        return await (await self._keeping()).application(name)

    async def change(
        self, name: str, *, settings: Mapping[str, str] = NOTHING, secrets: Mapping[str, str] = NOTHING
    ) -> ApplicationInfo:
        """Set these settings and secrets; the others stay. A client secret that is replaced still verifies webhooks.

        Raises UnknownApplication.
        """
        keeping = await self._keeping()
        return await keeping.change_application(name, settings=settings, secrets=secrets)

    async def remove(self, name: str) -> None:
        """Forget it. Raises UnknownApplication; InvalidOption while connections belong to it."""
        await (await self._keeping()).remove_application(name)


class KeyCalls(_Calls):
    """What can be done with the keys that encrypt credentials."""

    async def list(self) -> Sequence[KeyInfo]:
        """The keys of this process, the newest first, then those that stored values still need and it has not."""
        return await (await self._accounts()).rotation.keys()

    async def rotate(self) -> Rotated:
        """Encrypt again all that is not under the newest key; everything goes on. Begun again it does the rest."""
        return await (await self._accounts()).rotation.rotate()


def _kind(text: ApplicationKind | str) -> ApplicationKind:
    try:
        return ApplicationKind(text)
    except ValueError:
        raise InvalidOption(f"kind {text!r:.60}: use {', '.join(ApplicationKind)}") from None
