"""The connector and the fake beside the vendor's own examples: what is sent, what is read, what is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stepwell.connectors import ClickUp
from stepwell.connectors.clickup import types
from stepwell.testing.vendors import FakeClickUp

EXAMPLES = {
    example["operationId"]: example
    for example in json.loads((Path(__file__).parents[2] / "samples/clickup/api-examples.json").read_text("utf-8"))
}


def answered(operation: str) -> Any:
    return EXAMPLES[operation]["response_example"]


def asked(operation: str) -> dict[str, Any]:
    request: dict[str, Any] = EXAMPLES[operation]["request_example"]
    return request


@pytest.mark.parametrize("operation", ["CreateTask", "UpdateTask"])
def test_recorded_task_is_read(operation: str) -> None:
    task = types.task(answered(operation))

    assert (task.id, task.list_id, task.status, task.parent) == ("9hx", "123", "in progress", "abc1234")
    assert task.updated_at == datetime(2019, 9, 6, 14, 34, 10, 202000, tzinfo=UTC)
    assert task.raw == answered(operation)


def test_recorded_page_of_tasks_is_read() -> None:
    tasks = [types.task(raw) for raw in answered("GetTasks")["tasks"]]

    assert [(task.id, task.name, task.status) for task in tasks] == [
        ("9hx", "New Task Name", "Open"),
        ("9hz", "Second task", "Open"),
    ]


def test_recorded_webhooks_are_read_without_their_secrets() -> None:
    secret = answered("CreateWebhook")["webhook"]["secret"]

    made = types.webhook(answered("CreateWebhook")["webhook"])
    (listed,) = [types.webhook(raw) for raw in answered("GetWebhooks")["webhooks"]]

    assert (made.status, made.fail_count, len(made.events)) == ("active", 0, 28)
    assert (listed.id, listed.status, listed.fail_count) == (made.id, "failing", 5)
    assert secret not in repr(made) + repr(listed)


def shape(value: Any) -> Any:
    """The names in a value; what lists hold by their first item."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items() if inner not in (None, [], {})}
    return [shape(value[0])] if isinstance(value, list) else None


def lacking(expected: Any, found: Any, path: str = "$") -> list[str]:
    """Where the found shape lacks a name of the expected one."""
    if isinstance(expected, dict) and isinstance(found, dict):
        missing = [f"{path}.{name}" for name in expected if name not in found]
        return missing + [
            place
            for name in expected
            if found.get(name) is not None
            for place in lacking(expected[name], found[name], f"{path}.{name}")
        ]
    if isinstance(expected, list) and isinstance(found, list):
        return lacking(expected[0], found[0], f"{path}[]")
    return []


NOT_FAKED = {"email_assignees", "profilePicture", "chats", "client_id", "content", "value", "token"}


async def faked(fake: FakeClickUp, clickup: ClickUp, operation: str) -> Any:
    task = fake.create_task("901", "A", priority=3, description="x", custom_fields=[{"id": "f-1", "value": "v"}])
    webhook = fake.add_webhook("https://example.com/hook")
    match operation:
        case "CreateTask" | "UpdateTask":
            return (await clickup.update_task(task.id, name="B")).raw
        case "GetTasks":
            return {"tasks": [one.raw for one in (await clickup.list_tasks("901")).tasks]}
        case "CreateTaskComment":
            return (await clickup.add_comment(task.id, "c")).raw
        case "GetAuthorizedUser":
            return await clickup.api("GET", "/user", operation=operation)
        case "GetAuthorizedTeams":
            return await clickup.api("GET", "/team", operation=operation)
        case "GetWebhooks":
            return await clickup.api("GET", "/team/9001/webhook", operation=operation)
        case _:
            sent = {"endpoint": "https://example.com/hook", "events": "*", "status": "active"}
            return await clickup.api("PUT", f"/webhook/{webhook.id}", operation=operation, json=sent)


@pytest.mark.parametrize(
    "operation",
    [
        "CreateTask",
        "UpdateTask",
        "GetTasks",
        "CreateTaskComment",
        "GetAuthorizedUser",
        "GetAuthorizedTeams",
        "GetWebhooks",
        "UpdateWebhook",
    ],
)
async def test_fake_answers_with_every_name_of_the_recorded_answer(
    clickup: ClickUp, fake: FakeClickUp, operation: str
) -> None:
    found = await faked(fake, clickup, operation)

    missing = lacking(shape(answered(operation)), found)

    assert [place for place in missing if place.rpartition(".")[2] not in NOT_FAKED] == []


@pytest.fixture
def sent(clickup: ClickUp, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """The requests that the connector sends, as they leave it."""
    requests: list[tuple[str, str, Any]] = []
    request = clickup.request

    async def noted(method: str, path: str, **options: Any) -> Any:
        requests.append((method, path, options.get("json")))
        return await request(method, path, **options)

    monkeypatch.setattr(clickup, "request", noted)
    return requests


async def test_requests_have_only_names_of_the_recorded_requests(
    clickup: ClickUp, fake: FakeClickUp, sent: list[tuple[str, str, Any]]
) -> None:
    task = await clickup.create_task("901", "A", markdown="m", status="to do", priority=1, tags=["t"], notify_all=True)
    await clickup.update_task(task.id, name="B", add_assignees=[1], archived=False)
    await clickup.add_comment(task.id, "c", assignee=183)
    webhook = await clickup.create_webhook("https://example.com/hook", ["taskCreated"], list_id="901")
    await clickup.update_webhook(webhook.id, endpoint=webhook.endpoint)

    documented = ["CreateTask", "UpdateTask", "CreateTaskComment", "CreateWebhook", "UpdateWebhook"]
    assert len(sent) == len(documented)
    for operation, (method, path, body) in zip(documented, sent, strict=True):
        example = EXAMPLES[operation]
        segments = example["path"].removeprefix("/v2").split("/")
        assert method == example["method"]
        assert all(
            mine == theirs or theirs.startswith("{") for mine, theirs in zip(path.split("/"), segments, strict=True)
        )
        assert set(body) - {"markdown_content"} <= set(asked(operation))  # which its schema has, beside the example
