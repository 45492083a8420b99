"""Typed events of ClickUp, from the vendor's own samples, and the triggers for them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stepwell.connectors import ClickUp
from stepwell.connectors.events import ConnectorEvent
from stepwell.core.triggers import WebhookTrigger
from stepwell.errors import InvalidOption, InvalidValue
from stepwell.sources.samples import sample, sample_types
from tests.connectors.clickup.test_recorded import asked
from tests.connectors.deliveries import SAMPLES, event_of


def recorded(name: str) -> bytes:
    return (SAMPLES / f"clickup/webhook.{name}.json").read_bytes()


def test_recorded_creation_tells_the_task_its_list_and_when() -> None:
    event = event_of(ClickUp.TaskCreated, "clickup", recorded("taskCreated"))

    assert (event.payload.id, event.payload.list_id, event.payload.changed_by) == ("1vj37mc", "162641062", "John")
    assert event.payload.changed_at == datetime(2022, 1, 21, 3, 10, 31, 523000, tzinfo=UTC)
    assert [change.field for change in event.payload.changes] == ["status", "task_creation"]
    assert event.payload.changes[0].id == "2800763136717140857"  # beyond 2^53, exact
    assert event.subject == "taskCreated:1vj37mc"


def test_recorded_update_tells_what_has_changed() -> None:
    event = event_of(ClickUp.TaskUpdated, "clickup", recorded("taskUpdated.status"))

    (change,) = event.payload.changes
    assert (event.payload.id, change.field) == ("c0j", "status")
    assert (change.before["status"], change.after["status"]) == ("open", "complete")


@pytest.mark.parametrize("type", sample_types("clickup"))
def test_sample_of_our_own_is_read(type: str) -> None:
    from uuid import UUID

    body = sample("clickup", type, id=UUID(int=7), now=datetime(2030, 1, 1, tzinfo=UTC))
    kind = ClickUp.ListEvent if type.startswith("list") else ClickUp.TaskEvent

    event: ConnectorEvent[object] = event_of(kind, "clickup", body)  # type: ignore[arg-type]

    assert event.type == type
    assert event.payload.id  # type: ignore[attr-defined]


def test_deletion_names_the_task_only() -> None:
    event = event_of(ClickUp.TaskDeleted, "clickup", b'{"event":"taskDeleted","task_id":"a","webhook_id":"w"}')

    assert (event.payload.id, event.payload.changes, event.payload.list_id) == ("a", [], None)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ClickUp.ListEvent, b'{"event":"listCreated","list_id":"5"}'),
        (ClickUp.FolderEvent, b'{"event":"folderUpdated","folder_id":5}'),
        (ClickUp.SpaceEvent, b'{"event":"spaceDeleted","space_id":"5"}'),
        (ClickUp.GoalEvent, b'{"event":"goalCreated","goal_id":"5"}'),
        (ClickUp.KeyResultEvent, b'{"event":"keyResultUpdated","goal_id":"4","key_result_id":"5"}'),
    ],
)
def test_events_of_other_objects_name_them(kind: type[ConnectorEvent[object]], body: bytes) -> None:
    event = event_of(kind, "clickup", body)

    assert event.payload.id == "5"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body",
    [
        b'{"event":"taskCreated","history_items":null}',
        b'{"event":"taskCreated","task_id":null}',
        b'{"event":"taskCreated","history_items":[1,null],"webhook_id":7}',
    ],
)
def test_body_without_a_task_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(InvalidValue, match="id"):
        event_of(ClickUp.TaskCreated, "clickup", body)


def test_every_event_of_clickup_has_a_trigger() -> None:
    triggers = [getattr(ClickUp("acme"), name)() for name in ClickUp.triggers()]

    types = [type for trigger in triggers for type in trigger.types]
    assert sorted(set(types) - {"task*"}) == sorted(asked("CreateWebhook")["events"])
    assert {(trigger.source, trigger.connection) for trigger in triggers} == {("clickup", "acme")}


def test_triggers_for_several_events_of_tasks() -> None:
    assert ClickUp().on_task_event("taskMoved", "taskTag*", id="t") == WebhookTrigger(
        "clickup", ("taskMoved", "taskTag*"), None, "t"
    )


def test_reconcile_needs_a_connection() -> None:
    assert ClickUp("acme").on_task_created(reconcile="15m").reconcile is not None
    with pytest.raises(InvalidOption, match="name a connection"):
        ClickUp().on_task_created(reconcile="15m")
