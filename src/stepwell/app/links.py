"""How an App makes the URLs that answer waits, and knows its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from stepwell.app import settings
from stepwell.core.callbacks import PATH, PURPOSE, read_token, token_for
from stepwell.errors import InvalidOption, UnknownCallback

if TYPE_CHECKING:
    from stepwell.sealing import Keyring


class AppLinks:
    """Keeps the Links protocol of the runtime. Nothing is asked for, not even keys, before a URL is needed."""

    def __init__(self, keyring: Callable[[], Keyring], address: Callable[[], str | None]) -> None:
        self._keyring, self._address = keyring, address

    @property
    def base(self) -> str:
        """Raises InvalidOption when nobody has said it."""
        address = self._address()
        if address is None:
            raise InvalidOption(
                f"a URL that answers a wait needs the address of the server: set {settings.PUBLIC_URL},"
                " as in https://flows.example.com, for every worker"
            )
        return address

    @property
    def key_id(self) -> str:
        """Raises InvalidOption when there are no keys."""
        return self._keyring().newest

    def url(self, base: str, callback: UUID, key_id: str) -> str | None:
        """The URL; None when that key is not here. Raises InvalidOption when there are no keys."""
        key = self._keyring().derived(key_id, PURPOSE)
        return None if key is None else f"{base}{PATH}{token_for(callback, key_id, key)}"

    def callback_of(self, url: str) -> UUID:
        """Which callback a URL, or its token, answers. Raises UnknownCallback unless one of our keys has signed it."""
        token = read_token(url.partition("?")[0].rpartition(PATH)[2])
        key = token and self._keyring().derived(token.key_id, PURPOSE)
        if token is None or key is None or not token.is_signed_by(key):
            raise UnknownCallback
        return token.callback
