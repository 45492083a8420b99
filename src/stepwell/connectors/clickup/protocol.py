"""How ClickUp talks: credentials, its minute's allowance, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from stepwell.connectors.clickup.types import UNIX_EPOCH
from stepwell.connectors.errors import VendorRejected
from stepwell.connectors.http import HttpConnector, segment
from stepwell.connectors.outcome import (
    MAX_TOLD,
    Answer,
    Done,
    Expired,
    Limited,
    Outcome,
    Rejected,
    http_date,
    standard_outcome,
)
from stepwell.core.connections import Budget, Connection
from stepwell.errors import InvalidOption

REQUESTS_PER_MINUTE = 100  # of the plans up to Business; more is a setting of the connection
MAX_UNIX_TIME = 2**37  # of what a header may say: the year 6325
WINDOW = timedelta(minutes=1)  # for which the vendor counts requests

NOT_THIS_WORKSPACE = {"OAUTH_023", "OAUTH_026", "OAUTH_027", *(f"OAUTH_{code:03}" for code in range(29, 46))}
"""Answered as 401, for ids of another Workspace and ids that do not exist: another token would not help."""


class ClickUpProtocol(HttpConnector):
    """Requests of version 2 with one token.

    Sources: developer.clickup.com/docs/authentication, /rate-limits, /common_errors.
    """

    def authorisation(self, connection: Connection) -> Mapping[str, str]:
        """A personal token as it is, an OAuth token as a bearer."""
        token = connection.secrets["token"].reveal()
        return {"Authorization": token if token.startswith("pk_") else f"Bearer {token}"}

    def judge(self, answer: Answer, *, now: datetime) -> Outcome:
        """What an answer means. The last request of a minute closes the connection until the next one."""
        until_reset = _until_reset(answer, now)
        match answer.status:
            case 429:
                return Limited(until_reset or WINDOW)
            case 401:
                reason, code = _told(answer)
                if code in NOT_THIS_WORKSPACE:
                    return Rejected(f"answered 401: {reason}; no such object in a Workspace of this token", code)
                return Expired(reason)
            case status if 200 <= status < 300:
                return Done(pause=until_reset if _is_last(answer) else None)
        outcome = standard_outcome(answer, now=now)
        if isinstance(outcome, Rejected):
            reason, code = _told(answer)
            return Rejected(f"answered {answer.status}: {reason}", code)
        return outcome

    def budget(self, connection: Connection) -> Budget | None:
        """So many requests a minute as the vendor allows the token, by its plan."""
        allowed = connection.settings.get("requests_per_minute", str(REQUESTS_PER_MINUTE))
        if not allowed.isdecimal() or not int(allowed):
            raise InvalidOption(
                f"connection '{connection.name}': requests_per_minute is {allowed!r:.40}, give a number such as 1000"
            )
        return Budget("requests", capacity=float(allowed), per_second=int(allowed) / WINDOW.total_seconds())

    async def api(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        query: Iterable[tuple[str, Any]] = (),
        json: Any = None,
    ) -> Any:
        """What the API answers, as plain JSON values. `query` may name a parameter several times."""
        pairs = [(name, _written(value)) for name, value in query if value is not None]
        where = f"{path}?{urlencode(pairs)}" if pairs else path
        return (await self.request(method, where, operation=operation, json=json)).json()

    async def gone(self, path: str, *, operation: str) -> None:
        """What is at that path is deleted, also if it was before."""
        try:
            await self.api("DELETE", path, operation=operation)
        except VendorRejected as rejected:
            if rejected.status != 404:
                raise

    async def needed_team(self, team: str | None) -> str:
        """The Workspace that was named, else the connection's. Raises InvalidOption."""
        found = team or (await self.connection()).settings.get("team")
        if not found:
            raise InvalidOption(
                f"name a Workspace (team=\"9001\"), or give connection '{self.connection_name()}' the setting team"
            )
        return segment(found)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_last(answer: Answer) -> bool:
    """Whether the minute is used up. What is left else is not counted: it belongs to all who use the token."""
    return answer.headers.get("x-ratelimit-remaining") == "0"


def _until_reset(answer: Answer, now: datetime) -> timedelta | None:
    """How long until the next minute begins, by the vendor's own clock: ours may be wrong."""
    text = answer.headers.get("x-ratelimit-reset", "")
    if not text.isdecimal():
        return None
    vendors_now = http_date(answer.headers.get("date", "")) or now
    delay = UNIX_EPOCH + timedelta(seconds=min(int(text), MAX_UNIX_TIME)) - vendors_now
    return min(max(delay, timedelta(seconds=1)), WINDOW)


def _told(answer: Answer) -> tuple[str, str | None]:
    """The vendor's own words, and its code."""
    said = answer.said()
    if not isinstance(said.get("err"), str):
        return answer.told(), None
    return said["err"][:MAX_TOLD], str(said.get("ECODE") or "") or None
