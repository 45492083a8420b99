"""The fake's comments on tasks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.clickup.records import Json
from stepwell.testing.vendors.clickup.tasks import Tasks
from stepwell.testing.vendors.clickup.workspace import Refusal
from stepwell.testing.vendors.fake import body_of

PAGE = 25


class Comments(Tasks):
    """Comments, the newest first, 25 at a time."""

    def comment_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        return [
            Route("/api/v2/task/{id}/comment", self.guarded(self._list_comments), methods=["GET"]),
            Route("/api/v2/task/{id}/comment", self.guarded(self._create_comment), methods=["POST"]),
            Route("/api/v2/comment/{comment}", self.guarded(self._update_comment), methods=["PUT"]),
            Route("/api/v2/comment/{comment}", self.guarded(self._delete_comment), methods=["DELETE"]),
        ]

    def comment(self, task_id: str, text: str) -> Json:
        """Somebody comments on a task."""
        task = self.task_of(task_id)
        made: Json = {
            "id": str(self.next_id()),
            "comment": [{"text": text}],
            "comment_text": text,
            "user": self.user,
            "resolved": False,
            "assignee": None,
            "assigned_by": None,
            "reactions": [],
            "date": self.time(),
            "reply_count": 0,
        }
        task.comments.insert(0, made)
        self.ledger.record("comment created", made["id"])
        item = self._item(task, "comment", None, made["id"])
        item |= {"date": made["date"], "comment": {**made, "text_content": text}}
        self.happened("taskCommentPosted", task=task, items=[item])
        self.happened("taskUpdated", task=task, items=[item])
        return made

    async def _list_comments(self, request: Request) -> Response:
        comments = self.task_of(request.path_params["id"]).comments
        after = request.query_params.get("start_id")
        start = next((number + 1 for number, one in enumerate(comments) if one["id"] == after), 0)
        return JSONResponse({"comments": comments[start : start + PAGE]})

    async def _create_comment(self, request: Request) -> Response:
        asked, task_id = await body_of(request), request.path_params["id"]
        self.task_of(task_id)
        if not asked.get("comment_text"):
            raise Refusal(400, "Comment text invalid", "COMM_001")
        made = self.comment(task_id, asked["comment_text"])
        return JSONResponse({"id": int(made["id"]), "hist_id": str(self.next_id()), "date": int(made["date"])})

    def _found(self, request: Request) -> tuple[list[Json], Json]:
        for task in self.tasks.values():
            for one in task.comments:
                if one["id"] == request.path_params["comment"]:
                    return task.comments, one
        raise Refusal(404, "Comment not found", "COMM_004")

    async def _update_comment(self, request: Request) -> Response:
        _, comment = self._found(request)
        comment.update(await body_of(request))
        comment["comment"] = [{"text": comment["comment_text"]}]
        self.ledger.record("comment updated", comment["id"])
        return JSONResponse({})

    async def _delete_comment(self, request: Request) -> Response:
        comments, comment = self._found(request)
        comments.remove(comment)
        self.ledger.record("comment deleted", comment["id"])
        return JSONResponse({})
