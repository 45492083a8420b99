"""How Azure DevOps talks: addresses, credentials, and answers that say one thing and mean another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stepwell.connectors.http import HttpConnector, basic, positive, segment
from stepwell.connectors.outcome import MAX_TOLD, Answer, Expired, Outcome, Rejected, standard_outcome
from stepwell.core.connections import Budget, Connection
from stepwell.errors import InvalidOption

API_VERSION = "7.1"

_SIGN_IN = {203, 302}  # a sign-in page, or the way to one, in place of 401: for GET and POST with a bad token


class AzureDevOpsProtocol(HttpConnector):
    """Requests of version 7.1 to one organization.

    Sources: learn.microsoft.com/azure/devops/integrate (get-started/authentication, concepts/rate-limits).
    """

    def authorisation(self, connection: Connection) -> Mapping[str, str]:
        """A Microsoft Entra token as it is, a personal access token as the password of nobody."""
        if "token" in connection.secrets:
            return {"Authorization": f"Bearer {connection.secrets['token'].reveal()}"}
        if "pat" in connection.secrets:
            return {"Authorization": basic("", connection.secrets["pat"].reveal())}
        raise InvalidOption(
            f"connection '{connection.name}' has neither a pat nor a token; `stepwell connections add"
            f" {connection.name}` sets one"
        )

    def judge(self, answer: Answer, *, now: datetime) -> Outcome:
        """What an answer means: sign-in pages are refused credentials, a 200 with Retry-After was slowed down."""
        if answer.status in _SIGN_IN:
            return Expired("answered with a sign-in page")
        outcome = standard_outcome(answer, now=now)
        return _explained(answer, outcome) if isinstance(outcome, Rejected) else outcome

    def budget(self, connection: Connection) -> Budget | None:
        """What the connection's setting says. The vendor counts load (TSTU), which nobody can know beforehand."""
        per_minute = positive(connection, "requests_per_minute")
        if per_minute is None:
            return None
        return Budget("requests", capacity=max(per_minute / 6, 1.0), per_second=per_minute / 60)

    async def api(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        project: str | None = None,
        query: Mapping[str, str | int] | None = None,
        json: Any = None,
        content_type: str = "application/json",
        version: str = API_VERSION,
    ) -> Answer:
        """The answer of an API below the organization, or below a project of it."""
        scope = f"/{segment(project)}" if project else ""
        return await self.request(
            method,
            f"{scope}/_apis{path}",
            operation=operation,
            query={**(query or {}), "api-version": version},
            json=json,
            headers={"Accept": "application/json"} | ({"Content-Type": content_type} if json is not None else {}),
        )

    async def default_project(self) -> str | None:
        """The project of actions that name none."""
        return (await self.connection()).settings.get("project")

    async def needed_project(self, project: str | None) -> str:
        """The project that was named, else the connection's. Raises InvalidOption."""
        found = project or await self.default_project()
        if not found:
            raise InvalidOption(
                f"name a project (project=\"...\"), or give connection '{self.connection_name()}' the setting project"
            )
        return found


def _explained(answer: Answer, rejected: Rejected) -> Rejected:
    """The vendor's own words: `message` for people, `typeKey` for programs."""
    said = answer.said()
    if not said.get("message"):
        return rejected
    reason = f"answered {answer.status}: {str(said['message'])[:MAX_TOLD]}"
    return Rejected(reason, str(said.get("typeKey") or "") or None)
