"""The vendor's recorded answers are read as what they are, and the fake's look like them."""

from __future__ import annotations

import json
from typing import Any

from starlette.testclient import TestClient

from stepwell.connectors.azure_devops import types
from stepwell.testing.vendors import FakeAzureDevOps
from tests.connectors.deliveries import SAMPLES

AUTH = ("", "pat-1")


def recorded(name: str) -> Any:
    text = (SAMPLES / "azure-devops" / "api" / f"{name}.json").read_text("utf-8-sig")
    return json.loads(text)["responses"]["200"]["body"]


def test_recorded_work_item_is_read() -> None:
    item = types.work_item(recorded("wit.workitem.get"))

    assert (item.id, item.rev, item.type, item.title, item.state) == (12, 3, "User Story", "Epic 2", "Active")
    assert (item.project, item.assigned_to) == ("MyAgilePrj2", "Jamal Hartnett")
    assert item.tags == ["client", "sample", "teamservices"]
    assert (item.web_url or "").endswith("id=12")


def test_recorded_comment_query_and_subscriptions_are_read() -> None:
    comment = types.comment(recorded("wit.comment.create"))
    found = types.query_result(recorded("wit.wiql.query"))
    subscriptions = [types.subscription(raw) for raw in recorded("hooks.subscriptions.list")["value"]]

    assert (comment.id, comment.work_item_id, comment.author) == (50, 299, "Jamal Hartnett")
    assert found.ids[:3] == [300, 299, 298]
    assert {one.status for one in subscriptions} >= {"enabled", "onProbation", "disabledBySystem"}
    assert types.subscription(recorded("hooks.subscriptions.create")).url == "https://myservice/myhookeventreceiver"


def shape(value: Any) -> Any:
    """The names of an object, at every depth, and the kinds of its values."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def missing(wanted: Any, given: Any, path: str = "") -> list[str]:
    """What the recorded answer has, and the other one lacks or has in another kind."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        return [
            lack
            for name, inner in wanted.items()
            for lack in (missing(inner, given[name], f"{path}/{name}") if name in given else [f"{path}/{name}"])
        ]
    return [] if type(wanted) is type(given) and (isinstance(wanted, list) or wanted == given) else [path]


def test_fakes_answers_have_the_shape_of_the_recorded_ones() -> None:
    fake = FakeAzureDevOps()
    client = TestClient(fake)
    patch = [{"op": "add", "path": "/fields/System.Title", "value": "Sample task"}]
    kind = {"content-type": "application/json-patch+json"}
    made = client.post("/fabrikam/Shop/_apis/wit/workitems/$Task", json=patch, headers=kind, auth=AUTH).json()
    place = f"/fabrikam/Shop/_apis/wit/workItems/{made['id']}/comments"
    comment = client.post(place, json={"text": "Hi"}, auth=AUTH).json()
    query = {"query": "SELECT [System.Id] FROM WorkItems"}
    found = client.post("/fabrikam/_apis/wit/wiql", json=query, auth=AUTH).json()
    asked = json.loads((SAMPLES / "azure-devops" / "api" / "hooks.subscriptions.create.json").read_text("utf-8-sig"))
    body = asked["parameters"]["body"]
    subscription = client.post("/fabrikam/_apis/hooks/subscriptions", json=body, auth=AUTH).json()

    assert missing(shape(recorded("wit.workitem.create")), shape(made)) == []
    assert missing(shape(recorded("wit.comment.create")), shape(comment)) == ["/commentId"]  # of older versions; now id
    assert missing(shape(recorded("wit.wiql.query")), shape(found)) == ["/columns", "/sortColumns"]  # which are empty
    assert missing(shape(recorded("hooks.subscriptions.create")), shape(subscription)) == []
