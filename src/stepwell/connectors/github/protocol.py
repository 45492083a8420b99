"""How GitHub talks: versions, pages, and limits that are answered as if something was forbidden.

Sources: docs.github.com/rest (using-the-rest-api: rate-limits, best-practices, using-pagination).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stepwell.connectors.http import HttpConnector, positive
from stepwell.connectors.outcome import (
    MAX_TOLD,
    Answer,
    Done,
    Limited,
    Outcome,
    Rejected,
    retry_after,
    standard_outcome,
)
from stepwell.core.connections import Budget, Connection
from stepwell.errors import InvalidOption

API_VERSION = "2022-11-28"
REQUESTS_PER_HOUR = 5_000  # of a user; apps and enterprises have more
SECONDARY_PAUSE = timedelta(minutes=1)  # what the vendor asks for when a secondary limit does not say how long

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_LINK = re.compile(r'<([^>]*)>\s*;\s*rel="(\w+)"')


class GitHubProtocol(HttpConnector):
    """Requests to api.github.com, or to a GitHub Enterprise Server."""

    def authorisation(self, connection: Connection) -> Mapping[str, str]:
        """A personal access token, an OAuth token or an installation's token."""
        return {**super().authorisation(connection), "User-Agent": "stepwell"}

    def judge(self, answer: Answer, *, now: datetime) -> Outcome:
        """What an answer means: a 403 may be a limit, and every answer tells how much is left of the hour."""
        if answer.status in (403, 429) and (delay := _limited_for(answer, now)) is not None:
            return Limited(delay, left=_left(answer))
        outcome = standard_outcome(answer, now=now)
        match outcome:
            case Done(pause=pause):
                return Done(left=_left(answer), pause=pause)
            case Rejected():
                return _explained(answer, outcome)
        return outcome

    def budget(self, connection: Connection) -> Budget | None:
        """What a user may ask for in an hour, unless the connection says otherwise."""
        allowed = positive(connection, "requests_per_hour") or REQUESTS_PER_HOUR
        return Budget("core", capacity=allowed, per_second=allowed / 3600)

    async def api(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        query: Mapping[str, str | int | None] | None = None,
        json: Any = None,
    ) -> Answer:
        """The answer to a request; what is None in the query is left out."""
        return await self.request(
            method,
            path,
            operation=operation,
            query={name: value for name, value in (query or {}).items() if value is not None},
            json=json,
            headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION},
        )


def place(repository: str) -> str:
    """The path of a repository. Raises InvalidOption for what is no `owner/name`."""
    if not _REPOSITORY.fullmatch(repository) or {".", ".."} & set(repository.split("/")):
        raise InvalidOption(f"repository is {repository!r:.100}; write it as owner/name")
    return f"/repos/{repository}"


def links(answer: Answer) -> dict[str, dict[str, str]]:
    """Where the header Link leads: the parameters of the queries for `next`, `last` and others (RFC 8288)."""
    found = _LINK.findall(answer.headers.get("link", ""))
    return {
        relation: {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} for url, relation in found
    }


def next_page(answer: Answer) -> int | None:
    """The number of the next page; None on the last one."""
    page = links(answer).get("next", {}).get("page", "")
    return int(page) if page.isdigit() else None


def _limited_for(answer: Answer, now: datetime) -> timedelta | None:
    """How long a limit keeps us out; None for an answer that has nothing to do with one."""
    if (delay := retry_after(answer.headers, now=now)) is not None:
        return delay
    if answer.headers.get("x-ratelimit-remaining") == "0":
        return _until_reset(answer, now)
    is_secondary = answer.status == 429 or "rate limit" in answer.told().lower()
    return SECONDARY_PAUSE if is_secondary else None


def _until_reset(answer: Answer, now: datetime) -> timedelta:
    """How long until the hour ends: Unix seconds."""
    text = answer.headers.get("x-ratelimit-reset", "")
    if not text.isdigit() or len(text) > 11:
        return SECONDARY_PAUSE
    return max(datetime.fromtimestamp(int(text), UTC) - now, timedelta(seconds=1))


def _left(answer: Answer) -> float | None:
    """How many requests are left of the hour; None of an answer for another allowance, such as that of searches."""
    text = answer.headers.get("x-ratelimit-remaining", "")
    is_ours = answer.headers.get("x-ratelimit-resource", "core") == "core"
    return float(text) if text.isdigit() and is_ours else None


def _explained(answer: Answer, rejected: Rejected) -> Rejected:
    """The vendor's own words, with its list of what is wrong; the first `code` of it is for programs."""
    said = answer.said()
    if not said.get("message"):
        return rejected
    errors = [one if isinstance(one, dict) else {"message": one} for one in said.get("errors") or []]
    details = [str(one.get("message") or " ".join(str(value) for value in one.values())) for one in errors]
    reason = f"answered {answer.status}: {'; '.join([str(said['message']), *details])[:MAX_TOLD]}"
    return Rejected(reason, next((str(one["code"]) for one in errors if one.get("code")), None))
