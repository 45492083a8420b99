"""The fake's tasks: what people and the API do to them, and the events that this makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.clickup.records import PRIORITIES, STATUSES, FakeTask, Json
from stepwell.testing.vendors.clickup.workspace import Refusal, Workspace
from stepwell.testing.vendors.fake import body_of

PAGE = 100

SPECIFIC = {
    "status": "taskStatusUpdated",
    "priority": "taskPriorityUpdated",
    "assignee_add": "taskAssigneeUpdated",
    "assignee_rem": "taskAssigneeUpdated",
    "due_date": "taskDueDateUpdated",
    "tag": "taskTagUpdated",
    "tag_removed": "taskTagUpdated",
    "time_estimate": "taskTimeEstimateUpdated",
}
"""The event that a change of a field makes beside `taskUpdated`."""

VALUES = (
    "name",
    "description",
    "markdown_content",
    "status",
    "priority",
    "due_date",
    "start_date",
    "parent",
    "points",
    "time_estimate",
    "archived",
)


class Tasks(Workspace):
    """Tasks of the Workspace."""

    def task_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        task = "/api/v2/task/{id}"
        return [
            Route("/api/v2/list/{list}/task", self.guarded(self._list_tasks), methods=["GET"]),
            Route("/api/v2/list/{list}/task", self.guarded(self._create_task), methods=["POST"]),
            Route("/api/v2/team/{team}/task", self.guarded(self._find_tasks), methods=["GET"]),
            Route(task, self.guarded(self._get_task), methods=["GET"]),
            Route(task, self.guarded(self._update_task), methods=["PUT"]),
            Route(task, self.guarded(self._delete_task), methods=["DELETE"]),
            Route(task + "/field/{field}", self.guarded(self._set_field), methods=["POST", "DELETE"]),
            Route(task + "/tag/{tag}", self.guarded(self._tag), methods=["POST", "DELETE"]),
        ]

    def create_task(self, list_id: str, name: str, **values: Any) -> FakeTask:
        """Somebody makes a task: one act of two events, `taskCreated` and the first `taskStatusUpdated`."""
        fields = {one["id"]: one.get("value") for one in values.pop("custom_fields", None) or []}
        _check(values)
        at = self.time()
        task = FakeTask(
            id=f"86c{self.next_id():x}",
            list_id=self.list_of(list_id).id,
            values={"status": STATUSES[0]["status"], **values, "name": name},
            created=at,
            updated=at,
            fields=fields,
        )
        self.tasks[task.id] = task
        self.ledger.record("task created", task.id)
        nothing = {"status": None, "color": "#000000", "type": "removed", "orderindex": -1}
        first = self._item(task, "status", nothing, task.status, data={"status_type": task.status["type"]})
        self.happened("taskCreated", task=task, items=[first, self._item(task, "task_creation", None, None)])
        self.happened("taskStatusUpdated", task=task, items=[first])
        return task

    def update_task(self, id: str, **values: Any) -> FakeTask:
        """Somebody changes a task: an event for each field, and one `taskUpdated`."""
        task, people = self.task_of(id), values.pop("assignees", None) or {}
        _check(values)
        items: list[Json] = []
        for name in (name for name in VALUES if name in values and task.values.get(name) != values[name]):
            before, was = task.values.get(name), task.status
            task.values[name] = values[name]
            shown = (was, task.status) if name == "status" else (before, values[name])
            items.append(self._item(task, "content" if name in ("description", "markdown_content") else name, *shown))
        items += self._reassigned(task, people)
        if items:
            self._changed(task, items)
        return task

    def delete_task(self, id: str) -> None:
        """Somebody deletes a task."""
        task = self.tasks.pop(self.task_of(id).id)
        self.deleted.add(task.id)
        self.ledger.record("task deleted", task.id)
        self.happened("taskDeleted", task=task)

    def _reassigned(self, task: FakeTask, people: Json) -> Iterator[Json]:
        assigned: list[int] = task.values.setdefault("assignees", [])
        for user in people.get("add") or []:
            if user not in assigned:
                assigned.append(user)
                yield self._item(task, "assignee_add", None, {"id": user})
        for user in people.get("rem") or []:
            if user in assigned:
                assigned.remove(user)
                yield self._item(task, "assignee_rem", {"id": user}, None)

    def _changed(self, task: FakeTask, items: list[Json]) -> None:
        """Keep and tell what has changed, all of it at one time."""
        task.updated = self.time()
        task.closed = task.updated if task.status["type"] == "closed" else None
        items = [{**item, "date": task.updated} for item in items]
        self.ledger.record("task updated", task.id)
        for item in items:
            if item["field"] in SPECIFIC:
                self.happened(SPECIFIC[item["field"]], task=task, items=[item])
        self.happened("taskUpdated", task=task, items=items)

    def _item(self, task: FakeTask, field: str, before: Any, after: Any, *, data: Json | None = None) -> Json:
        return {
            "id": str(self.next_id()),
            "type": 1,
            "date": task.updated,
            "field": field,
            "parent_id": task.list_id,
            "data": data or {},
            "source": None,
            "user": self.user,
            "before": before,
            "after": after,
        }

    async def _create_task(self, request: Request) -> Response:
        asked = await body_of(request)
        self.list_of(request.path_params["list"])
        if not isinstance(asked, dict) or not str(asked.get("name") or "").strip():
            raise Refusal(400, "Task name invalid", "INPUT_005")
        known = {name: asked[name] for name in (*VALUES, "assignees", "tags", "custom_fields") if name in asked}
        return JSONResponse(self.shown(self.create_task(request.path_params["list"], known.pop("name"), **known)))

    async def _get_task(self, request: Request) -> Response:
        task = self.task_of(request.path_params["id"])
        shown = self.shown(task)
        if request.query_params.get("include_subtasks") == "true":
            shown["subtasks"] = [self.shown(one) for one in self.tasks.values() if one.values.get("parent") == task.id]
        return JSONResponse(shown)

    async def _update_task(self, request: Request) -> Response:
        return JSONResponse(self.shown(self.update_task(request.path_params["id"], **await body_of(request))))

    async def _delete_task(self, request: Request) -> Response:
        self.delete_task(request.path_params["id"])
        return Response(status_code=204)

    async def _set_field(self, request: Request) -> Response:
        task, id = self.task_of(request.path_params["id"]), request.path_params["field"]
        if id not in {one.id for one in self.fields}:
            raise Refusal(400, "Custom field not found", "FIELD_011")
        before = task.fields.pop(id, None)
        if request.method == "POST":
            task.fields[id] = (await body_of(request))["value"]
        self._changed(task, [self._item(task, "custom_field", before, task.fields.get(id))])
        return JSONResponse({})

    async def _tag(self, request: Request) -> Response:
        task, tag = self.task_of(request.path_params["id"]), request.path_params["tag"]
        tags: list[str] = task.values.setdefault("tags", [])
        if request.method == "POST" and tag not in tags:
            tags.append(tag)
            self._changed(task, [self._item(task, "tag", None, [{"name": tag}])])
        elif request.method == "DELETE" and tag in tags:
            tags.remove(tag)
            self._changed(task, [self._item(task, "tag_removed", [{"name": tag}], None)])
        return JSONResponse({})

    async def _list_tasks(self, request: Request) -> Response:
        place = self.list_of(request.path_params["list"])
        return self._page(request, [task for task in self.tasks.values() if task.list_id == place.id])

    async def _find_tasks(self, request: Request) -> Response:
        lists = request.query_params.getlist("list_ids[]")
        return self._page(request, [task for task in self.tasks.values() if not lists or task.list_id in lists])

    def _page(self, request: Request, tasks: list[FakeTask]) -> Response:
        query = request.query_params
        wanted = [task for task in tasks if all(holds(task) for holds in _conditions(request))]
        by = "updated" if query.get("order_by") == "updated" else "created"
        order = {task.id: (int(getattr(task, by)), number) for number, task in enumerate(wanted)}
        wanted.sort(key=lambda task: order[task.id], reverse=query.get("reverse") != "true")
        start = int(query.get("page", 0)) * PAGE
        page = [self.shown(task) for task in wanted[start : start + PAGE]]
        return JSONResponse({"tasks": page, "last_page": start + PAGE >= len(wanted)})


def _conditions(request: Request) -> Iterator[Callable[[FakeTask], bool]]:
    """What a task must be like to be listed."""
    query = request.query_params
    is_archived = query.get("archived") == "true"
    yield lambda task: task.values.get("archived", False) == is_archived
    if query.get("include_closed") != "true":
        yield lambda task: task.status["type"] != "closed"
    if query.get("subtasks") != "true":
        yield lambda task: task.values.get("parent") is None
    if statuses := query.getlist("statuses[]"):
        yield lambda task: task.values["status"] in statuses
    if tags := query.getlist("tags[]"):
        yield lambda task: not set(tags).isdisjoint(task.values.get("tags", []))
    if assignees := {int(id) for id in query.getlist("assignees[]")}:
        yield lambda task: not assignees.isdisjoint(task.values.get("assignees", []))
    if updated := query.get("date_updated_gt"):
        yield lambda task: int(task.updated) > int(updated)
    if created := query.get("date_created_gt"):
        yield lambda task: int(task.created) > int(created)
    if fields := json.loads(query.get("custom_fields", "[]")):
        yield lambda task: all(task.fields.get(one["field_id"]) == one["value"] for one in fields)


def _check(values: Json) -> None:
    """Raises Refusal for what the API does not take."""
    if "status" in values and values["status"] not in [one["status"] for one in STATUSES]:
        raise Refusal(400, "Status not found", "CRTSK_001")
    if values.get("priority") is not None and values["priority"] not in PRIORITIES:
        raise Refusal(400, "Priority invalid", "INPUT_006")
