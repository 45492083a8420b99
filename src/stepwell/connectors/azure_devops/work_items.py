"""What can be done with work items: read, query, create, update, comment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from stepwell.connectors.azure_devops.protocol import AzureDevOpsProtocol
from stepwell.connectors.azure_devops.types import (
    Comment,
    QueryResult,
    WorkItem,
    comment,
    query_result,
    work_item,
)
from stepwell.connectors.base import action, action_key, may_be_a_repeat, not_before
from stepwell.connectors.errors import VendorRejected
from stepwell.connectors.http import segment
from stepwell.errors import InvalidOption

BATCH = 200  # work items in one request: the vendor's limit
COMMENTS_VERSION = "7.1-preview.4"  # comments have never left preview
COMMENTS_PAGE = 200
MAX_COMMENT_PAGES = 25  # of those looked through for our own; the newest come first
JSON_PATCH = "application/json-patch+json"

_IDS = "SELECT [System.Id] FROM WorkItems"
_CHANGED_BY_OTHERS = {409, 412}  # the test of /rev has failed, or two updates have met


class WorkItemActions(AzureDevOpsProtocol):
    """Source: learn.microsoft.com/rest/api/azure/devops/wit, version 7.1."""

    @action(repeat="safe")
    async def get_work_item(self, id: int, *, expand: str = "all") -> WorkItem:
        """The work item with that number. `expand`: `none`, `relations`, `fields`, `links` or `all`."""
        answer = await self.api(
            "GET", f"/wit/workitems/{id}", operation=f"get work item {id}", query={"$expand": expand}
        )
        return work_item(answer.json())

    @action(repeat="safe")
    async def get_work_items(self, ids: Sequence[int], *, fields: Sequence[str] | None = None) -> list[WorkItem]:
        """The work items with these numbers, in their order; those that do not exist are left out.

        `fields` are the reference names of those wanted; all by default.
        """
        found: dict[int, WorkItem] = {}
        for start in range(0, len(ids), BATCH):
            wanted: dict[str, Any] = {"ids": list(ids[start : start + BATCH]), "errorPolicy": "omit"}
            wanted |= {"fields": list(fields)} if fields else {"$expand": "all"}
            answer = await self.api("POST", "/wit/workitemsbatch", operation="get work items", json=wanted)
            found |= {raw["id"]: work_item(raw) for raw in answer.json()["value"] if raw}
        return [found[id] for id in dict.fromkeys(ids) if id in found]

    @action(repeat="safe")
    async def query(self, wiql: str, *, project: str | None = None, top: int | None = None) -> QueryResult:
        """The numbers of the work items that a query in WIQL finds, at most 20,000; `get_work_items` reads them.

        `@project` in it is the project named here, else the connection's. Dates are compared to the second.
        """
        query: dict[str, str | int] = {"timePrecision": "true"}
        if top is not None:
            query["$top"] = top
        answer = await self.api(
            "POST",
            "/wit/wiql",
            operation="query work items",
            project=project or await self.default_project(),
            query=query,
            json={"query": wiql},
        )
        return query_result(answer.json())

    @action(repeat="verify")
    async def create_work_item(
        self,
        type: str,
        title: str,
        *,
        description: str | None = None,
        fields: Mapping[str, Any] | None = None,
        parent: int | None = None,
        project: str | None = None,
    ) -> WorkItem:
        """A new work item of that type, such as `Bug`. `fields` are more of them by reference name.

        It carries a tag with our key (or the field that the connection names as `key_field`); a repeat looks for it.
        """
        place = await self.needed_project(project)
        marker = _marker(action_key("create work item"))
        if may_be_a_repeat() and (found := await self._work_item_with(marker, place)) is not None:
            return found
        values = {"System.Title": title, **({"System.Description": description} if description is not None else {})}
        patch = _additions(await self._marked({**values, **(fields or {})}, marker))
        if parent is not None:
            patch.append(await self._parent_link(parent))
        answer = await self.api(
            "POST",
            f"/wit/workitems/${segment(type)}",
            operation=f"create {type}",
            project=place,
            query={"$expand": "all"},
            json=patch,
            content_type=JSON_PATCH,
        )
        return work_item(answer.json())

    async def _marked(self, fields: dict[str, Any], marker: str) -> dict[str, Any]:
        field = (await self.connection()).settings.get("key_field")
        if field:
            return {**fields, field: marker}
        tags = fields.get("System.Tags")
        return {**fields, "System.Tags": f"{tags}; {marker}" if tags else marker}

    async def _work_item_with(self, marker: str, project: str) -> WorkItem | None:
        """What an earlier attempt has made. Tags and fields are found at once, unlike words in texts."""
        field = (await self.connection()).settings.get("key_field")
        condition = f"[{field}] = '{marker}'" if field else f"[System.Tags] CONTAINS '{marker}'"
        ids = (await self.query(f"{_IDS} WHERE [System.TeamProject] = @project AND {condition}", project=project)).ids
        return await self.get_work_item(min(ids)) if ids else None

    async def _parent_link(self, parent: int) -> dict[str, Any]:
        url = f"{self.address(await self.connection())}/_apis/wit/workItems/{parent}"
        return {"op": "add", "path": "/relations/-", "value": {"rel": "System.LinkTypes.Hierarchy-Reverse", "url": url}}

    @action(repeat="verify")
    async def update_work_item(self, id: int, fields: Mapping[str, Any], *, rev: int | None = None) -> WorkItem:
        """The work item with these values of its fields (by reference name; None removes one).

        With `rev` only if that is still its revision, else it raises VendorRejected with status 412 or 409; a repeat
        finds out whether the revision after it is its own. Without `rev` whatever others have written there meanwhile
        is overwritten, also by a repeat.
        """
        if rev is None and "System.History" in fields:
            raise InvalidOption(
                "System.History is a comment, which a repeat would write again: give rev=, or add_comment"
            )
        patch: list[dict[str, Any]] = [] if rev is None else [{"op": "test", "path": "/rev", "value": rev}]
        try:
            answer = await self.api(
                "PATCH",
                f"/wit/workitems/{id}",
                operation=f"update work item {id}",
                query={"$expand": "all"},
                json=[*patch, *_additions(fields)],
                content_type=JSON_PATCH,
            )
        except VendorRejected as rejected:
            if rev is None or rejected.status not in _CHANGED_BY_OTHERS or not may_be_a_repeat():
                raise
            if not await self._has_revision(id, rev + 1, fields):
                raise
            return await self.get_work_item(id)
        return work_item(answer.json())

    async def _has_revision(self, id: int, rev: int, fields: Mapping[str, Any]) -> bool:
        """Whether that revision has these values: then it was an earlier attempt of ours that wrote them."""
        path = f"/wit/workItems/{id}/revisions/{rev}"
        try:
            answer = await self.api("GET", path, operation=f"look at revisions of work item {id}")
        except VendorRejected as rejected:
            if rejected.status == 404:
                return False
            raise
        written = answer.json().get("fields") or {}
        return all(written.get(name) == value for name, value in fields.items())

    @action(repeat="verify")
    async def add_comment(self, id: int, text: str, *, project: str | None = None) -> Comment:
        """A new comment on a work item; `text` is HTML.

        Below it stands a short reference in small print, by which a repeat finds it: the vendor removes what is
        invisible.
        """
        place = project or await self.default_project() or (await self.get_work_item(id, expand="none")).project
        marker = _marker(action_key("add comment"))
        if may_be_a_repeat() and (found := await self._comment_with(marker, id, place)) is not None:
            return found
        answer = await self.api(
            "POST",
            f"/wit/workItems/{id}/comments",
            operation=f"comment on work item {id}",
            project=place,
            json={"text": f"{text}<div><small>{marker}</small></div>"},
            version=COMMENTS_VERSION,
        )
        return comment(answer.json())

    async def _comment_with(self, marker: str, id: int, project: str) -> Comment | None:
        """What an earlier attempt has made: not before our execution was there."""
        since = not_before()
        async for known in self._comments(id, project):
            if marker in known.text:
                return known
            if since is not None and known.created_at is not None and known.created_at < since:
                break
        return None

    async def _comments(self, id: int, project: str) -> AsyncIterator[Comment]:
        """The comments on a work item, the newest first."""
        more: dict[str, str | int] = {}
        for _ in range(MAX_COMMENT_PAGES):
            answer = await self.api(
                "GET",
                f"/wit/workItems/{id}/comments",
                operation=f"read comments on work item {id}",
                project=project,
                query={"$top": COMMENTS_PAGE, "order": "desc", **more},
                version=COMMENTS_VERSION,
            )
            page = answer.json()
            for raw in page.get("comments") or []:
                yield comment(raw)
            if not page.get("continuationToken"):
                return
            more = {"continuationToken": page["continuationToken"]}

    @action(repeat="safe")
    async def list_comments(self, id: int, *, project: str | None = None) -> list[Comment]:
        """The comments on a work item, the newest first, at most 5,000."""
        place = project or await self.default_project() or (await self.get_work_item(id, expand="none")).project
        return [one async for one in self._comments(id, place)]


def _marker(key: str) -> str:
    """Our key as a word that nothing else contains: 60 bits of it are plenty within one project."""
    return f"stepwell-{UUID(key).hex[:16]}"


def _additions(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A JSON Patch (RFC 6902) that sets fields; `add` is the vendor's word for setting as well."""
    return [
        {"op": "remove", "path": f"/fields/{name}"}
        if value is None
        else {"op": "add", "path": f"/fields/{name}", "value": value}
        for name, value in fields.items()
    ]
