"""The fake's work items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.azure_devops import wiql
from stepwell.testing.vendors.azure_devops.organization import Organization, Refusal, listed
from stepwell.testing.vendors.azure_devops.records import Item, Json, Project, identity, text_of
from stepwell.testing.vendors.fake import body_of

MAX_BATCH = 200
MAX_FOUND = 20_000
ALLOWED = {"test", "add", "replace", "remove"}


class WorkItems(Organization):
    """Work items with their revisions, comments, queries and recycle bin."""

    def work_item_routes(self) -> list[BaseRoute]:
        """Their addresses, with and without a project."""
        routes: list[BaseRoute] = []
        for scope in ("/{organization}", "/{organization}/{project}"):
            api = f"{scope}/_apis/wit"
            routes += [
                Route(f"{api}/workitemsbatch", self.guarded(self._batch), methods=["POST"]),
                Route(f"{api}/wiql", self.guarded(self._query), methods=["POST"]),
                Route(api + "/workitems/${type}", self.guarded(self._create), methods=["POST"]),
                Route(f"{api}/workitems/{{id:int}}", self.guarded(self._get), methods=["GET"]),
                Route(f"{api}/workitems/{{id:int}}", self.guarded(self._update), methods=["PATCH"]),
                Route(f"{api}/workitems/{{id:int}}", self.guarded(self._delete), methods=["DELETE"]),
                Route(f"{api}/reporting/workitemrevisions", self.guarded(self._report)),
                Route(f"{api}/workItems/{{id:int}}/updates", self.guarded(self._updates)),
                Route(f"{api}/workItems/{{id:int}}/revisions/{{rev:int}}", self.guarded(self._revision)),
                Route(f"{api}/workItems/{{id:int}}/comments", self.guarded(self._list_comments), methods=["GET"]),
                Route(f"{api}/workItems/{{id:int}}/comments", self.guarded(self._comment), methods=["POST"]),
            ]
        return routes

    def create_work_item(
        self, type: str, title: str, *, project: str | None = None, fields: Mapping[str, Any] | None = None
    ) -> Item:
        """A person creates a work item."""
        place = self.project(project or next(iter(self.projects.values())).name)
        now, somebody = text_of(self.now()), identity(self.user, self.base)
        values = {
            "System.Id": self.next_id(),
            "System.AreaPath": place.name,
            "System.TeamProject": place.name,
            "System.IterationPath": place.name,
            "System.WorkItemType": type,
            "System.State": "New",
            "System.Reason": "New",
            "System.CreatedDate": now,
            "System.CreatedBy": somebody,
            "System.ChangedDate": now,
            "System.ChangedBy": somebody,
            "System.CommentCount": 0,
            "System.Title": title,
            "Microsoft.VSTS.Common.StateChangeDate": now,
            "Microsoft.VSTS.Common.Priority": 2,
            **(fields or {}),
        }
        item = self.items[values["System.Id"]] = Item(values["System.Id"], place, [values])
        self.log.append((item.id, 1))
        self.ledger.record("work item created", item.id)
        self.happened("workitem.created", item.answer(self.base), place)
        return item

    def update_work_item(self, id: int, fields: Mapping[str, Any]) -> Item:
        """A person changes fields. What changes nothing makes no revision."""
        item = self.items[id]
        after = {**item.fields, **fields}
        after = {name: value for name, value in after.items() if value is not None}
        if "System.History" not in fields:
            after.pop("System.History", None)
        if after == {name: value for name, value in item.fields.items() if name != "System.History"}:
            return item
        changed = {"System.ChangedDate": text_of(self.now()), "System.ChangedBy": identity(self.user, self.base)}
        self._revise(item, {**after, **changed})
        self.ledger.record("work item updated", id)
        update = {**item.update(self.base), "revision": item.answer(self.base)}
        self.happened("workitem.updated", update, item.project)
        return item

    def comment_on_work_item(self, id: int, text: str) -> Json:
        """A person comments. As the vendor does, it removes HTML comments, and tells of an update as well."""
        item = self.items[id]
        kept = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        now, somebody = text_of(self.now()), identity(self.user, self.base)
        comment = {
            "mentions": [],
            "workItemId": id,
            "id": self.next_id(),
            "version": 1,
            "text": kept,
            "format": "html",
            "createdBy": somebody,
            "createdDate": now,
            "modifiedBy": somebody,
            "modifiedDate": now,
            "isDeleted": False,
        }
        comment["url"] = f"{self.base}/{item.project.id}/_apis/wit/workItems/{id}/comments/{comment['id']}"
        item.comments.append(comment)
        self.ledger.record("work item commented", id)
        self.update_work_item(id, {"System.History": kept, "System.CommentCount": len(item.comments)})
        self.happened("workitem.commented", item.answer(self.base), item.project)
        return comment

    def delete_work_item(self, id: int) -> None:
        """A person puts a work item into the recycle bin."""
        item = self.items[id]
        item.is_deleted = True
        self.ledger.record("work item deleted", id)
        self.happened("workitem.deleted", item.answer(self.base), item.project)

    def restore_work_item(self, id: int) -> None:
        """A person takes a work item out of the recycle bin: a revision of its own."""
        item = self.items[id]
        item.is_deleted = False
        self._revise(item, {**item.fields, "System.ChangedDate": text_of(self.now())})
        self.ledger.record("work item restored", id)
        self.happened("workitem.restored", item.answer(self.base), item.project)

    def _revise(self, item: Item, fields: Json) -> None:
        item.revisions.append(fields)
        self.log.append((item.id, item.rev))

    def _item(self, request: Request) -> Item:
        item = self.items.get(request.path_params["id"])
        if item is None or item.is_deleted:
            id = request.path_params["id"]
            raise _missing(id)
        return item

    async def _get(self, request: Request) -> Response:
        names = request.query_params.get("fields")
        return JSONResponse(self._item(request).answer(self.base, names=names.split(",") if names else None))

    async def _revision(self, request: Request) -> Response:
        item, rev = self._item(request), request.path_params["rev"]
        if not 1 <= rev <= item.rev:
            raise _missing(item.id)
        return JSONResponse(item.answer(self.base, rev=rev))

    async def _updates(self, request: Request) -> Response:
        item, query = self._item(request), request.query_params
        skip, top = int(query.get("$skip", 0)), int(query.get("$top", 200))
        revisions = range(1, item.rev + 1)[skip : skip + top]
        return JSONResponse(listed([item.update(self.base, rev=rev) for rev in revisions]))

    async def _report(self, request: Request) -> Response:
        """The log of revisions, from a watermark or a time."""
        query = request.query_params
        start, size = int(query.get("continuationToken", 0)), int(query.get("$maxPageSize", 1000))
        since = datetime.fromisoformat(query.get("startDateTime", "1970-01-01T00:00:00Z"))
        page = self.log[start : start + size]
        reported = [self.items[id].reported(rev) for id, rev in page if not self.items[id].is_deleted]
        late = [one for one in reported if datetime.fromisoformat(one["fields"]["System.ChangedDate"]) > since]
        end = start + len(page)
        return JSONResponse(
            {"values": late, "continuationToken": str(end), "isLastBatch": end == len(self.log), "nextLink": None}
        )

    async def _batch(self, request: Request) -> Response:
        asked = await body_of(request)
        if len(asked["ids"]) > MAX_BATCH:
            raise Refusal(
                400, f"VS403474: You cannot query more than {MAX_BATCH} items", "VssPropertyValidationException"
            )
        if asked.get("fields") and asked.get("$expand", "none").lower() != "none":
            raise Refusal(
                400, "The expand parameter can not be used with the fields parameter.", "ConflictingParameters"
            )
        found = [self.items.get(id) for id in asked["ids"]]
        answers = [
            one.answer(self.base, names=asked.get("fields")) if one and not one.is_deleted else None for one in found
        ]
        if None in answers and asked.get("errorPolicy", "fail").lower() != "omit":
            raise _missing(asked["ids"][answers.index(None)])
        return JSONResponse(listed(answers))

    async def _query(self, request: Request) -> Response:
        text = (await body_of(request))["query"]
        project = request.path_params.get("project")
        items = [item.fields for item in self.items.values() if not item.is_deleted]
        try:
            found = wiql.run(text, items, project=self.project(project).name if project else None)
        except wiql.BadQuery as error:
            raise Refusal(400, str(error), "SyntaxException") from None
        if len(found) > MAX_FOUND:
            raise Refusal(400, f"VS402337: The number of work items returned exceeds the size limit of {MAX_FOUND}.")
        top = int(request.query_params.get("$top", MAX_FOUND))
        hits = [
            {"id": one["System.Id"], "url": f"{self.base}/_apis/wit/workItems/{one['System.Id']}"}
            for one in found[:top]
        ]
        answer = {"queryType": "flat", "queryResultType": "workItem", "asOf": text_of(self.now()), "columns": []}
        return JSONResponse({**answer, "workItems": hits})

    async def _create(self, request: Request) -> Response:
        project = self.project(request.path_params.get("project") or "")
        fields, relations = await self._patched(request, item=None)
        if not fields.get("System.Title"):
            raise Refusal(400, "TF401320: Rule Error for field Title. Error code: Required", "RuleValidationException")
        title = fields.pop("System.Title")
        item = self.create_work_item(request.path_params["type"], title, project=project.name, fields=fields)
        item.relations += relations
        return JSONResponse(item.answer(self.base))

    async def _update(self, request: Request) -> Response:
        item = self._item(request)
        fields, relations = await self._patched(request, item=item)
        item.relations += relations
        return JSONResponse(self.update_work_item(item.id, fields).answer(self.base))

    async def _delete(self, request: Request) -> Response:
        item = self._item(request)
        self.delete_work_item(item.id)
        return JSONResponse({"id": item.id, "code": 200, "resource": item.answer(self.base)})

    async def _patched(self, request: Request, *, item: Item | None) -> tuple[Json, list[Json]]:
        """The fields and links that a JSON Patch sets."""
        if not request.headers.get("content-type", "").startswith("application/json-patch+json"):
            raise Refusal(415, "The request contains a content type that is not supported: use json-patch")
        fields: Json = {}
        relations: list[Json] = []
        for one in await body_of(request) or []:
            op, path = one.get("op"), str(one.get("path"))
            if op not in ALLOWED:
                raise Refusal(
                    400, f"You must pass a valid patch document; {op} is none", "VssPropertyValidationException"
                )
            if op == "test" and path == "/rev":
                _check_revision(item, one["value"])
            elif path == "/relations/-":
                relations.append(one["value"])
            elif path.startswith("/fields/"):
                fields[path.removeprefix("/fields/")] = None if op == "remove" else one["value"]
        return fields, relations

    async def _comment(self, request: Request) -> Response:
        item, _ = self._item(request), self._needed_project(request)
        return JSONResponse(self.comment_on_work_item(item.id, (await body_of(request))["text"]))

    async def _list_comments(self, request: Request) -> Response:
        item, _ = self._item(request), self._needed_project(request)
        comments = item.comments[::-1] if request.query_params.get("order") != "asc" else item.comments
        start, top = int(request.query_params.get("continuationToken", 0)), int(request.query_params.get("$top", 200))
        page = comments[start : start + top]
        answer: Json = {"totalCount": len(comments), "count": len(page), "comments": page}
        if start + top < len(comments):
            answer["continuationToken"] = str(start + top)
        return JSONResponse(answer)

    def _needed_project(self, request: Request) -> Project:
        return self.project(request.path_params.get("project") or "")


def _missing(id: int) -> Refusal:
    told = f"TF401232: Work item {id} does not exist, or you do not have permissions to read it."
    return Refusal(404, told, "WorkItemUnauthorizedAccessException")


def _check_revision(item: Item | None, wanted: Any) -> None:
    if item is None or item.rev != wanted:
        raise Refusal(412, "VS403351: Test Operation for path /rev failed.", "TestPatchOperationFailedException")
