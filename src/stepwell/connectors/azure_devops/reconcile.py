"""Events whose webhooks were lost: Azure DevOps is asked what has happened since.

Work items are asked for by the log of revisions that the vendor keeps for reports: every revision is in it, also those
that another has followed since, and its cursor is the vendor's own, so that no clock matters.

Source: learn.microsoft.com/rest/api/azure/devops (wit/reporting-work-item-revisions, wit/updates), version 7.1.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stepwell.connectors.azure_devops.protocol import AzureDevOpsProtocol
from stepwell.connectors.azure_devops.types import moment
from stepwell.core.webhooks import Envelope, Found, FoundEvent
from stepwell.sources import subjects

Json = dict[str, Any]

PAGE = 200  # revisions, or updates of one work item, in one answer: the vendor's limit
OVERLAP = timedelta(minutes=2)  # builds and pull requests are found by their times, which the vendor may set late
MAX_FOUND = 1_000  # in one look; the next one goes on at once


class AzureDevOpsReconcile(AzureDevOpsProtocol):
    """Looks for what deliveries should have told. The first look, without a cursor, only finds out where to begin."""

    async def find_created(self, cursor: str | None) -> Found:
        """Work items that were created since. Their bodies have the fields of the first revision."""
        revisions, found = await self._revisions(cursor)
        created = [one for one in revisions if one["rev"] == 1]
        events = [_event("workitem.created", subjects.work_item_created(one["id"]), one) for one in created]
        return replace(found, events=events)

    async def find_updated(self, cursor: str | None) -> Found:
        """Updates of work items since: each of them, also where another followed."""
        revisions, found = await self._revisions(cursor)
        events = []
        async for update, revision in self._updates(revisions):
            subject = subjects.work_item_changed("workitem.updated", revision["id"], revision["rev"])
            resource = {**update, "workItemId": revision["id"], "revision": revision}
            events.append(_event("workitem.updated", subject, resource))
        return replace(found, events=events)

    async def find_commented(self, cursor: str | None) -> Found:
        """Comments on work items since."""
        revisions, found = await self._revisions(cursor)
        events = []
        async for update, revision in self._updates(revisions):
            text = ((update.get("fields") or {}).get("System.History") or {}).get("newValue")
            if text:
                subject = subjects.work_item_changed("workitem.commented", revision["id"], revision["rev"])
                commented = {**revision, "fields": {**revision["fields"], "System.History": text}}
                events.append(_event("workitem.commented", subject, commented))
        return replace(found, events=events)

    async def find_completed_builds(self, cursor: str | None) -> Found:
        """Builds that have ended since, in the connection's project."""
        since = _since(cursor)
        answer = await self.api(
            "GET",
            "/build/builds",
            operation="look for builds that have ended",
            project=await self.needed_project(None),
            query={
                "minTime": _text(since - OVERLAP),
                "statusFilter": "completed",
                "queryOrder": "finishTimeAscending",
                "$top": MAX_FOUND,
            },
        )
        builds = answer.json()["value"]
        events = [_event("build.complete", subjects.build_complete(one["id"]), one) for one in builds]
        return _found_by_time(events, [one.get("finishTime") for one in builds], since)

    async def find_created_pull_requests(self, cursor: str | None) -> Found:
        """Pull requests that were opened since, in the connection's project."""
        since = _since(cursor)
        answer = await self.api(
            "GET",
            "/git/pullrequests",
            operation="look for new pull requests",
            project=await self.needed_project(None),
            query={
                "searchCriteria.minTime": _text(since - OVERLAP),
                "searchCriteria.queryTimeRangeType": "created",
                "searchCriteria.status": "all",
                "$top": MAX_FOUND,
            },
        )
        opened = sorted(answer.json()["value"], key=lambda one: str(one["creationDate"]))
        events = [
            _event(
                "git.pullrequest.created",
                subjects.pull_request_created(one["repository"]["id"], one["pullRequestId"]),
                one,
            )
            for one in opened
        ]
        return _found_by_time(events, [one["creationDate"] for one in opened], since)

    async def _revisions(self, cursor: str | None) -> tuple[list[Json], Found]:
        """Revisions since the cursor, and where the next look begins."""
        start: dict[str, str | int] = (
            {"continuationToken": cursor} if cursor else {"startDateTime": _text(_since(None))}
        )
        answer = await self.api(
            "GET",
            "/wit/reporting/workitemrevisions",
            operation="look for changes of work items",
            project=await self.default_project(),
            query={**start, "$maxPageSize": PAGE},
        )
        batch = answer.json()
        token, is_last = str(batch.get("continuationToken") or cursor or ""), bool(batch.get("isLastBatch", True))
        return batch.get("values") or [], Found(cursor=token, has_more=not is_last)

    async def _updates(self, revisions: list[Json]) -> AsyncIterator[tuple[Json, Json]]:
        """The updates that have made these revisions, with the revisions; not those by which the items were created."""
        by_item: dict[int, dict[int, Json]] = {}
        for revision in revisions:
            if revision["rev"] > 1:
                by_item.setdefault(revision["id"], {})[revision["rev"]] = revision
        for id, wanted in by_item.items():
            skip = min(wanted) - 1  # there are at least as many updates as revisions before it
            while wanted:
                page = await self._updates_after(id, skip)
                for update in page:
                    if update.get("rev") in wanted:
                        yield update, wanted.pop(update["rev"])
                skip += len(page)
                if len(page) < PAGE:
                    break

    async def _updates_after(self, id: int, skip: int) -> list[Json]:
        query = {"$top": PAGE, "$skip": skip}
        path = f"/wit/workItems/{id}/updates"
        answer = await self.api("GET", path, operation=f"look at updates of work item {id}", query=query)
        found: list[Json] = answer.json()["value"]
        return found


def _event(type: str, subject: str, resource: Json) -> FoundEvent:
    body = {"eventType": type, "publisherId": "tfs", "message": None, "detailedMessage": None, "resource": resource}
    return FoundEvent(Envelope(type, f"found:{subject}", subject), json.dumps(body).encode())


def _found_by_time(events: list[FoundEvent], times: list[str | None], since: datetime) -> Found:
    """The next look begins a bit before the end of this one. One that was full was cut off: it goes on from there."""
    moments = [since, *filter(None, map(moment, times))]
    if len(events) < MAX_FOUND:
        return Found(events, _text(max(moments)))
    return Found(events, _text(max(moments[1:]) + OVERLAP), has_more=True)


def _since(cursor: str | None) -> datetime:
    return datetime.fromisoformat(cursor) if cursor else datetime.now(UTC)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
