"""The App's calls about webhooks: what takes deliveries, and what can be asked of those that were taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from stepwell.app.checks import checked_limit, id_of, optional_text
from stepwell.app.connections import AccountCalls
from stepwell.app.handle import Handle
from stepwell.core.webhooks import Delivery, DeliveryFilter, Endpoint, HookSpec
from stepwell.errors import InvalidOption, UnknownDelivery

if TYPE_CHECKING:
    from stepwell.app.accounts import Accounts
    from stepwell.app.application import App
    from stepwell.inbox.receiving import Receiver
    from stepwell.store.base import Backend, Inbox


class HookCalls(AccountCalls):
    """What webhooks have brought, and what brings them in."""

    _receiver: tuple[Backend, Receiver] | None = None

    async def hooks(self) -> Sequence[HookSpec]:
        """What webhooks start: the triggers in force, by their ids."""
        return (await (await self._inbox()).hooks())[1]

    async def deliveries(
        self,
        *,
        source: str | None = None,
        connection: str | None = None,
        type: str | None = None,
        is_reconciled: bool | None = None,
        before: UUID | str | None = None,
        limit: int = 100,
    ) -> Sequence[Delivery]:
        """Deliveries of webhooks, newest first, without their headers and bodies, at most `limit`.

        `before` is the id of the last one of the page before. `is_reconciled`: those that were found by asking.
        """
        names = (optional_text("source", source), optional_text("connection", connection))
        which = DeliveryFilter(*names, optional_text("type", type), is_reconciled)
        place = None if before is None else id_of(before, "delivery")
        return await (await self._inbox()).deliveries(which, before=place, limit=checked_limit(limit))

    async def delivery(self, delivery_id: UUID | str) -> Delivery:
        """A delivery with all that it said. Raises UnknownDelivery."""
        found = await (await self._inbox()).delivery(id_of(delivery_id, "delivery"))
        if found is None:
            raise UnknownDelivery(delivery_id)
        return found

    async def replay(self, delivery_id: UUID | str) -> list[Handle[Any]]:
        """Start new executions from a delivery, by the triggers that are in force now and with the same input.

        Raises UnknownDelivery; InvalidOption when no trigger takes it.
        """
        from stepwell.inbox.starting import starts_again

        inbox, delivery = await self._inbox(), await self.delivery(delivery_id)
        new = starts_again(delivery, (await inbox.hooks())[1])
        if not new:
            raise InvalidOption(
                f"no trigger takes '{delivery.type}' of '{delivery.source}': see `stepwell hooks list`; the start of a"
                " worker declares those of its code"
            )
        if not await inbox.replay(delivery.id, new):
            raise UnknownDelivery(delivery_id)
        return [Handle(cast("App", self), one.id, is_new=True) for one in new]

    async def intake(self) -> Receiver:
        """What answers requests of vendors: the same one as long as this App is open. Raises DatabaseError."""
        from stepwell.inbox.receiving import Receiver

        store = (await self.open()).store
        if self._receiver is None or self._receiver[0] is not store:
            endpoints = _EndpointsIfAny(await self._open_accounts())
            self._receiver = store, Receiver(store.inbox, endpoints, now=store.now)
        return self._receiver[1]

    async def _inbox(self) -> Inbox:
        return (await self.open()).store.inbox


async def endpoints_of(app: HookCalls) -> Sequence[Endpoint]:
    """Which connections take deliveries, with their secrets: for whoever signs a delivery to try them."""
    return await _EndpointsIfAny(await app._open_accounts()).endpoints()


class _EndpointsIfAny:
    """Those of the vault. Where no connection takes deliveries, no key is needed to know it."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def endpoints(self) -> Sequence[Endpoint]:
        stored = await self._accounts.store.vault.endpoints()
        return await self._accounts.endpoints.endpoints() if stored.connections else ()
