"""ClickUp sends two events for one new task; they start one execution."""

from __future__ import annotations

from stepwell import App
from stepwell.connectors import ClickUp
from stepwell.testing import running
from stepwell.testing.vendors import FakeClickUp
from tests.connectors.test_lost_events import deliver


async def test_two_events_of_one_creation_start_one_execution_and_a_later_status_another() -> None:
    app, fake = App(), FakeClickUp()
    fake.add_webhook("https://hooks.example.com")

    @app.workflow(trigger=ClickUp("acme").on_task_event())
    async def note(event: ClickUp.TaskEvent) -> str:
        return event.payload.id

    @app.workflow(trigger=ClickUp("acme").on_task_status_updated())
    async def moved(event: ClickUp.TaskStatusUpdated) -> str | None:
        return event.payload.status

    async with running(app, triggers=True) as lab:
        task = fake.create_task("901", "Boxes")
        fake.update_task(task.id, status="complete")
        for sent in fake.outgoing.all:
            await deliver(app, sent)
        await lab.settle()

        notes, moves = await app.list(workflow="note"), await app.list(workflow="moved")
        results = [await app.result(one.id) for one in moves]

    types = [one.type for one in fake.outgoing.all]
    assert types == ["taskCreated", "taskStatusUpdated", "taskStatusUpdated", "taskUpdated"]
    assert len(notes) == 3
    assert results == ["complete"]
