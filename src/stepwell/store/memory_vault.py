"""Applications and connections, as plain dicts: the executable specification of `Vault`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from stepwell.core.model import ExecutionId
from stepwell.core.vault import (
    Authorisation,
    ConnectionStatus,
    StoredApplication,
    StoredConnection,
    StoredEndpoints,
)
from stepwell.store.base import Renewal


class Executions(Protocol):
    """What a vault needs of the store that keeps the executions."""

    def let_go_on(self, ids: Iterable[ExecutionId], reason: str) -> None:
        """What these executions waited for has come."""


class MemoryVault:
    """Keeps the Vault protocol."""

    def __init__(
        self,
        executions: Executions,
        judge_anew: Callable[[], None],
        *,
        lock: AbstractContextManager[object],
        now: Callable[[], datetime],
    ) -> None:
        """`judge_anew` says that what deliveries are verified by has changed."""
        self._executions, self._lock, self._now, self._judge_anew = executions, lock, now, judge_anew
        self._applications: dict[str, StoredApplication] = {}
        self._connections: dict[str, StoredConnection] = {}
        self._needs: defaultdict[str, set[ExecutionId]] = defaultdict(set)
        self._authorisations: dict[bytes, tuple[Authorisation, datetime]] = {}
        self._renewing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def add_application(self, new: StoredApplication) -> bool:
        with self._lock:
            return self._applications.setdefault(new.name, new) is new

    async def change_application(self, changed: StoredApplication) -> bool:
        with self._lock:
            known = self._applications.get(changed.name)
            if known is None or known.revision != changed.revision:
                return False
            self._applications[changed.name] = replace(changed, revision=changed.revision + 1)
            self._judge_anew()
            return True

    async def applications(self, name: str | None = None) -> Sequence[StoredApplication]:
        with self._lock:
            return [self._applications[one] for one in sorted(self._applications) if name in (None, one)]

    async def remove_application(self, name: str) -> bool:
        with self._lock:
            if any(one.application == name for one in self._connections.values()):
                return False
            return self._applications.pop(name, None) is not None

    async def add_connection(self, new: StoredConnection) -> bool:
        with self._lock:
            if new.name in self._connections:
                return False
            self._connections[new.name] = new
            self._judge_anew()
            return True

    async def change_connection(self, changed: StoredConnection, *, has_hooks_changed: bool) -> bool:
        with self._lock:
            known = self._connections.get(changed.name)
            if known is None or known.revision != changed.revision:
                return False
            checked = {"checked_at": known.checked_at, "check_error": known.check_error, "connector": known.connector}
            self._connections[changed.name] = replace(
                changed,
                renewing_at=None,
                revision=changed.revision + 1,
                **checked,  # type: ignore[arg-type]
            )
            if has_hooks_changed:
                self._judge_anew()
            if changed.status is ConnectionStatus.OK:
                needing = self._needs.pop(changed.name, set())
                self._executions.let_go_on(needing, f"connection '{changed.name}' is ok again")
            return True

    async def connections(self, name: str | None = None) -> Sequence[StoredConnection]:
        with self._lock:
            return [self._connections[one] for one in sorted(self._connections) if name in (None, one)]

    async def remove_connection(self, name: str) -> bool:
        with self._lock:
            if self._connections.pop(name, None) is None:
                return False
            asked = self._authorisations.items()
            self._authorisations = {state: one for state, one in asked if one[0].connection != name}
            self._judge_anew()
            self._executions.let_go_on(self._needs.pop(name, set()), f"connection '{name}' was removed")
            return True

    async def note_check(self, name: str, error: str | None) -> bool:
        with self._lock:
            if name not in self._connections:
                return False
            self._connections[name] = replace(self._connections[name], checked_at=self._now(), check_error=error)
            return True

    async def need(self, name: str, execution_id: ExecutionId) -> bool:
        with self._lock:
            known = self._connections.get(name)
            if known is None or known.status is ConnectionStatus.OK:
                return False
            self._needs[name].add(execution_id)
            return True

    @asynccontextmanager
    async def renewal(self, name: str) -> AsyncIterator[Renewal | None]:
        async with self._renewing[name]:
            known = self._connections.get(name)
            if known is None:
                yield None
                return
            noted = self._connections[name] = replace(known, renewing_at=known.renewing_at or self._now())
            yield _MemoryRenewal(self, noted)

    async def begin_authorisation(self, new: Authorisation, *, valid_for: timedelta) -> None:
        with self._lock:
            now = self._now()
            self._authorisations = {state: one for state, one in self._authorisations.items() if one[1] >= now}
            self._authorisations[new.state] = new, now + valid_for

    async def redeem_authorisation(self, state: bytes) -> Authorisation | None:
        with self._lock:
            found = self._authorisations.pop(state, None)
            return found[0] if found is not None and found[1] > self._now() else None

    async def endpoints(self) -> StoredEndpoints:
        with self._lock:
            verifying = [one for one in self._connections.values() if one.hook_secrets or one.application]
            names = {one.application for one in verifying}
            return StoredEndpoints(
                tuple(sorted(map(_endpoint, verifying), key=lambda one: one.name)),
                tuple(one for one in self._applications.values() if one.name in names),
            )


class _MemoryRenewal:
    """Keeps the Renewal protocol."""

    def __init__(self, vault: MemoryVault, connection: StoredConnection) -> None:
        self._vault, self.connection = vault, connection

    async def keep(self, changed: StoredConnection) -> bool:
        return await self._vault.change_connection(changed, has_hooks_changed=False)


def _endpoint(one: StoredConnection) -> StoredConnection:
    """What is needed of it to verify deliveries."""
    return StoredConnection(
        one.name,
        one.connector,
        one.application,
        one.settings,
        hook_secrets=one.hook_secrets,
        status=one.status,
        revision=one.revision,
    )
