"""The fake's repositories: pushes, pull requests and the threads on them."""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import count
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.azure_devops.organization import Organization, Refusal, listed
from stepwell.testing.vendors.azure_devops.records import Json, identity, text_of
from stepwell.testing.vendors.fake import body_of


class Repositories(Organization):
    """Repositories of the first project, which need not be made first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pull_requests: dict[int, Json] = {}
        self.threads: dict[int, list[Json]] = {}
        self.pushes: list[Json] = []
        self._pull_request_ids, self._thread_ids, self._push_ids = count(1), count(1), count(1)

    def repository_routes(self) -> list[BaseRoute]:
        """Their addresses, with and without a project."""
        routes: list[BaseRoute] = []
        for scope in ("/{organization}", "/{organization}/{project}"):
            git = f"{scope}/_apis/git"
            threads = f"{git}/repositories/{{repository}}/pullRequests/{{id:int}}/threads"
            routes += [
                Route(f"{git}/pullrequests", self.guarded(self._list_pull_requests)),
                Route(f"{git}/pullrequests/{{id:int}}", self.guarded(self._get_pull_request)),
                Route(f"{git}/repositories/{{repository}}/pullrequests", self.guarded(self._list_pull_requests)),
                Route(f"{git}/repositories/{{repository}}/pushes", self.guarded(self._list_pushes)),
                Route(threads, self.guarded(self._list_threads), methods=["GET"]),
                Route(threads, self.guarded(self._add_thread), methods=["POST"]),
            ]
        return routes

    def push(self, repository: str, *, branch: str = "main", comment: str = "A meaningful commit message") -> Json:
        """A person pushes a commit."""
        commit, now = secrets.token_hex(20), text_of(self.now())
        author = {"name": self.user, "email": "somebody@example.com", "date": now}
        push = {
            "commits": [{"commitId": commit, "author": author, "committer": author, "comment": comment}],
            "refUpdates": [{"name": f"refs/heads/{branch}", "oldObjectId": "0" * 40, "newObjectId": commit}],
            "repository": self._repository(repository),
            "pushedBy": identity(self.user, self.base),
            "pushId": next(self._push_ids),
            "date": now,
        }
        self.pushes.append(push)
        self.happened("git.push", push, self._home())
        return push

    def open_pull_request(self, repository: str, title: str, *, source: str = "topic", target: str = "main") -> Json:
        """A person opens a pull request."""
        id = next(self._pull_request_ids)
        where = self._repository(repository)
        self.pull_requests[id] = {
            "repository": where,
            "pullRequestId": id,
            "codeReviewId": id,
            "status": "active",
            "createdBy": identity(self.user, self.base),
            "creationDate": text_of(self.now()),
            "title": title,
            "description": title,
            "sourceRefName": f"refs/heads/{source}",
            "targetRefName": f"refs/heads/{target}",
            "mergeStatus": "succeeded",
            "isDraft": False,
            "reviewers": [],
            "url": f"{where['url']}/pullRequests/{id}",
        }
        self.happened("git.pullrequest.created", dict(self.pull_requests[id]), self._home())
        return self.pull_requests[id]

    def complete_pull_request(self, id: int) -> Json:
        """A person merges a pull request."""
        self.pull_requests[id].update(status="completed", closedDate=text_of(self.now()))
        self.happened("git.pullrequest.updated", dict(self.pull_requests[id]), self._home())
        return self.pull_requests[id]

    def _home(self) -> Any:
        return next(iter(self.projects.values()))

    def _repository(self, name: str) -> Json:
        id = str(uuid5(NAMESPACE_URL, f"{self.base}/{name}"))
        return {
            "id": id,
            "name": name,
            "url": f"{self.base}/_apis/git/repositories/{id}",
            "project": self._home().answer(self.base),
            "defaultBranch": "refs/heads/main",
            "remoteUrl": f"{self.base}/_git/{name}",
        }

    def _pull_request(self, request: Request) -> Json:
        found = self.pull_requests.get(request.path_params["id"])
        repository = request.path_params.get("repository")
        if found is None or repository not in (None, found["repository"]["name"], found["repository"]["id"]):
            raise Refusal(404, "TF401180: The requested pull request was not found.", "GitPullRequestNotFoundException")
        return found

    async def _get_pull_request(self, request: Request) -> Response:
        return JSONResponse(self._pull_request(request))

    async def _list_pull_requests(self, request: Request) -> Response:
        query, repository = request.query_params, request.path_params.get("repository")
        status, target = query.get("searchCriteria.status", "active"), query.get("searchCriteria.targetRefName")
        since = datetime.fromisoformat(query.get("searchCriteria.minTime", "1970-01-01T00:00:00Z"))
        found = [
            one
            for one in reversed(self.pull_requests.values())
            if status in ("all", one["status"])
            and target in (None, one["targetRefName"])
            and repository in (None, one["repository"]["name"], one["repository"]["id"])
            and datetime.fromisoformat(one["creationDate"]) >= since
        ]
        skip, top = int(query.get("$skip", 0)), int(query.get("$top", 101))
        return JSONResponse(listed(found[skip : skip + top]))

    async def _list_pushes(self, request: Request) -> Response:
        repository = self._repository(request.path_params["repository"])
        return JSONResponse(listed([one for one in reversed(self.pushes) if one["repository"] == repository]))

    async def _list_threads(self, request: Request) -> Response:
        return JSONResponse(listed(self.threads.get(self._pull_request(request)["pullRequestId"], [])))

    async def _add_thread(self, request: Request) -> Response:
        pull_request, asked = self._pull_request(request), await body_of(request)
        id, now, author = next(self._thread_ids), text_of(self.now()), identity(self.user, self.base)
        comments = [
            {
                "id": number,
                "parentCommentId": 0,
                "author": author,
                "content": one["content"],
                "publishedDate": now,
                "lastUpdatedDate": now,
                "commentType": "text",
            }
            for number, one in enumerate(asked["comments"], 1)
        ]
        thread = {
            "pullRequestThreadContext": None,
            "id": id,
            "publishedDate": now,
            "lastUpdatedDate": now,
            "comments": comments,
            "status": asked.get("status", "unknown"),
            "threadContext": asked.get("threadContext"),
            "properties": asked.get("properties") or {},
            "isDeleted": False,
            "_links": {"repository": {"href": pull_request["repository"]["url"]}},
        }
        self.threads.setdefault(pull_request["pullRequestId"], []).append(thread)
        self.ledger.record("pull request commented", pull_request["pullRequestId"])
        return JSONResponse(thread)
