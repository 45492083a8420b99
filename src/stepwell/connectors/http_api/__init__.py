"""HTTP: any API, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from stepwell.connectors.base import Setting
from stepwell.connectors.http import basic
from stepwell.connectors.http_api import types
from stepwell.connectors.http_api.actions import HttpActions, seconds_of
from stepwell.core.connections import Budget, Connection
from stepwell.errors import InvalidOption


class HTTP(HttpActions):
    """Any HTTP API: `crm = HTTP("crm")`, `await step.run("customers", crm.get, "/customers")`.

    The connection has its `base_url` and how requests are authorised: `token` (sent as a bearer token), or `user` and
    `password`, or `key` sent as the header `key_header`. `rate` ("100/min") is kept over all workers.
    """

    name: ClassVar[str] = "http"
    title: ClassVar[str] = "HTTP"
    base_url: ClassVar[str] = "{base_url}"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("base_url", "where its paths begin, such as https://api.example.com/v1"),
        Setting("token", "a bearer token", is_secret=True, is_required=False),
        Setting("user", "the user of basic authentication", is_required=False),
        Setting("password", "the password of basic authentication", is_secret=True, is_required=False),
        Setting("key", "an API key", is_secret=True, is_required=False),
        Setting("key_header", "the header in which the API key is sent; by default X-API-Key", is_required=False),
        Setting("rate", "how many requests are allowed, such as 100/min", is_required=False),
        Setting("check_path", "what `connections test` asks for; by default /", is_required=False),
    )

    Answer: TypeAlias = types.HttpAnswer
    Page: TypeAlias = types.HttpPage
    LinkHeader: TypeAlias = types.LinkHeader
    Cursor: TypeAlias = types.Cursor
    Numbered: TypeAlias = types.Numbered

    def authorisation(self, connection: Connection) -> Mapping[str, str]:
        secrets, settings = connection.secrets, connection.settings
        if "token" in secrets:
            return {"Authorization": f"Bearer {secrets['token'].reveal()}"}
        if "password" in secrets:
            return {"Authorization": basic(settings.get("user", ""), secrets["password"].reveal())}
        if "key" in secrets:
            return {settings.get("key_header", "X-API-Key"): secrets["key"].reveal()}
        return {}

    def budget(self, connection: Connection) -> Budget | None:
        rate = connection.settings.get("rate")
        if rate is None:
            return None
        try:
            count, time = seconds_of(rate)
        except ValueError:
            raise InvalidOption(
                f"connection '{connection.name}': rate is {rate!r:.50}, write it like 100/min, 10/s or 5000/hour"
            ) from None
        return Budget("requests", count, count / time.total_seconds())

    async def check(self) -> str:
        """Ask for `check_path`. Raises as `get` does."""
        connection = await self.connection()
        answer = await self.get(connection.settings.get("check_path", "/"))
        return f"{self.address(connection)} answered {answer.status}"
