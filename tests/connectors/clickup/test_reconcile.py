"""New tasks whose deliveries were lost are found, as the webhook would have told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stepwell.connectors import ClickUp
from stepwell.connectors.clickup.reconcile import MAX_PAGES
from stepwell.testing.vendors import FakeClickUp
from stepwell.testing.vendors.clickup.tasks import PAGE
from tests.connectors.deliveries import envelope_of, event_of


async def test_first_look_only_finds_out_where_to_begin(clickup: ClickUp, fake: FakeClickUp) -> None:
    fake.create_task("901", "Old")

    found = await clickup.find_created_tasks(None)

    assert found.events == []
    assert not found.has_more
    assert abs(datetime.fromisoformat(found.cursor) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_lost_creation_is_found_with_the_subject_and_payload_of_its_webhook(
    clickup: ClickUp, fake: FakeClickUp
) -> None:
    start = await clickup.find_created_tasks(None)
    fake.add_webhook("https://example.com", "taskCreated")
    task = fake.create_task("902", "Boxes")
    fake.update_task(task.id, status="complete")

    found = await clickup.find_created_tasks(start.cursor)

    (event,), (webhook,) = found.events, fake.outgoing.all
    assert event.envelope.subject == envelope_of("clickup", webhook.body).subject
    told, seen = (event_of(ClickUp.TaskCreated, "clickup", body) for body in (webhook.body, event.body))
    assert (seen.payload.id, seen.payload.list_id) == (told.payload.id, told.payload.list_id) == (task.id, "902")
    assert seen.payload.changed_at == told.payload.changed_at
    assert seen.payload.changed_by == told.payload.changed_by


async def test_looks_overlap_and_find_the_same_under_the_same_key(clickup: ClickUp, fake: FakeClickUp) -> None:
    start = await clickup.find_created_tasks(None)
    fake.create_task("901", "Boxes")

    first = await clickup.find_created_tasks(start.cursor)
    second = await clickup.find_created_tasks(first.cursor)

    assert [one.envelope for one in first.events] == [one.envelope for one in second.events] != []
    assert second.cursor == first.cursor


async def test_long_outage_is_gone_through_look_by_look(clickup: ClickUp, fake: FakeClickUp) -> None:
    fake.requests_per_minute = 1_000
    begin = datetime.now(UTC) - timedelta(days=30)
    at = begin
    fake.now = lambda: at
    made = []
    for number in range(MAX_PAGES * PAGE + 5):
        at = begin + timedelta(minutes=number)
        made.append(fake.create_task("901", "Boxes").id)
    fake.now = lambda: datetime.now(UTC)

    first = await clickup.find_created_tasks(begin.isoformat())
    second = await clickup.find_created_tasks(first.cursor)

    assert (len(first.events), first.has_more, second.has_more) == (MAX_PAGES * PAGE, True, False)
    subjects = {one.envelope.subject for one in (*first.events, *second.events)}
    assert subjects == {f"taskCreated:{id}" for id in made}
