"""New tasks whose deliveries were lost are found, as the webhook would have told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from stepwell.connectors import ClickUp
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
    seconds = count()
    fake.now = lambda: datetime.now(UTC) + timedelta(seconds=next(seconds))
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


async def all_subjects(clickup: ClickUp, cursor: str) -> tuple[list[str | None], str]:
    """What a look finds, page after page, and where the next one begins."""
    subjects: list[str | None] = []
    more = True
    while more:
        found = await clickup.find_created_tasks(cursor)
        subjects += [one.envelope.subject for one in found.events]
        cursor, more = found.cursor, found.has_more
    return subjects, cursor


@pytest.mark.parametrize("apart", [timedelta(minutes=1), timedelta(0)])
async def test_long_outage_and_a_burst_are_gone_through_page_by_page(
    clickup: ClickUp, fake: FakeClickUp, apart: timedelta
) -> None:
    fake.requests_per_minute = 1_000
    begin = datetime.now(UTC) - timedelta(days=30)
    at = begin
    fake.now = lambda: at
    made = []
    for number in range(3 * PAGE + 5):
        at = begin + number * apart
        made.append(f"taskCreated:{fake.create_task('901', 'Boxes').id}")
    fake.now = lambda: datetime.now(UTC)

    subjects, cursor = await all_subjects(clickup, begin.isoformat())
    again, _ = await all_subjects(clickup, cursor)

    assert sorted(map(str, subjects)) == sorted(made)
    assert set(again) <= set(subjects)
