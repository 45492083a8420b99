"""Actions on tasks, against the fake over a real socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell.connectors import ClickUp, VendorError, VendorRejected
from stepwell.errors import InvalidOption
from stepwell.testing.connections import GivenConnections
from stepwell.testing.vendors import FakeClickUp
from stepwell.testing.vendors.clickup.tasks import PAGE
from tests.connectors.attempts import attempt
from tests.connectors.clickup.conftest import with_settings

DUE = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_task_is_read_with_what_it_has(clickup: ClickUp, fake: FakeClickUp) -> None:
    made = fake.create_task(
        "901", "Boxes", description="all", tags=["shop"], custom_fields=[{"id": "f-2", "value": "red"}]
    )

    task = await clickup.get_task(made.id)

    assert (task.id, task.name, task.status, task.list_id) == (made.id, "Boxes", "to do", "901")
    assert (task.description, task.tags) == ("all", ["shop"])
    assert (task.custom_field("Colour"), task.custom_field("f-1")) == ("red", None)
    assert task.url.endswith(made.id)
    assert task.created_at is not None
    assert task.raw["creator"]["username"] == "Ada Example"


async def test_subtasks_come_with_a_task_if_they_are_wanted(clickup: ClickUp, fake: FakeClickUp) -> None:
    parent = fake.create_task("901", "All")
    fake.create_task("901", "Part", parent=parent.id)

    task = await clickup.get_task(parent.id, subtasks=True)

    assert [one["name"] for one in task.raw["subtasks"]] == ["Part"]


async def test_deleted_task_is_rejected_in_the_vendors_words(clickup: ClickUp, fake: FakeClickUp) -> None:
    made = fake.create_task("901", "Boxes")
    fake.delete_task(made.id)

    with pytest.raises(VendorRejected, match="Task not found, deleted") as rejected:
        await clickup.get_task(made.id)
    assert (rejected.value.status, rejected.value.code) == (404, "ITEM_013")


async def test_id_of_another_workspace_is_our_fault_and_no_reason_to_ask_for_a_new_token(clickup: ClickUp) -> None:
    with pytest.raises(VendorRejected, match="no such object in a Workspace of this token") as rejected:
        await clickup.get_task("nobody-has-it")
    assert rejected.value.code == "OAUTH_027"


async def test_id_leads_nowhere_else(clickup: ClickUp, fake: FakeClickUp) -> None:
    with pytest.raises(VendorRejected):
        await clickup.get_task("../user")
    assert fake.asked == ["GET /api/v2/task/../user"]  # as the server decodes it; it was sent as one segment


async def test_created_task_has_its_values_and_our_key_below_its_description(
    clickup: ClickUp, fake: FakeClickUp
) -> None:
    task = await clickup.create_task(
        "901",
        "Remember it",
        description="for good",
        status="in progress",
        priority=2,
        assignees=[183],
        tags=["shop"],
        due_at=DUE,
        custom_fields={"f-2": "blue"},
        more={"points": 3},
    )

    assert (task.name, task.status, task.tags, task.assignees) == ("Remember it", "in progress", ["shop"], [183])
    assert task.description.startswith("for good\n\nstepwell-")
    assert task.custom_field("f-2") == "blue"
    assert task.raw["priority"]["priority"] == "high"
    assert task.raw["due_date"] == str(int(DUE.timestamp()) * 1000)
    assert task.raw["points"] == 3
    assert fake.ledger.count("task created") == 1


async def test_description_may_have_form_or_be_only_our_key(clickup: ClickUp) -> None:
    formed = await clickup.create_task("901", "A", markdown="# All")
    bare = await clickup.create_task("901", "B")

    assert formed.description.startswith("# All\n\nstepwell-")
    assert bare.description.startswith("stepwell-")


async def test_creation_whose_answer_is_lost_makes_one_task(clickup: ClickUp, fake: FakeClickUp) -> None:
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await clickup.create_task("901", "Once")

    with attempt(2):
        task = await clickup.create_task("901", "Once")

    assert fake.ledger.count("task created") == 1
    assert task.id in fake.tasks


async def test_creation_is_found_though_it_was_closed_lies_beneath_another_and_many_came_later(
    clickup: ClickUp, fake: FakeClickUp
) -> None:
    parent = fake.create_task("901", "All")
    with attempt(1):
        first = await clickup.create_task("901", "Part", parent=parent.id)
    fake.update_task(first.id, status="complete")
    for number in range(PAGE):
        fake.create_task("901", f"Later {number}")

    with attempt(2):
        again = await clickup.create_task("901", "Part", parent=parent.id)

    assert again.id == first.id


async def test_creation_that_never_got_through_is_made_by_the_repeat(clickup: ClickUp, fake: FakeClickUp) -> None:
    fake.switches.drop()
    with attempt(1), pytest.raises(VendorError):
        await clickup.create_task("901", "Once")

    with attempt(2):
        await clickup.create_task("901", "Once")

    assert fake.ledger.count("task created") == 1


async def test_two_creations_of_one_step_are_two_and_repeat_as_two(clickup: ClickUp, fake: FakeClickUp) -> None:
    with attempt(1):
        first = [await clickup.create_task("901", "Same"), await clickup.create_task("901", "Same")]
    with attempt(2):
        again = [await clickup.create_task("901", "Same"), await clickup.create_task("901", "Same")]

    assert [one.id for one in again] == [one.id for one in first]
    assert fake.ledger.count("task created") == 2


async def test_key_goes_into_the_custom_field_that_the_connection_names(
    clickup: ClickUp, fake: FakeClickUp, lent: GivenConnections
) -> None:
    with_settings(lent, key_field="f-1")
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await clickup.create_task("901", "Once", description="mine")

    with attempt(2):
        task = await clickup.create_task("901", "Once", description="mine")

    assert fake.ledger.count("task created") == 1
    assert task.description == "mine"
    assert str(task.custom_field("Key")).startswith("stepwell-")


async def test_task_that_the_vendor_does_not_take_is_rejected(clickup: ClickUp) -> None:
    with pytest.raises(VendorRejected, match="Status not found") as rejected:
        await clickup.create_task("901", "Boxes", status="somewhere")
    assert rejected.value.status == 400


async def test_update_changes_what_it_names_and_a_repeat_changes_nothing(clickup: ClickUp, fake: FakeClickUp) -> None:
    made = fake.create_task("901", "Boxes", priority=1, assignees=[1], due_date=5)

    for _ in range(2):
        task = await clickup.update_task(
            made.id, status="in progress", add_assignees=[2], remove_assignees=[1], clear=["due_date"]
        )

    assert (task.name, task.status, task.assignees) == ("Boxes", "in progress", [2])
    assert task.raw["due_date"] is None
    assert task.raw["priority"]["priority"] == "urgent"
    assert fake.ledger.count("task updated") == 1


async def test_what_cannot_be_emptied_is_refused_by_name(clickup: ClickUp) -> None:
    with pytest.raises(InvalidOption, match=r"'status'.*due_date"):
        await clickup.update_task("x", clear=["status"])


async def test_time_without_a_zone_is_refused(clickup: ClickUp) -> None:
    with pytest.raises(InvalidOption, match="no time zone"):
        await clickup.create_task("901", "Boxes", due_at=DUE.replace(tzinfo=None))


async def test_task_that_is_gone_is_deleted(clickup: ClickUp, fake: FakeClickUp) -> None:
    made = fake.create_task("901", "Boxes")

    await clickup.delete_task(made.id)
    await clickup.delete_task(made.id)

    assert fake.ledger.count("task deleted") == 1


async def test_tasks_come_in_pages_until_the_last(clickup: ClickUp, fake: FakeClickUp) -> None:
    made = [fake.create_task("901", f"Task {number}").id for number in range(PAGE + 1)]

    first = await clickup.list_tasks("901")
    second = await clickup.list_tasks("901", page=first.next_page or 0)

    assert (len(first.tasks), first.next_page, len(second.tasks), second.next_page) == (PAGE, 1, 1, None)
    assert [task.id for task in (*first.tasks, *second.tasks)] == made[::-1]


async def test_tasks_are_listed_by_what_is_asked_for(clickup: ClickUp, fake: FakeClickUp) -> None:
    plain = fake.create_task("901", "Plain").id
    done = fake.create_task("901", "Done", status="complete").id
    tagged = fake.create_task("901", "Tagged", tags=["a b", "c"], assignees=[7]).id
    part = fake.create_task("901", "Part", parent=plain).id
    old = fake.create_task("901", "Old", archived=True).id

    def ids(page: ClickUp.TaskPage) -> set[str]:
        return {task.id for task in page.tasks}

    assert ids(await clickup.list_tasks("901")) == {plain, tagged}
    assert ids(await clickup.list_tasks("901", closed=True, subtasks=True)) == {plain, done, tagged, part}
    assert ids(await clickup.list_tasks("901", tags=["a b", "z"])) == {tagged}
    assert ids(await clickup.list_tasks("901", statuses=["to do"], assignees=[7])) == {tagged}
    assert ids(await clickup.list_tasks("901", archived=True)) == {old}
    hour = timedelta(hours=1)
    assert ids(await clickup.list_tasks("901", updated_after=datetime.now(UTC) + hour)) == set()
    assert ids(await clickup.list_tasks("901", created_after=datetime.now(UTC) - hour)) == {plain, tagged}


async def test_tasks_of_a_workspace_are_found_by_custom_field(clickup: ClickUp, fake: FakeClickUp) -> None:
    one = fake.create_task("901", "One", custom_fields=[{"id": "f-2", "value": "red"}])
    two = fake.create_task("902", "Two", custom_fields=[{"id": "f-2", "value": "red"}])
    fake.create_task("902", "Three")

    found = await clickup.find_tasks(custom_fields={"f-2": "red"})
    elsewhere = await clickup.find_tasks(list_ids=["902"], custom_fields={"f-2": "red"})

    assert {task.id for task in found.tasks} == {one.id, two.id}
    assert [task.id for task in elsewhere.tasks] == [two.id]
    assert found.next_page is None


async def test_workspace_must_be_named_by_somebody(clickup: ClickUp, lent: GivenConnections) -> None:
    with_settings(lent, team="")

    with pytest.raises(InvalidOption, match="setting team"):
        await clickup.find_tasks()
