"""ClickUp's webhooks: made once, looked after, and delivered by the fake as ClickUp does."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from stepwell.codec import codec_for
from stepwell.connectors import ClickUp, VendorError
from stepwell.core.dispatching import matches
from stepwell.errors import InvalidOption, InvalidValue
from stepwell.sources import Request, Verified, source_named, verify
from stepwell.testing.vendors import FakeClickUp, Outgoing
from stepwell.testing.vendors.clickup.hooks import MAX_FAILURES
from tests.connectors.attempts import attempt
from tests.connectors.deliveries import envelope_of, event_of

URL = "https://example.com/hooks/clickup"


async def test_webhook_whose_answer_is_lost_is_made_once(clickup: ClickUp, fake: FakeClickUp) -> None:
    await clickup.create_webhook(URL, ["taskCreated"])
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await clickup.create_webhook(URL, ["taskCreated", "taskDeleted"], space_id="790", list_id="901")

    with attempt(2):
        made = await clickup.create_webhook(URL, ["taskDeleted", "taskCreated"], space_id="790", list_id="901")

    assert fake.ledger.count("webhook created") == 2
    assert fake.webhooks[made.id].location == ("list_id", "901")


async def test_secret_is_in_nothing_that_a_step_returns(clickup: ClickUp, fake: FakeClickUp) -> None:
    made = await clickup.create_webhook(URL)
    secret = await clickup.webhook_secret(made.id)

    assert secret.reveal() == fake.webhooks[made.id].secret
    for result in (made, *await clickup.list_webhooks(), await clickup.update_webhook(made.id, endpoint=URL)):
        assert secret.reveal() not in msgspec.json.encode(result).decode()
    with pytest.raises(InvalidValue, match="Secret"):
        codec_for(type(secret)).encode(secret)
    with pytest.raises(InvalidOption, match="has made no webhook"):
        await clickup.webhook_secret("another")


async def test_suspended_webhooks_are_revived_and_others_left_alone(clickup: ClickUp, fake: FakeClickUp) -> None:
    asleep, failing = fake.add_webhook(URL, "taskCreated"), fake.add_webhook(URL)
    elsewhere = fake.add_webhook("https://example.com/other")
    for _ in range(MAX_FAILURES):
        asleep.answered(500, 5)
    failing.answered(None, 5)
    elsewhere.answered(410, 1)

    before = {one.id: (one.status, one.fail_count) for one in await clickup.list_webhooks()}
    revived = await clickup.revive_webhooks(endpoint=URL)
    again = await clickup.revive_webhooks(endpoint=URL)

    assert before == {asleep.id: ("suspended", 100), failing.id: ("failing", 1), elsewhere.id: ("suspended", 1)}
    assert [(one.id, one.status, one.fail_count, one.events) for one in revived] == [
        (asleep.id, "active", 0, ["taskCreated"])
    ]
    assert again == []
    assert elsewhere.status == "suspended"


async def test_webhook_is_gone_as_often_as_it_is_deleted(clickup: ClickUp, fake: FakeClickUp) -> None:
    made = await clickup.create_webhook(URL)

    await clickup.delete_webhook(made.id)
    await clickup.delete_webhook(made.id)

    assert fake.webhooks == {}


def sent(fake: FakeClickUp) -> list[Outgoing]:
    return fake.outgoing.all


async def test_deliveries_are_signed_with_the_webhooks_secret(fake: FakeClickUp) -> None:
    webhook = fake.add_webhook(URL)
    fake.create_task("901", "Boxes")

    for one in sent(fake):
        request = Request.post(one.headers, one.body)
        proven = verify(source_named("clickup"), request, [webhook.secret.encode()], now=datetime.now(UTC))
        assert isinstance(proven, Verified)
        assert envelope_of("clickup", one.body, one.headers).tenant == webhook.id


async def test_two_events_of_one_creation_have_one_subject_and_only_one_is_a_creation(fake: FakeClickUp) -> None:
    fake.add_webhook(URL)
    task = fake.create_task("901", "Boxes")

    created, first_status = (envelope_of("clickup", one.body, one.headers) for one in sent(fake))

    assert [one.type for one in sent(fake)] == ["taskCreated", "taskStatusUpdated"]
    assert created.subject == first_status.subject == f"taskCreated:{task.id}"
    assert created.dedupe_key != first_status.dedupe_key
    assert not any(matches(pattern, first_status.type) for pattern in ClickUp().on_task_status_updated().types)
    assert any(matches(pattern, first_status.type) for pattern in ClickUp().on_task_event().types)


async def test_changes_are_told_once_each_and_once_together(fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")
    fake.add_webhook(URL, "taskUpdated", "taskStatusUpdated", "taskPriorityUpdated", list_id="901")
    fake.add_webhook(URL, list_id="902")

    fake.update_task(task.id, status="in progress", priority=1)

    assert [one.type for one in sent(fake)] == ["taskStatusUpdated", "taskPriorityUpdated", "taskUpdated"]
    changed = event_of(ClickUp.TaskStatusUpdated, "clickup", sent(fake)[0].body)
    assert (changed.payload.id, changed.payload.old_status, changed.payload.status) == (
        task.id,
        "to do",
        "in progress",
    )


async def test_comment_is_told_with_its_text(fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")
    fake.add_webhook(URL, "taskCommentPosted")
    comment = fake.comment(task.id, "well done")

    (one,) = sent(fake)
    payload = event_of(ClickUp.TaskCommented, "clickup", one.body).payload

    assert (payload.id, payload.comment_id, payload.comment) == (task.id, comment["id"], "well done")
