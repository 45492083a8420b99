"""What a fake GitHub consists of, in the shapes of the vendor's published schemas."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

Json = dict[str, Any]

API, WEB = "https://api.github.com", "https://github.com"

_OF_USER = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events")
_OF_REPOSITORY = (
    *(
        "archive",
        "assignees",
        "blobs",
        "branches",
        "collaborators",
        "comments",
        "commits",
        "compare",
        "contents",
        "contributors",
        "deployments",
        "downloads",
        "events",
        "forks",
    ),
    *(
        "git_commits",
        "git_refs",
        "git_tags",
        "hooks",
        "issue_comment",
        "issue_events",
        "issues",
        "keys",
        "labels",
        "languages",
        "merges",
        "milestones",
        "notifications",
    ),
    *("pulls", "releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees"),
)

_COUNTS = ("forks", "open_issues", "watchers", "forks_count", "open_issues_count", "watchers_count", "stargazers_count")
BEGAN = "2026-01-01T00:00:00Z"


def stamp(at: datetime) -> str:
    """A time as the vendor writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def node(kind: str, id: int) -> str:
    """A global id, as GraphQL has it."""
    return f"{kind}_{b64encode(str(id).encode()).decode().rstrip('=')}"


def account(login: str, *, kind: str = "User") -> Json:
    """A user or organization."""
    id, url = crc32(login.encode()), f"{API}/users/{login}"
    return {
        "login": login,
        "id": id,
        "node_id": node("U", id),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{WEB}/{login}",
        **{f"{name}_url": f"{url}/{name}" for name in _OF_USER},
        "received_events_url": f"{url}/received_events",
        "type": kind,
        "site_admin": False,
    }


def repository(full_name: str) -> Json:
    """A repository."""
    owner, _, name = full_name.partition("/")
    id, url = crc32(full_name.encode()), f"{API}/repos/{full_name}"
    return {
        "id": id,
        "node_id": node("R", id),
        "name": name,
        "full_name": full_name,
        "owner": account(owner, kind="Organization"),
        "private": False,
        "html_url": f"{WEB}/{full_name}",
        "description": None,
        "fork": False,
        "url": url,
        "default_branch": "main",
        "clone_url": f"{WEB}/{full_name}.git",
        "git_url": f"git://github.com/{full_name}.git",
        "ssh_url": f"git@github.com:{full_name}.git",
        "svn_url": f"{WEB}/{full_name}",
        **dict.fromkeys(("homepage", "language", "license", "mirror_url")),
        **dict.fromkeys(("created_at", "updated_at", "pushed_at"), BEGAN),
        **dict.fromkeys(("archived", "disabled", "has_pages", "has_wiki", "has_projects", "has_downloads"), False),
        "has_issues": True,
        **dict.fromkeys((*_COUNTS, "size"), 0),
        **{f"{part}_url": f"{url}/{part.replace('_', '/')}" for part in _OF_REPOSITORY},
    }


def issue(where: str, number: int, id: int, author: str, at: datetime, asked: Json) -> Json:
    """An issue; also the side of a pull request that is one."""
    url = f"{API}/repos/{where}/issues/{number}"
    labels = [
        {"id": crc32(name.encode()), "node_id": node("LA", 1), "url": f"{url}/labels/{name}", "name": name}
        | {"color": "ededed", "default": False, "description": None}
        for name in asked.get("labels") or []
    ]
    people = [account(login) for login in asked.get("assignees") or []]
    return {
        "url": url,
        "repository_url": f"{API}/repos/{where}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{WEB}/{where}/issues/{number}",
        "id": id,
        "node_id": node("I", id),
        "number": number,
        "title": asked["title"],
        "user": account(author),
        "labels": labels,
        "state": "open",
        "locked": False,
        "assignee": people[0] if people else None,
        "assignees": people,
        "milestone": None,
        "comments": 0,
        "created_at": stamp(at),
        "updated_at": stamp(at),
        "closed_at": None,
        "author_association": "MEMBER",
        "active_lock_reason": None,
        "body": asked.get("body"),
        "state_reason": None,
    }


def comment(where: str, number: int, id: int, author: str, at: datetime, body: str) -> Json:
    """A comment on an issue or pull request."""
    return {
        "url": f"{API}/repos/{where}/issues/comments/{id}",
        "html_url": f"{WEB}/{where}/issues/{number}#issuecomment-{id}",
        "issue_url": f"{API}/repos/{where}/issues/{number}",
        "id": id,
        "node_id": node("IC", id),
        "user": account(author),
        "created_at": stamp(at),
        "updated_at": stamp(at),
        "author_association": "MEMBER",
        "body": body,
    }


