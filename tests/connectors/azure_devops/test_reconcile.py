"""Events whose webhooks were lost are found, with the identity that the webhook would have had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from stepwell.connectors import AzureDevOps
from stepwell.connectors.azure_devops import reconcile
from stepwell.core.webhooks import Found, FoundEvent
from stepwell.errors import InvalidOption
from stepwell.testing.vendors import FakeAzureDevOps
from tests.connectors.deliveries import envelope_of, event_of

HOOK = "https://hooks.example.com"
Find = Callable[[str | None], Awaitable[Found]]


async def all_of(find: Find, cursor: str) -> list[FoundEvent]:
    """What looks find from a cursor on, until there is no more."""
    events: list[FoundEvent] = []
    found = Found(cursor=cursor, has_more=True)
    while found.has_more:
        found = await find(found.cursor)
        events += found.events
    return events


def told(fake: FakeAzureDevOps, type: str) -> list[str | None]:
    """The subjects of the webhooks of that type."""
    return [envelope_of("azure-devops", sent.body).subject for sent in fake.outgoing.all if sent.type == type]


async def test_first_look_finds_nothing_and_knows_where_to_begin(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.create_work_item("Bug", "Before")

    first = await azure.find_created(None)
    assert first.events == []
    fake.create_work_item("Bug", "After")
    second = await azure.find_created(first.cursor)
    third = await azure.find_created(second.cursor)

    assert len(second.events) == 1
    assert (third.events, third.cursor) == ([], second.cursor)


@pytest.mark.parametrize("kind", ["created", "updated", "commented"])
async def test_what_is_found_is_what_the_webhooks_tell(
    azure: AzureDevOps, fake: FakeAzureDevOps, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "PAGE", 3)
    type = f"workitem.{kind}"
    fake.subscribe(type, HOOK)
    find: Find = getattr(azure, f"find_{kind}")
    start = (await find(None)).cursor
    items = [fake.create_work_item("Bug", f"Number {number}") for number in range(4)]
    for state in ("Active", "Resolved", "Closed"):
        fake.update_work_item(items[0].id, {"System.State": state})
    fake.comment_on_work_item(items[1].id, "Seen")

    found = await all_of(find, start)

    assert [one.envelope.subject for one in found] == told(fake, type)
    assert [envelope_of("azure-devops", one.body).subject for one in found] == told(fake, type)
    assert {one.envelope.type for one in found} == {type}
    assert len({one.envelope.dedupe_key for one in found}) == len(found)


async def test_found_events_are_read_like_delivered_ones(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    start = (await azure.find_created(None)).cursor
    item = fake.create_work_item("Bug", "Found")
    fake.update_work_item(item.id, {"System.State": "Active"})
    fake.comment_on_work_item(item.id, "Seen")

    def payload(kind: Any, event: FoundEvent) -> Any:
        return event_of(kind, "azure-devops", event.body).payload

    [created] = (await azure.find_created(start)).events
    updated, _ = (await azure.find_updated(start)).events
    [commented] = (await azure.find_commented(start)).events

    assert payload(AzureDevOps.WorkItemCreated, created).id == item.id
    assert payload(AzureDevOps.WorkItemCreated, created).state == "New"
    change = payload(AzureDevOps.WorkItemUpdated, updated)
    assert (change.id, change.rev, change.state) == (item.id, 2, "Active")
    assert (change.changes["System.State"].old, change.changes["System.State"].new) == ("New", "Active")
    assert payload(AzureDevOps.WorkItemCommented, commented).comment == "Seen"


async def test_builds_and_pull_requests_are_found_by_time(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.subscribe("build.complete", HOOK)
    fake.subscribe("git.pullrequest.created", HOOK)
    builds = (await azure.find_completed_builds(None)).cursor
    opened = (await azure.find_created_pull_requests(None)).cursor
    for _ in range(3):
        fake.finish_build(fake.queue_build(7)["id"])
    fake.queue_build(7)
    fake.open_pull_request("shop", "Change")

    found = await all_of(azure.find_completed_builds, builds) + await all_of(azure.find_created_pull_requests, opened)

    assert [one.envelope.subject for one in found] == [
        *told(fake, "build.complete"),
        *told(fake, "git.pullrequest.created"),
    ]
    assert event_of(AzureDevOps.BuildCompleted, "azure-devops", found[0].body).payload.result == "succeeded"


async def test_look_that_is_cut_off_goes_on_where_it_was(
    azure: AzureDevOps, fake: FakeAzureDevOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MAX_FOUND", 2)
    start = await azure.find_completed_builds(None)
    now = fake.now()
    for number in range(5):
        fake.now = lambda number=number: now + timedelta(minutes=10 * (number + 1))  # type: ignore[misc]
        fake.finish_build(fake.queue_build(7)["id"])

    found = await all_of(azure.find_completed_builds, start.cursor)

    assert {one.envelope.subject for one in found} == {f"build.complete:{id}" for id in range(1, 6)}


def test_only_what_can_be_found_can_be_reconciled() -> None:
    trigger = AzureDevOps("acme").on_work_item_created(reconcile="15m")

    assert trigger.reconcile is not None
    with pytest.raises(InvalidOption, match="name a connection"):
        AzureDevOps().on_work_item_created(reconcile="15m")
