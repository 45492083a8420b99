"""The calls about connections, applications and keys for code without an event loop."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from stepwell.app.connections import NOTHING
from stepwell.core.accounts import ApplicationInfo, ConnectionInfo, Consent, KeyInfo
from stepwell.core.vault import ApplicationKind

if TYPE_CHECKING:
    from stepwell.app.connections import ApplicationCalls, ConnectionCalls, KeyCalls
    from stepwell.vault.rotation import Rotated

T = TypeVar("T")


class Await(Protocol):
    """Waits for a coroutine on the App's event loop. See SyncApp."""

    def __call__(self, call: Coroutine[Any, Any, T]) -> T: ...


class SyncConnectionCalls:
    """Each call does what that of App.connections does."""

    def __init__(self, calls: ConnectionCalls, wait: Await) -> None:
        self._calls, self._wait = calls, wait

    def add(
        self,
        name: str,
        connector: str,
        *,
        settings: Mapping[str, str] = NOTHING,
        secrets: Mapping[str, str] = NOTHING,
        application: str | None = None,
        hook_secrets: Sequence[str] = (),
    ) -> ConnectionInfo:
        """See ConnectionCalls.add."""
        return self._wait(
            self._calls.add(
                name,
                connector,
                settings=settings,
                secrets=secrets,
                application=application,
                hook_secrets=hook_secrets,
            )
        )

    def list(self) -> Sequence[ConnectionInfo]:
        """See ConnectionCalls.list."""
        return self._wait(self._calls.list())

    def get(self, name: str) -> ConnectionInfo:
        """See ConnectionCalls.get."""
        return self._wait(self._calls.get(name))

    def change(self, name: str, settings: Mapping[str, str | None]) -> ConnectionInfo:
        """See ConnectionCalls.change."""
        return self._wait(self._calls.change(name, settings))

    def rotate(self, name: str, secrets: Mapping[str, str]) -> ConnectionInfo:
        """See ConnectionCalls.rotate."""
        return self._wait(self._calls.rotate(name, secrets))

    def rotate_hook_secret(self, name: str, secret: str | None, *, keep: int = 1) -> ConnectionInfo:
        """See ConnectionCalls.rotate_hook_secret."""
        return self._wait(self._calls.rotate_hook_secret(name, secret, keep=keep))

    def test(self, name: str) -> ConnectionInfo:
        """See ConnectionCalls.test."""
        return self._wait(self._calls.test(name))

    def authorise(self, name: str, *, redirect_uri: str | None = None, is_bound: bool = False) -> Consent:
        """See ConnectionCalls.authorise."""
        return self._wait(self._calls.authorise(name, redirect_uri=redirect_uri, is_bound=is_bound))

    def complete(self, query: Mapping[str, str], *, binding: str | None = None) -> ConnectionInfo:
        """See ConnectionCalls.complete."""
        return self._wait(self._calls.complete(query, binding=binding))

    def enable(self, name: str) -> ConnectionInfo:
        """See ConnectionCalls.enable."""
        return self._wait(self._calls.enable(name))

    def disable(self, name: str) -> ConnectionInfo:
        """See ConnectionCalls.disable."""
        return self._wait(self._calls.disable(name))

    def remove(self, name: str) -> None:
        """See ConnectionCalls.remove."""
        self._wait(self._calls.remove(name))


class SyncApplicationCalls:
    """Each call does what that of App.applications does."""

    def __init__(self, calls: ApplicationCalls, wait: Await) -> None:
        self._calls, self._wait = calls, wait

    def add(
        self,
        name: str,
        connector: str,
        *,
        kind: ApplicationKind | str = ApplicationKind.AUTHORIZATION_CODE,
        settings: Mapping[str, str] = NOTHING,
        secrets: Mapping[str, str],
    ) -> ApplicationInfo:
        """See ApplicationCalls.add."""
        return self._wait(self._calls.add(name, connector, kind=kind, settings=settings, secrets=secrets))

    def list(self) -> Sequence[ApplicationInfo]:
        """See ApplicationCalls.list."""
        return self._wait(self._calls.list())

    def get(self, name: str) -> ApplicationInfo:
        """See ApplicationCalls.get."""
        return self._wait(self._calls.get(name))

    def change(
        self, name: str, *, settings: Mapping[str, str] = NOTHING, secrets: Mapping[str, str] = NOTHING
    ) -> ApplicationInfo:
        """See ApplicationCalls.change."""
        return self._wait(self._calls.change(name, settings=settings, secrets=secrets))

    def remove(self, name: str) -> None:
        """See ApplicationCalls.remove."""
        self._wait(self._calls.remove(name))


class SyncKeyCalls:
    """Each call does what that of App.keys does."""

    def __init__(self, calls: KeyCalls, wait: Await) -> None:
        self._calls, self._wait = calls, wait

    def list(self) -> Sequence[KeyInfo]:
        """See KeyCalls.list."""
        return self._wait(self._calls.list())

    def rotate(self) -> Rotated:
        """See KeyCalls.rotate."""
        return self._wait(self._calls.rotate())
