"""Actions on comments, custom fields, tags and places, against the fake over a real socket."""

from __future__ import annotations

import pytest

from stepwell.connectors import ClickUp, VendorError, VendorRejected
from stepwell.errors import InvalidOption
from stepwell.testing.vendors import FakeClickUp
from stepwell.testing.vendors.clickup.comments import PAGE
from tests.connectors.attempts import attempt
from tests.connectors.clickup.conftest import BIG


async def test_comment_whose_answer_is_lost_is_written_once(clickup: ClickUp, fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await clickup.add_comment(task.id, "done")

    for number in range(PAGE + 1):
        fake.comment(task.id, f"later {number}")
    with attempt(2):
        comment = await clickup.add_comment(task.id, "done")

    assert comment.text.startswith("done\n\nstepwell-")
    assert len(task.comments) == PAGE + 2


async def test_new_comment_has_its_exact_id(clickup: ClickUp, fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")

    comment = await clickup.add_comment(task.id, "done", assignee=183)

    assert int(comment.id) > BIG
    assert [one.id for one in await clickup.list_comments(task.id)] == [comment.id]
    assert comment.created_at is not None


async def test_comments_come_all_the_newest_first(clickup: ClickUp, fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")
    for number in range(PAGE * 2):
        fake.comment(task.id, str(number))

    comments = await clickup.list_comments(task.id)

    assert [comment.text for comment in comments] == [str(number) for number in reversed(range(PAGE * 2))]
    assert comments[0].author == "Ada Example"


async def test_comment_is_changed_and_deleted_as_often_as_asked(clickup: ClickUp, fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")
    comment = await clickup.add_comment(task.id, "done")

    await clickup.update_comment(comment.id, "not done", resolved=True)
    await clickup.update_comment(comment.id, "not done", resolved=True)
    changed = (await clickup.list_comments(task.id))[0]
    await clickup.delete_comment(comment.id)
    await clickup.delete_comment(comment.id)

    assert (changed.text, changed.raw["resolved"]) == ("not done", True)
    assert await clickup.list_comments(task.id) == []
    with pytest.raises(VendorRejected, match="Comment not found"):
        await clickup.update_comment(comment.id, "again")


async def test_custom_fields_are_listed_set_and_cleared(clickup: ClickUp, fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")

    fields = [(one.id, one.name, one.type) for one in await clickup.list_custom_fields("901")]
    await clickup.set_custom_field(task.id, "f-2", "red")
    was_set = (await clickup.get_task(task.id)).custom_field("f-2")
    await clickup.clear_custom_field(task.id, "f-2")
    await clickup.clear_custom_field(task.id, "f-2")

    assert fields == [("f-1", "Key", "short_text"), ("f-2", "Colour", "short_text")]
    assert was_set == "red"
    assert (await clickup.get_task(task.id)).custom_field("f-2") is None


async def test_tag_is_there_or_not_however_often_it_is_asked_for(clickup: ClickUp, fake: FakeClickUp) -> None:
    task = fake.create_task("901", "Boxes")

    await clickup.add_tag(task.id, "a b")
    await clickup.add_tag(task.id, "a b")
    assert (await clickup.get_task(task.id)).tags == ["a b"]
    await clickup.remove_tag(task.id, "a b")
    await clickup.remove_tag(task.id, "a b")
    assert (await clickup.get_task(task.id)).tags == []


async def test_places_are_found_from_the_workspace_down(clickup: ClickUp) -> None:
    (space,) = await clickup.list_spaces()
    (folder,) = await clickup.list_folders(space.id)
    lists = await clickup.list_lists(folder_id=folder.id)

    assert [(one.id, one.name) for one in lists] == [("901", "Inbox"), ("902", "Later")]
    assert await clickup.list_lists(space_id=space.id) == []
    assert (await clickup.get_list("901")).statuses == ["to do", "in progress", "complete"]
    assert await clickup.list_spaces(archived=True) == []


async def test_lists_are_those_of_one_place(clickup: ClickUp) -> None:
    with pytest.raises(InvalidOption, match="either a space_id or a folder_id"):
        await clickup.list_lists()


async def test_check_says_who_we_are(clickup: ClickUp) -> None:
    assert await clickup.check() == "Ada Example"
