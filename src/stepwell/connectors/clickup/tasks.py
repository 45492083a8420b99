"""What can be done with tasks, their comments, custom fields and tags."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from stepwell.connectors.base import action, action_key, may_be_a_repeat, not_before
from stepwell.connectors.clickup.protocol import ClickUpProtocol
from stepwell.connectors.clickup.types import (
    Comment,
    Task,
    TaskPage,
    comment,
    in_milliseconds,
    moment,
    task,
)
from stepwell.connectors.http import segment
from stepwell.errors import InvalidOption

COMMENTS_PAGE = 25
MAX_COMMENT_PAGES = 40  # of those looked through for our own; the newest come first
MAX_TASK_PAGES = 20  # 2,000 tasks, the newest first, that are looked through for our own

_EVERY: list[tuple[str, Any]] = [("include_closed", True), ("subtasks", True)]

CLEARABLE = ("due_date", "parent", "points", "priority", "start_date", "time_estimate")


class TaskActions(ClickUpProtocol):
    """Source: developer.clickup.com/reference (tasks, comments, custom fields, tags), version 2."""

    @action(repeat="safe")
    async def get_task(self, id: str, *, subtasks: bool = False) -> Task:
        """The task with that id; with its subtasks in `raw` if wanted."""
        query = [("include_markdown_description", True), ("include_subtasks", subtasks)]
        return task(await self.api("GET", f"/task/{segment(id)}", operation=f"get task {id}", query=query))

    @action(repeat="safe")
    async def list_tasks(
        self,
        list_id: str,
        *,
        page: int = 0,
        statuses: Sequence[str] = (),
        tags: Sequence[str] = (),
        assignees: Sequence[int] = (),
        updated_after: datetime | None = None,
        created_after: datetime | None = None,
        closed: bool = False,
        subtasks: bool = False,
        archived: bool = False,
    ) -> TaskPage:
        """One page of the tasks whose home is that list, the newest first. Closed ones and subtasks only if wanted.

        What comes later than a page may move others from it to the next one: a step that must see all asks by time.
        """
        query = [
            ("page", page),
            ("archived", archived),
            ("include_closed", closed or None),
            ("subtasks", subtasks or None),
            ("include_markdown_description", True),
            ("date_updated_gt", updated_after and in_milliseconds(updated_after)),
            ("date_created_gt", created_after and in_milliseconds(created_after)),
            *(("statuses[]", status) for status in statuses),
            *(("tags[]", tag) for tag in tags),
            *(("assignees[]", assignee) for assignee in assignees),
        ]
        return await self.tasks(f"/list/{segment(list_id)}/task", page, query, operation=f"list tasks of {list_id}")

    @action(repeat="safe")
    async def find_tasks(
        self,
        *,
        page: int = 0,
        list_ids: Sequence[str] = (),
        space_ids: Sequence[str] = (),
        statuses: Sequence[str] = (),
        tags: Sequence[str] = (),
        custom_fields: Mapping[str, Any] | None = None,
        updated_after: datetime | None = None,
        created_after: datetime | None = None,
        team: str | None = None,
    ) -> TaskPage:
        """One page of a Workspace's tasks, closed ones and subtasks too, that were changed last first.

        `custom_fields` are the values that they must have, by the fields' ids. `team` is the Workspace, by default the
        connection's.
        """
        wanted = [{"field_id": id, "operator": "=", "value": value} for id, value in (custom_fields or {}).items()]
        query = [
            ("page", page),
            ("order_by", "updated"),
            ("include_closed", True),
            ("subtasks", True),
            ("include_markdown_description", True),
            ("date_updated_gt", updated_after and in_milliseconds(updated_after)),
            ("date_created_gt", created_after and in_milliseconds(created_after)),
            ("custom_fields", msgspec.json.encode(wanted).decode() if wanted else None),
            *(("list_ids[]", id) for id in list_ids),
            *(("space_ids[]", id) for id in space_ids),
            *(("statuses[]", status) for status in statuses),
            *(("tags[]", tag) for tag in tags),
        ]
        return await self.tasks(f"/team/{await self.needed_team(team)}/task", page, query, operation="find tasks")

    async def tasks(self, path: str, page: int, query: Iterable[tuple[str, Any]], *, operation: str) -> TaskPage:
        """A page of whatever list of tasks is at that path."""
        found = await self.api("GET", path, operation=operation, query=query)
        tasks = [task(raw) for raw in found["tasks"]]
        is_last = found.get("last_page", not tasks)  # one of the two says it only by a page without any
        return TaskPage(tasks, None if is_last else page + 1)

    @action(repeat="verify")
    async def create_task(
        self,
        list_id: str,
        name: str,
        *,
        description: str | None = None,
        markdown: str | None = None,
        status: str | None = None,
        priority: int | None = None,
        assignees: Sequence[int] = (),
        tags: Sequence[str] = (),
        due_at: datetime | None = None,
        start_at: datetime | None = None,
        parent: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
        notify_all: bool = False,
        more: Mapping[str, Any] | None = None,
    ) -> Task:
        """A new task in that list. `markdown` is the description with form; `priority` is from 1 (urgent) to 4 (low).

        `custom_fields` are values by the fields' ids, `more` is whatever else the vendor takes. The last line of the
        description is our key (or the custom field has it that the connection names as `key_field`): a repeat looks
        for it, among the newest 2,000 tasks that the list has got since the execution began (or all, by the field).
        """
        marker = _marker(action_key("create task"))
        if may_be_a_repeat() and (found := await self._task_with(marker, list_id)) is not None:
            return found
        wanted: dict[str, Any] = {
            "name": name,
            "status": status,
            "priority": priority,
            "assignees": list(assignees),
            "tags": list(tags),
            **_times(due_at, start_at),
            "parent": parent,
            "notify_all": notify_all,
            **(more or {}),
        }
        wanted |= await self._marked(description, markdown, custom_fields or {}, marker)
        sent = {name: value for name, value in wanted.items() if value is not None}
        path = f"/list/{segment(list_id)}/task"
        return task(await self.api("POST", path, operation=f"create task in {list_id}", json=sent))

    async def _marked(
        self, description: str | None, markdown: str | None, custom_fields: Mapping[str, Any], marker: str
    ) -> dict[str, Any]:
        """The description and custom fields of a new task, with our key in one of them."""
        fields, name = dict(custom_fields), "description" if markdown is None else "markdown_content"
        text = description if markdown is None else markdown
        if field := (await self.connection()).settings.get("key_field"):
            fields[field] = marker
        else:
            text = f"{text}\n\n{marker}" if text else marker
        return {name: text, "custom_fields": [{"id": id, "value": value} for id, value in fields.items()]}

    async def _task_with(self, marker: str, list_id: str) -> Task | None:
        """What an earlier attempt has made."""
        if field := (await self.connection()).settings.get("key_field"):
            wanted = msgspec.json.encode([{"field_id": field, "operator": "=", "value": marker}]).decode()
            async for known in self._newest(list_id, [("custom_fields", wanted)]):
                return known
            return None
        async for known in self._newest(list_id, []):
            if marker in known.description:
                return known
        return None

    async def _newest(self, list_id: str, conditions: Sequence[tuple[str, Any]]) -> AsyncIterator[Task]:
        """Tasks that this step may have made, the newest first: those that are closed or beneath another too."""
        path, every = f"/list/{segment(list_id)}/task", _EVERY.copy()
        if (since := not_before()) is not None:
            every.append(("date_created_gt", in_milliseconds(since)))
        for number in range(MAX_TASK_PAGES):
            query = [("page", number), ("order_by", "created"), *every, *conditions]
            page = await self.tasks(path, number, query, operation=f"look through tasks of {list_id}")
            for known in page.tasks:
                yield known
            if page.next_page is None:
                return

    @action(repeat="safe")
    async def update_task(
        self,
        id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        markdown: str | None = None,
        status: str | None = None,
        priority: int | None = None,
        due_at: datetime | None = None,
        start_at: datetime | None = None,
        parent: str | None = None,
        archived: bool | None = None,
        add_assignees: Sequence[int] = (),
        remove_assignees: Sequence[int] = (),
        clear: Sequence[str] = (),
        more: Mapping[str, Any] | None = None,
    ) -> Task:
        """The task with these values; what is None stays as it is, what `clear` names is emptied (`due_date` ...).

        The vendor knows no revisions: what others have written there meanwhile is overwritten, also by a repeat. A new
        description removes the key that `create_task` has left there, and a repeat of that no longer finds it.
        """
        if unknown := set(clear) - set(CLEARABLE):
            raise InvalidOption(f"clear={sorted(unknown)}: what can be emptied is {', '.join(CLEARABLE)}")
        people = {"add": list(add_assignees), "rem": list(remove_assignees)}
        values: dict[str, Any] = {
            "name": name,
            "description": description,
            "markdown_content": markdown,
            "status": status,
            "priority": priority,
            **_times(due_at, start_at),
            "parent": parent,
            "archived": archived,
            "assignees": people if add_assignees or remove_assignees else None,
        }
        sent = {name: value for name, value in values.items() if value is not None}
        sent |= {**dict.fromkeys(clear), **(more or {})}
        return task(await self.api("PUT", f"/task/{segment(id)}", operation=f"update task {id}", json=sent))

    @action(repeat="safe")
    async def delete_task(self, id: str) -> None:
        """The task is gone, also if it was gone before."""
        await self.gone(f"/task/{segment(id)}", operation=f"delete task {id}")

    @action(repeat="verify")
    async def add_comment(
        self, task_id: str, text: str, *, assignee: int | None = None, notify_all: bool = False
    ) -> Comment:
        """A new comment on a task. Its last line is our key, by which a repeat finds it among the 1,000 newest."""
        marker = _marker(action_key("add comment"))
        if may_be_a_repeat():
            async for known in self._comments(task_id):
                if marker in known.text:
                    return known
        sent: dict[str, Any] = {"comment_text": f"{text}\n\n{marker}", "notify_all": notify_all}
        if assignee is not None:
            sent["assignee"] = assignee
        path = f"/task/{segment(task_id)}/comment"
        made = await self.api("POST", path, operation=f"comment on task {task_id}", json=sent)
        return Comment(str(made["id"]), task_id, sent["comment_text"], None, moment(made.get("date")), made)

    @action(repeat="safe")
    async def list_comments(self, task_id: str) -> list[Comment]:
        """The comments on a task, the newest first, at most 1,000."""
        return [one async for one in self._comments(task_id)]

    async def _comments(self, task_id: str) -> AsyncIterator[Comment]:
        after: list[tuple[str, Any]] = []
        for _ in range(MAX_COMMENT_PAGES):
            path = f"/task/{segment(task_id)}/comment"
            found = await self.api("GET", path, operation=f"read comments on task {task_id}", query=after)
            for raw in found["comments"]:
                yield comment(raw, task_id)
            if len(found["comments"]) < COMMENTS_PAGE:
                return
            oldest = found["comments"][-1]
            after = [("start", oldest["date"]), ("start_id", oldest["id"])]

    @action(repeat="safe")
    async def update_comment(
        self, id: str, text: str, *, assignee: int | None = None, resolved: bool | None = None
    ) -> None:
        """The comment has this text. The key that `add_comment` has left there is gone with the old one."""
        sent = {"comment_text": text, "assignee": assignee, "resolved": resolved}
        sent = {name: value for name, value in sent.items() if value is not None}
        await self.api("PUT", f"/comment/{segment(id)}", operation=f"update comment {id}", json=sent)

    @action(repeat="safe")
    async def delete_comment(self, id: str) -> None:
        """The comment is gone, also if it was gone before."""
        await self.gone(f"/comment/{segment(id)}", operation=f"delete comment {id}")

    @action(repeat="safe")
    async def set_custom_field(self, task_id: str, field_id: str, value: Any) -> None:
        """The custom field of the task has this value, in the form that its type wants."""
        path = f"/task/{segment(task_id)}/field/{segment(field_id)}"
        await self.api("POST", path, operation=f"set a custom field of task {task_id}", json={"value": value})

    @action(repeat="safe")
    async def clear_custom_field(self, task_id: str, field_id: str) -> None:
        """The custom field of the task has no value."""
        path = f"/task/{segment(task_id)}/field/{segment(field_id)}"
        await self.api("DELETE", path, operation=f"clear a custom field of task {task_id}")

    @action(repeat="safe")
    async def add_tag(self, task_id: str, tag: str) -> None:
        """The task has this tag."""
        await self.api("POST", f"/task/{segment(task_id)}/tag/{segment(tag)}", operation=f"tag task {task_id}")

    @action(repeat="safe")
    async def remove_tag(self, task_id: str, tag: str) -> None:
        """The task does not have this tag."""
        await self.gone(f"/task/{segment(task_id)}/tag/{segment(tag)}", operation=f"untag task {task_id}")


def _marker(key: str) -> str:
    """Our key as a word that nothing else contains: 64 bits of it are plenty within one list."""
    return f"stepwell-{UUID(key).hex[:16]}"


def _times(due_at: datetime | None, start_at: datetime | None) -> dict[str, Any]:
    """Times to the minute, which the vendor would take for whole days without being told."""
    times: dict[str, Any] = {}
    for name, at in (("due_date", due_at), ("start_date", start_at)):
        if at is not None:
            times |= {name: in_milliseconds(at), f"{name}_time": True}
    return times
