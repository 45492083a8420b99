"""The people of the demo, who know nothing of us: they use the vendors, and follow a link."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx2

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.05


class Reporter:
    """Somebody who works in Azure DevOps."""

    def __init__(self, url: str, pat: str) -> None:
        self._api = httpx2.Client(base_url=url, auth=("", pat))

    def create_work_item(self, title: str, *, project: str) -> int:
        """Its number. Whoever has subscribed is told."""
        fields = [{"op": "add", "path": "/fields/System.Title", "value": title}]
        answer = self._api.post(
            f"/fabrikam/{project}/_apis/wit/workitems/$Task?api-version=7.1",
            json=fields,
            headers={"Content-Type": "application/json-patch+json"},
        )
        return int(_json(answer)["id"])

    def done(self, what: str) -> int:
        """How often Azure DevOps has really done that."""
        return _done(self._api, what)


class Approver:
    """Somebody who reads comments in ClickUp, follows the link and presses a button."""

    def __init__(self, url: str, token: str) -> None:
        self._api = httpx2.Client(base_url=url, headers={"Authorization": token})

    def link(self, list_id: str) -> str:
        """The link in the first comment of the first task; waits until it is there."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < limit:
            for task in _json(self._api.get(f"/api/v2/list/{list_id}/task"))["tasks"]:
                for comment in _json(self._api.get(f"/api/v2/task/{task['id']}/comment"))["comments"]:
                    if found := re.search(r"https?://\S+/callbacks/\S+", comment["comment_text"]):
                        return found[0]
            time.sleep(LOOK_SECONDS)
        raise RuntimeError(f"nobody was asked to approve anything within {PATIENCE_SECONDS:.0f} seconds")

    def answer(self, link: str, name: str) -> int:
        """Open the page and say yes; the status of what is answered to that."""
        page = httpx2.get(link)
        if page.status_code != 200:
            return page.status_code  # somebody was faster, or it is too late
        said = {"approved": True, "comment": "looks good"}
        return httpx2.post(link, params={"by": name}, json=said).status_code

    def done(self, what: str) -> int:
        """How often ClickUp has really done that."""
        return _done(self._api, what)

    def turn(self, switch: str, **arguments: object) -> None:
        """Let ClickUp have some trouble."""
        self._api.post(f"/_fake/switches/{switch}", json=arguments).raise_for_status()


def _done(api: httpx2.Client, what: str) -> int:
    return sum(effect["what"] == what for effect in _json(api.get("/_fake/ledger"))["effects"])


def _json(answer: httpx2.Response) -> Any:
    answer.raise_for_status()
    return answer.json()
