"""Typed events of recorded deliveries, and the triggers for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stepwell.codec import codec_for
from stepwell.connectors import AzureDevOps
from stepwell.core.triggers import WebhookTrigger
from stepwell.errors import InvalidValue
from stepwell.testing.connections import GivenConnections
from stepwell.testing.vendors import FakeAzureDevOps
from tests.connectors.deliveries import SAMPLES, envelope_of, event_of

FOLDER = SAMPLES / "azure-devops" / "webhooks"


def sample(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def event(kind: Any, name: str) -> Any:
    return event_of(kind, "azure-devops", sample(name))


@pytest.mark.parametrize(
    ("kind", "name", "rev"),
    [
        (AzureDevOps.WorkItemCreated, "workitem.created", 1),
        (AzureDevOps.WorkItemUpdated, "workitem.updated", 2),
        (AzureDevOps.WorkItemCommented, "workitem.commented", 4),
        (AzureDevOps.WorkItemDeleted, "workitem.deleted", 1),
        (AzureDevOps.WorkItemRestored, "workitem.restored", 1),
    ],
)
def test_every_event_of_a_work_item_has_the_items_number(kind: Any, name: str, rev: int) -> None:
    payload = event(kind, name).payload

    assert (payload.id, payload.rev, payload.type, payload.state) == (5, rev, "Bug", "New")
    assert payload.title == "Some great new idea!"
    assert (payload.project, payload.changed_by) == ("GoodCompanyCloud", "Jamal Hartnett")
    assert payload.changed_at.tzinfo is UTC


def test_update_says_what_has_changed() -> None:
    changes = event(AzureDevOps.WorkItemUpdated, "workitem.updated").payload.changes

    assert (changes["System.State"].old, changes["System.State"].new) == ("New", "Approved")
    assert (changes["System.AssignedTo"].old, changes["System.AssignedTo"].new) == (None, "Jamal Hartnet")


def test_comment_comes_with_its_text() -> None:
    assert event(AzureDevOps.WorkItemCommented, "workitem.commented").payload.comment == "This is a great new idea"


@pytest.mark.parametrize(
    ("name", "id", "ref"),
    [
        ("git.push", 1168, "refs/heads/master"),
        ("git.push.real-messages-null", 34770, "refs/heads/dependabot/npm_and_yarn/webpack-merge-5.7.3"),
    ],
)
def test_push_names_its_branches_and_commits(name: str, id: int, ref: str) -> None:
    payload = event(AzureDevOps.GitPush, name).payload

    assert (payload.id, payload.refs) == (id, [ref])
    assert len(payload.commits[0]) == 40
    assert payload.pushed_at.tzinfo is UTC


def test_pull_requests_say_where_they_stand() -> None:
    created = event(AzureDevOps.PullRequestCreated, "git.pullrequest.created").payload
    updated = event(AzureDevOps.PullRequestUpdated, "git.pullrequest.updated").payload

    assert (created.id, created.status, created.closed_at) == (1, "active", None)
    assert (created.source, created.target) == ("refs/heads/mytopic", "refs/heads/master")
    assert (created.repository, created.project, created.author) == ("Fabrikam", "Fabrikam", "Jamal Hartnett")
    assert (updated.status, updated.closed_at.year) == ("completed", 2014)


def test_build_says_how_it_ended() -> None:
    payload = event(AzureDevOps.BuildCompleted, "build.complete").payload

    assert (payload.id, payload.number) == (2, "ConsumerAddressModule_20150407.1")
    assert (payload.result, payload.definition) == ("succeeded", "ConsumerAddressModule")
    assert payload.finished_at == datetime(2015, 4, 7, 18, 6, 10, 690000, tzinfo=UTC)


@pytest.mark.parametrize("name", ["message.posted", "tfvc.checkin"])
def test_delivery_of_another_kind_does_not_fit(name: str) -> None:
    with pytest.raises(InvalidValue):
        event(AzureDevOps.GitPush, name)


def test_event_keeps_all_that_was_sent() -> None:
    created = event(AzureDevOps.WorkItemCreated, "workitem.created")

    assert created.raw["message"]["markdown"].startswith("[Bug #5]")
    assert created.subject == "workitem.created:5"


def test_stored_event_comes_back_with_its_payload() -> None:
    created = event(AzureDevOps.WorkItemCreated, "workitem.created")

    _, again = codec_for(AzureDevOps.WorkItemCreated).encode(created)

    assert again.payload == created.payload


def test_subscription_that_sends_little_of_the_resource_still_tells_the_number() -> None:
    body = json.loads(sample("workitem.created").decode("utf-8-sig"))
    body["resource"] = {"id": 5, "url": body["resource"]["url"]}

    payload = event_of(AzureDevOps.WorkItemCreated, "azure-devops", json.dumps(body).encode()).payload

    assert (payload.id, payload.rev, payload.title) == (5, None, None)


def test_subscription_that_sends_no_resource_is_told_what_to_change() -> None:
    body = json.loads(sample("workitem.created").decode("utf-8-sig"))
    body["resource"] = None

    with pytest.raises(InvalidValue, match="resourceDetailsToSend"):
        event_of(AzureDevOps.WorkItemCreated, "azure-devops", json.dumps(body).encode())


def test_triggers_are_for_deliveries_of_the_connection() -> None:
    assert AzureDevOps("acme").on_work_item_created() == WebhookTrigger("azure-devops", ("workitem.created",), "acme")
    assert AzureDevOps().on_push(id="pushes") == WebhookTrigger("azure-devops", ("git.push",), None, "pushes")


async def test_fakes_events_are_read_as_the_vendors(
    azure: AzureDevOps, fake: FakeAzureDevOps, lent: GivenConnections
) -> None:
    for kind in ("created", "updated", "commented", "deleted", "restored"):
        fake.subscribe(f"workitem.{kind}", "https://hooks.example.com", user="acme", password="secret")
    item = fake.create_work_item("Bug", "Told of")
    fake.update_work_item(item.id, {"System.State": "Active"})
    fake.comment_on_work_item(item.id, "Look here")
    fake.delete_work_item(item.id)
    fake.restore_work_item(item.id)
    kinds: list[Any] = [
        AzureDevOps.WorkItemCreated,
        AzureDevOps.WorkItemUpdated,
        AzureDevOps.WorkItemUpdated,
        AzureDevOps.WorkItemCommented,
        AzureDevOps.WorkItemDeleted,
        AzureDevOps.WorkItemRestored,
    ]

    events = [event_of(kind, "azure-devops", sent.body) for kind, sent in zip(kinds, fake.outgoing.all, strict=True)]

    assert {one.payload.id for one in events} == {item.id}
    assert events[1].payload.changes["System.State"].new == "Active"
    assert events[3].payload.comment == "Look here"
    assert [envelope_of("azure-devops", sent.body).subject for sent in fake.outgoing.all] == [
        f"workitem.created:{item.id}",
        f"workitem.updated:{item.id}:2",
        f"workitem.updated:{item.id}:3",
        f"workitem.commented:{item.id}:3",
        f"workitem.deleted:{item.id}:3",
        f"workitem.restored:{item.id}:4",
    ]
    assert (await azure.get_work_item(events[1].payload.id)).id == item.id