def pull_request(where: str, number: int, id: int, author: str, at: datetime, asked: Json) -> Json:
    """A pull request."""
    base = issue(where, number, id, author, at, asked)
    url, page = f"{API}/repos/{where}/pulls/{number}", f"{WEB}/{where}/pull/{number}"
    links = {"self": url, "html": page, "issue": base["url"], "comments": base["comments_url"]}
    links |= {"review_comments": f"{url}/comments", "review_comment": f"{url}/comments{{/number}}"}
    links |= {"commits": f"{url}/commits", "statuses": f"{API}/repos/{where}/statuses/{number:040x}"}
    shared = ["id", "number", "title", "user", "labels", "state", "locked", "assignee", "assignees", "milestone"]
    shared += ["created_at", "updated_at", "closed_at", "author_association", "active_lock_reason", "body", "comments"]
    return {
        **{name: base[name] for name in shared},
        "url": url,
        "node_id": node("PR", id),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": base["url"],
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "head": _branch(where, asked["head"]),
        "base": _branch(where, asked["base"]),
        "_links": {name: {"href": href} for name, href in links.items()},
        "auto_merge": None,
        "draft": bool(asked.get("draft")),
        "merged_at": None,
        "merged_by": None,
        "merged": False,
        "mergeable": True,
        "mergeable_state": "clean",
        "merge_commit_sha": None,
        "maintainer_can_modify": False,
        "requested_reviewers": [],
        "requested_teams": [],
        "review_comments": 0,
        "commits": 1,
        "additions": 1,
        "deletions": 0,
        "changed_files": 1,
    }


def _branch(where: str, label: str) -> Json:
    owner, _, ref = label.rpartition(":")
    owner = owner or where.partition("/")[0]
    sha = f"{crc32(label.encode()):040x}"
    return {"label": f"{owner}:{ref}", "ref": ref, "sha": sha, "user": account(owner), "repo": repository(where)}


def release(where: str, id: int, author: str, at: datetime, asked: Json) -> Json:
    """A release."""
    url, tag, is_draft = f"{API}/repos/{where}/releases/{id}", asked["tag_name"], bool(asked.get("draft"))
    return {
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": f"https://uploads.github.com/repos/{where}/releases/{id}/assets{{?name,label}}",
        "html_url": f"{WEB}/{where}/releases/tag/{tag}",
        "id": id,
        "author": account(author),
        "node_id": node("RE", id),
        "tag_name": tag,
        "target_commitish": asked.get("target_commitish") or "main",
        "name": asked.get("name"),
        "draft": is_draft,
        "prerelease": bool(asked.get("prerelease")),
        "created_at": stamp(at),
        "published_at": None if is_draft else stamp(at),
        "assets": [],
        "tarball_url": f"{API}/repos/{where}/tarball/{tag}",
        "zipball_url": f"{API}/repos/{where}/zipball/{tag}",
        "body": asked.get("body"),
    }


def run(where: str, id: int, actor: str, at: datetime, *, workflow: str, ref: str, title: str) -> Json:
    """A run of a workflow."""
    url, sha = f"{API}/repos/{where}/actions/runs/{id}", f"{id:040x}"
    links = ("jobs", "logs", "check_suite", "artifacts", "cancel", "rerun")
    commit = {"id": sha, "tree_id": sha, "message": "Begin", "timestamp": stamp(at)}
    people = {"name": actor, "email": f"{actor}@example.com"}
    return {
        "id": id,
        "name": workflow,
        "node_id": node("WFR", id),
        "head_branch": ref,
        "head_sha": sha,
        "path": f".github/workflows/{workflow}",
        "display_title": title,
        "run_number": id,
        "event": "workflow_dispatch",
        "status": "queued",
        "conclusion": None,
        "workflow_id": crc32(workflow.encode()),
        "url": url,
        "html_url": f"{WEB}/{where}/actions/runs/{id}",
        "pull_requests": [],
        "created_at": stamp(at),
        "updated_at": stamp(at),
        "actor": account(actor),
        "run_attempt": 1,
        **{f"{name}_url": f"{url}/{name}" for name in links},
        "workflow_url": f"{API}/repos/{where}/actions/workflows/{workflow}",
        "head_commit": {**commit, "author": people, "committer": people},
        "repository": repository(where),
        "head_repository": repository(where),
    }
