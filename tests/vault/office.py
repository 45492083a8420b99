"""One process's share of the vault, with chance and the clocks in the test's hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from stepwell.core.accounts import ConnectionInfo
from stepwell.core.connections import Connection
from stepwell.core.model import ExecutionId
from stepwell.core.vault import ApplicationKind, StoredConnection
from stepwell.egress import Rules
from stepwell.egress.client import GuardedTransport
from stepwell.running import StepContext, running_step
from stepwell.sealing import Keyring, new_key
from stepwell.store.base import Vault
from stepwell.vault.consent import Consents
from stepwell.vault.exchange import Exchange
from stepwell.vault.keeping import Keeping
from stepwell.vault.lending import REMEMBER_SECONDS, Lending
from stepwell.vault.renewing import Renewing
from stepwell.vault.rotation import Rotation
from stepwell.vault.seals import Seals
from tests.store.world import World
from tests.vault.vendor import CANARY

BACK = "https://example.com/oauth/callback"


class Office:
    """The vault's parts over one store, as an App puts them together."""

    def __init__(self, world: World, vendor_url: str, *, keyring: Keyring | None = None) -> None:
        self.world, self.url = world, vendor_url
        self.store: Vault = world.store.vault
        self.keyring = keyring or Keyring([new_key("k1")])
        self.random, self.seconds = 0.5, 0.0
        seals = self.seals = Seals(self.keyring)
        self.exchange = Exchange(GuardedTransport(Rules.allowing(["127.0.0.0/8"])))
        self.renewing = Renewing(self.store, seals, self.exchange, now=world.store.now)
        self.lending = Lending(
            self.store,
            seals,
            self.renewing,
            now=world.store.now,
            random=lambda: self.random,
            monotonic=lambda: self.seconds,
        )
        self.keeping = Keeping(self.store, lambda: seals)
        self.consents = Consents(self.store, seals, self.renewing, self.exchange)
        self.rotation = Rotation(self.store, seals)

    def another(self) -> Office:
        """That of another process, with the same keys."""
        return Office(self.world, self.url, keyring=self.keyring)

    async def furnish(self, kind: ApplicationKind = ApplicationKind.AUTHORIZATION_CODE) -> None:
        """An application at the vendor."""
        await self.keeping.add_application(
            "app",
            "example",
            kind=kind,
            settings={
                "client_id": "me",
                "authorize_url": f"{self.url}/authorize",
                "token_url": f"{self.url}/token",
                "redirect_uri": BACK,
                "scopes": "read write",
            },
            secrets={"client_secret": f"secret-{CANARY}"},
        )

    async def add(self, name: str = "acme") -> ConnectionInfo:
        """A connection that was never connected."""
        return await self.keeping.add(
            name, "example", application="app", settings={}, secrets={}, hook_secrets=[f"hook-{CANARY}"]
        )

    async def connect(self, name: str = "acme") -> ConnectionInfo:
        """A person agrees."""
        consent = await self.consents.begin(name, redirect_uri=None, is_bound=False)
        return await self.consents.complete(await agreed(consent.url), binding=None)

    async def row(self, name: str = "acme") -> StoredConnection:
        (found,) = await self.store.connections(name)
        return found

    def pass_time(self, by: timedelta) -> None:
        """For the store, and for this process."""
        self.world.advance(by)
        self.seconds += by.total_seconds()

    def forget(self) -> None:
        """Let so much time pass that what is lent is looked at again."""
        self.seconds += REMEMBER_SECONDS + 1

    async def close(self) -> None:
        await self.lending.close()
        await self.exchange.close()


async def agreed(url: str) -> dict[str, str]:
    """The query with which the vendor sends the browser back."""
    import httpx2

    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(url)
    return dict(httpx2.URL(answer.headers["location"]).params)


def token(connection: Connection) -> str:
    return connection.secrets["token"].reveal()


@contextmanager
def in_step_of(execution_id: ExecutionId) -> Iterator[None]:
    """As if a step of that execution were running."""
    before = running_step.set(StepContext(execution_id, "step", 1))
    try:
        yield
    finally:
        running_step.reset(before)
