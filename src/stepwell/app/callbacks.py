"""The App's calls about URLs that answer waits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from stepwell.app import settings
from stepwell.app.checks import execution_id_of
from stepwell.app.connections import AccountCalls
from stepwell.app.database import GivenBackend
from stepwell.app.links import AppLinks
from stepwell.app.payloads import to_store
from stepwell.client import Client
from stepwell.core.callbacks import Callback, CallbackInfo
from stepwell.core.payload import unpack
from stepwell.core.texts import checked_text
from stepwell.errors import CallbackAnswered, CallbackClosed, InvalidAnswer, UnknownCallback
from stepwell.runtime.callbacks import base_of
from stepwell.runtime.sending import encoded
from stepwell.schemas import faults_of

MEMORY_URL = "http://localhost"  # of an App in memory, which nobody else reaches


class CallbackCalls(AccountCalls):
    """The part of an App that knows URLs that answer waits."""

    public_url: str | None = None  # under which others reach the server, if the program says it
    served_at: str | None = None  # where a server of this process listens

    @cached_property
    def links(self) -> AppLinks:
        """Makes those URLs, for a worker, once the App is open."""
        return AppLinks(lambda: self._open_accounts_now().seals.keyring, self._address)

    def _address(self) -> str | None:
        is_memory = isinstance(self._database, GivenBackend)
        return self.public_url or settings.public_url() or self.served_at or (MEMORY_URL if is_memory else None)

    async def callbacks(self, execution_id: UUID | str) -> Sequence[CallbackInfo]:
        """What of the execution can be answered now, with the URLs. Whoever has one of these can answer."""
        client = await self.open()
        store = client.store
        rows = await store.callbacks.callbacks(execution_id_of(execution_id))
        found = [row for row in rows if _closed(row, is_expired=row.expires_at <= store.now()) is None]
        return [_info(row, self.links, await self._base_of(client, row)) for row in found]

    async def _base_of(self, client: Client, row: Callback) -> str:
        """The address of the server: what this process says, else what the workflow has handed out."""
        if self._address() is None:
            async for record in client.steps(row.execution_id):
                if record.key == row.key:
                    return base_of(record.value)
        return self.links.base

    async def callback(self, url: str) -> Callback:
        """What a URL asks, if it can be answered.

        Raises UnknownCallback, CallbackClosed, CallbackAnswered.
        """
        store = (await self.open()).store
        row = await store.callbacks.callback(self.links.callback_of(url))
        if row is None:
            raise UnknownCallback
        if closed := _closed(row, is_expired=row.expires_at <= store.now()):
            raise closed
        return row

    async def answer_callback(self, url: str, answer: Any, *, by: str | None = None) -> Callback:
        """Answer what the URL asks, as `by`. When this has returned, the execution has the event.

        Raises InvalidAnswer (nothing is stored then), UnknownCallback, CallbackClosed, CallbackAnswered.
        """
        text = encoded(answer, where="the answer")
        return await self.answer_callback_json(url, unpack(text), by=by)

    async def answer_callback_json(self, url: str, answer: bytes, *, by: str | None = None) -> Callback:
        """`answer_callback` with the JSON text that came from outside, kept to the digit."""
        row = await self.callback(url)
        who = None if by is None else checked_text("by", by)
        payload = to_store(answer, where=f"payload of event '{row.name}'")
        if faults := faults_of(msgspec.json.decode(answer), msgspec.json.decode(row.schema)):
            raise InvalidAnswer(row.name, faults)
        store = (await self.open()).store
        is_done = await store.callbacks.answer(row.id, payload, by=who)
        now = await store.callbacks.callback(row.id)
        if not is_done:
            raise UnknownCallback if now is None else _closed(now, is_expired=True) or UnknownCallback()
        return now or row


def _info(row: Callback, links: AppLinks, base: str) -> CallbackInfo:
    url = links.url(base, row.id, links.key_id)
    assert url is not None, "the key has just been named"
    return CallbackInfo(row.execution_id, row.name, row.prompt, row.created_at, row.expires_at, url)


def _closed(row: Callback, *, is_expired: bool) -> CallbackAnswered | CallbackClosed | None:
    """Why it cannot be answered now."""
    if row.answered_at is not None:
        return CallbackAnswered(row.name, answered_by=row.answered_by, answered_at=row.answered_at)
    if row.has_ended:
        return CallbackClosed(row.name, because="its execution has ended")
    if is_expired:
        return CallbackClosed(row.name, because=f"it expired at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    return None
