"""The fake's issues, comments and pull requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.fake import body_of
from stepwell.testing.vendors.github.records import Json, comment, issue, pull_request, stamp
from stepwell.testing.vendors.github.site import Refusal, Site, paged

REPOSITORY = "/repos/{owner}/{repo}"


class Issues(Site):
    """Issues and pull requests, by repository and number."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.issues: dict[tuple[str, int], Json] = {}
        self.pulls: dict[tuple[str, int], Json] = {}
        self.comments: dict[tuple[str, int], list[Json]] = {}

    def issue_routes(self) -> list[BaseRoute]:
        """Their addresses."""
        one, comments = f"{REPOSITORY}/issues/{{number:int}}", f"{REPOSITORY}/issues/{{number:int}}/comments"
        return [
            Route(f"{REPOSITORY}/issues", self.guarded(self._list_issues), methods=["GET"]),
            Route(f"{REPOSITORY}/issues", self.guarded(self._create_issue), methods=["POST"]),
            Route(one, self.guarded(self._get_issue), methods=["GET"]),
            Route(one, self.guarded(self._update_issue), methods=["PATCH"]),
            Route(comments, self.guarded(self._list_comments), methods=["GET"]),
            Route(comments, self.guarded(self._comment), methods=["POST"]),
            Route(f"{REPOSITORY}/pulls", self.guarded(self._list_pulls), methods=["GET"]),
            Route(f"{REPOSITORY}/pulls", self.guarded(self._create_pull), methods=["POST"]),
            Route(f"{REPOSITORY}/pulls/{{number:int}}", self.guarded(self._get_pull), methods=["GET"]),
        ]

    def open_issue(self, where: str, title: str, **asked: Any) -> Json:
        """A person opens an issue."""
        number = self.next_number(where)
        made = issue(where, number, self.next_id(), self.login, self.now(), {"title": title, **asked})
        self.issues[where, number] = made
        self.ledger.record("issue created", number)
        self.happened("issues.opened", where, issue=made)
        return made

    def change_issue(self, where: str, number: int, **given: Any) -> Json:
        """A person changes an issue: closes it, for instance."""
        known = self.issues[where, number]
        before, now = known["state"], stamp(self.now())
        fresh = issue(where, number, known["id"], self.login, self.now(), {"title": known["title"], **given})
        known.update({name: fresh[name] for name in ("labels", "assignees") if name in given})
        known.update({name: given[name] for name in ("title", "body", "state", "state_reason") if name in given})
        known["updated_at"] = now
        known["closed_at"] = now if known["state"] == "closed" else None
        self.ledger.record("issue updated", number)
        action = {("open", "closed"): "closed", ("closed", "open"): "reopened"}.get((before, known["state"]), "edited")
        self.happened(f"issues.{action}", where, issue=known)
        return known

    def add_comment(self, where: str, number: int, body: str) -> Json:
        """A person comments on an issue or pull request."""
        about = self.issues[where, number]
        made = comment(where, number, self.next_id(), self.login, self.now(), body)
        self.comments.setdefault((where, number), []).append(made)
        about["comments"] += 1
        self.ledger.record("comment created", made["id"])
        self.happened("issue_comment.created", where, issue=about, comment=made)
        return made

    def open_pull_request(self, where: str, title: str, *, head: str, base: str = "main", **asked: Any) -> Json:
        """A person opens a pull request, which is an issue too."""
        number, id = self.next_number(where), self.next_id()
        wanted = {"title": title, "head": head, "base": base, **asked}
        made = pull_request(where, number, id, self.login, self.now(), wanted)
        side = issue(where, number, self.next_id(), self.login, self.now(), wanted)
        self.issues[where, number] = {**side, "pull_request": {"url": made["url"], "html_url": made["html_url"]}}
        self.pulls[where, number] = made
        self.ledger.record("pull request created", number)
        self.happened("pull_request.opened", where, number=number, pull_request=made)
        return made

    def merge_pull_request(self, where: str, number: int) -> Json:
        """A person merges a pull request."""
        made, now = self.pulls[where, number], stamp(self.now())
        made.update(state="closed", merged=True, merged_at=now, closed_at=now, updated_at=now)
        self.happened("pull_request.closed", where, number=number, pull_request=made)
        return made

    async def _list_issues(self, request: Request) -> Response:
        query, where = request.query_params, self.where(request)
        wanted = [label for label in query.get("labels", "").split(",") if label]
        found = [
            one
            for (place, _), one in self.issues.items()
            if place == where
            and query.get("state", "open") in ("all", one["state"])
            and set(wanted) <= {label["name"] for label in one["labels"]}
            and _is_since(one, query.get("since"))
        ]
        return paged(request, _ordered(found, request))

    async def _get_issue(self, request: Request) -> Response:
        return JSONResponse(self._known(self.issues, request))

    async def _create_issue(self, request: Request) -> Response:
        asked = await body_of(request) or {}
        if not asked.get("title"):
            raise Refusal(422, "Validation Failed", [{"resource": "Issue", "code": "missing_field", "field": "title"}])
        title = asked.pop("title")
        return JSONResponse(self.open_issue(self.where(request), title, **asked), 201)

    async def _update_issue(self, request: Request) -> Response:
        known = self._known(self.issues, request)
        return JSONResponse(self.change_issue(self.where(request), known["number"], **(await body_of(request))))

    async def _list_comments(self, request: Request) -> Response:
        number = self._known(self.issues, request)["number"]
        found = self.comments.get((self.where(request), number), [])
        since = request.query_params.get("since")
        return paged(request, [one for one in found if _is_since(one, since)])

    async def _comment(self, request: Request) -> Response:
        number = self._known(self.issues, request)["number"]
        body = (await body_of(request)).get("body")
        if not body:
            raise Refusal(422, "Validation Failed", [{"resource": "IssueComment", "code": "unprocessable"}])
        return JSONResponse(self.add_comment(self.where(request), number, body), 201)

    async def _list_pulls(self, request: Request) -> Response:
        query, where = request.query_params, self.where(request)
        found = [
            one
            for (place, _), one in self.pulls.items()
            if place == where
            and query.get("state", "open") in ("all", one["state"])
            and query.get("head") in (None, one["head"]["label"])
            and query.get("base") in (None, one["base"]["ref"])
        ]
        return paged(request, _ordered(found, request))

    async def _get_pull(self, request: Request) -> Response:
        return JSONResponse(self._known(self.pulls, request))

    async def _create_pull(self, request: Request) -> Response:
        asked, where = await body_of(request), self.where(request)
        label = asked["head"] if ":" in asked["head"] else f"{where.partition('/')[0]}:{asked['head']}"
        for (place, _), one in self.pulls.items():
            if place == where and one["state"] == "open" and one["head"]["label"] == label:
                told = f"A pull request already exists for {label}."
                raise Refusal(
                    422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": told}]
                )
        title = asked.pop("title")
        return JSONResponse(self.open_pull_request(where, title, **asked), 201)

    def _known(self, records: dict[tuple[str, int], Json], request: Request) -> Json:
        found = records.get((self.where(request), request.path_params["number"]))
        if found is None:
            raise Refusal(404, "Not Found")
        return found


def _ordered(found: list[Json], request: Request) -> list[Json]:
    """By number, the newest first unless asked otherwise."""
    return sorted(found, key=lambda one: one["number"], reverse=request.query_params.get("direction") != "asc")


def _is_since(one: Json, since: str | None) -> bool:
    return since is None or datetime.fromisoformat(one["updated_at"]) >= datetime.fromisoformat(since)
