"""Service-hook subscriptions and what they have sent."""

from __future__ import annotations

import pytest

from stepwell.connectors import AzureDevOps, VendorError
from stepwell.errors import InvalidOption
from stepwell.testing.vendors import FakeAzureDevOps
from tests.connectors.attempts import attempt

URL = "https://hooks.example.com/hooks/azure-devops"


async def test_subscription_sends_what_it_was_told_to(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    made = await azure.create_subscription(
        "workitem.created",
        URL,
        user="acme",
        password="s3cret",
        headers={"X-Team": "shop"},
        filters={"workItemType": "Bug"},
    )
    fake.create_work_item("Task", "Not wanted")
    item = fake.create_work_item("Bug", "Wanted")

    assert (made.event_type, made.status, made.url) == ("workitem.created", "enabled", URL)
    assert made.raw["consumerInputs"]["basicAuthPassword"] == "********"
    [sent] = fake.outgoing.all
    assert (sent.url, sent.type) == (URL, "workitem.created")
    assert sent.headers["Authorization"] == "Basic YWNtZTpzM2NyZXQ="
    assert sent.headers["X-Team"] == "shop"
    assert str(item.id).encode() in sent.body


async def test_subscription_that_is_there_is_not_made_again(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await azure.create_subscription("workitem.created", URL)

    with attempt(2):
        again = await azure.create_subscription("workitem.created", URL)

    assert [again.id] == list(fake.subscriptions)


@pytest.mark.parametrize("other", [{"filters": {"workItemType": "Bug"}}, {"project": "Other"}])
async def test_narrower_subscription_is_another_one(
    azure: AzureDevOps, fake: FakeAzureDevOps, other: dict[str, dict[str, str]]
) -> None:
    fake.projects["other"] = type(fake.project("Shop"))("Other")
    await azure.create_subscription("workitem.created", URL, **other)  # type: ignore[arg-type]

    await azure.create_subscription("workitem.created", URL)

    assert len(fake.subscriptions) == 2


async def test_subscriptions_are_listed_and_deleted(azure: AzureDevOps) -> None:
    created = await azure.create_subscription("workitem.created", URL)
    updated = await azure.create_subscription("workitem.updated", URL)

    assert {one.id for one in await azure.list_subscriptions()} == {created.id, updated.id}
    assert [one.id for one in await azure.list_subscriptions(event_type="workitem.updated")] == [updated.id]
    assert await azure.list_subscriptions(url="https://elsewhere.example.com") == []

    await azure.delete_subscription(created.id)
    await azure.delete_subscription(created.id)
    assert [one.id for one in await azure.list_subscriptions()] == [updated.id]


async def test_history_tells_what_was_sent_and_what_failed(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    made = await azure.create_subscription("workitem.created", URL)
    first, second = fake.create_work_item("Bug", "One"), fake.create_work_item("Bug", "Two")
    fake.outgoing.all[0].answered(202, 1)
    fake.outgoing.all[1].answered(None, 9)

    history = await azure.list_notifications(made.id)
    [failed] = await azure.list_notifications(made.id, result="failed")

    assert [one.result for one in history] == ["failed", "succeeded"]
    assert (failed.event_type, failed.attempts, failed.error) == ("workitem.created", 9, "(no answer)")
    assert failed.raw["details"]["event"]["resource"]["id"] == second.id
    assert history[1].raw["details"]["event"]["resource"]["id"] == first.id


async def test_receiver_that_is_gone_ends_the_subscription(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    made = await azure.create_subscription("workitem.created", URL)
    fake.create_work_item("Bug", "One")

    fake.outgoing.all[0].answered(410, 1)

    assert [one.status for one in await azure.list_subscriptions()] == ["disabledBySystem"]
    assert made.status == "enabled"


async def test_wrong_questions_to_the_history_are_refused(azure: AzureDevOps) -> None:
    with pytest.raises(InvalidOption, match="use pending"):
        await azure.list_notifications("8dea9aba-3a9a-4ad0-860f-2a5c7379e3eb", result="lost")
    with pytest.raises(InvalidOption, match="1 to 1000"):
        await azure.list_notifications("8dea9aba-3a9a-4ad0-860f-2a5c7379e3eb", limit=0)
