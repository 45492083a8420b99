"""Actions on work items, against the fake over a real socket."""

from __future__ import annotations

import pytest

from stepwell.connectors import AzureDevOps, VendorError, VendorRejected
from stepwell.connectors.azure_devops.work_items import BATCH, COMMENTS_PAGE
from stepwell.errors import InvalidOption
from stepwell.testing.connections import GivenConnections, connection
from stepwell.testing.vendors import FakeAzureDevOps
from tests.connectors.attempts import attempt
from tests.connectors.azure_devops.conftest import BIG


async def test_work_item_is_read_with_its_exact_number(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.create_work_item("Bug", "The basket forgets its last item", fields={"System.Tags": "basket; shop"})

    item = await azure.get_work_item(BIG)

    assert (item.id, item.rev, item.type, item.state, item.project) == (BIG, 1, "Bug", "New", "Shop")
    assert item.title == "The basket forgets its last item"
    assert item.tags == ["basket", "shop"]
    assert item.changed_at is not None
    assert item.web_url is not None
    assert item.raw["fields"]["System.CreatedBy"]["displayName"] == "Jamal Hartnett"


async def test_work_item_that_is_not_there_is_rejected_in_the_vendors_words(azure: AzureDevOps) -> None:
    with pytest.raises(VendorRejected, match="TF401232") as rejected:
        await azure.get_work_item(7)
    assert (rejected.value.status, rejected.value.code) == (404, "WorkItemUnauthorizedAccessException")


async def test_created_work_item_has_its_fields_and_our_key(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    parent = fake.create_work_item("Epic", "Baskets")

    item = await azure.create_work_item(
        "User Story", "Remember it", description="<p>all</p>", fields={"System.Tags": "basket"}, parent=parent.id
    )

    assert (item.type, item.title, item.description) == ("User Story", "Remember it", "<p>all</p>")
    assert item.tags[0] == "basket"
    assert item.tags[1].startswith("stepwell-")
    assert fake.items[item.id].relations[0]["url"].endswith(f"/workItems/{parent.id}")


async def test_creation_whose_answer_is_lost_makes_one_work_item(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await azure.create_work_item("Bug", "Once")

    with attempt(2):
        item = await azure.create_work_item("Bug", "Once")

    assert fake.ledger.count("work item created") == 1
    assert item.title == "Once"


async def test_two_creations_of_one_step_are_two_and_repeat_as_two(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    with attempt(1):
        first = await azure.create_work_item("Bug", "Same title")
        second = await azure.create_work_item("Bug", "Same title")
    with attempt(2):
        again = await azure.create_work_item("Bug", "Same title"), await azure.create_work_item("Bug", "Same title")

    assert [one.id for one in again] == [first.id, second.id]
    assert fake.ledger.count("work item created") == 2


async def test_key_goes_into_the_field_that_the_connection_names(
    azure: AzureDevOps, fake: FakeAzureDevOps, lent: GivenConnections
) -> None:
    settings = {**lent.given["acme"].settings, "key_field": "Custom.Key"}
    lent.given["acme"] = connection("acme", "azure-devops", settings=settings, pat="pat-1")
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await azure.create_work_item("Bug", "Once")

    with attempt(2):
        item = await azure.create_work_item("Bug", "Once")

    assert fake.ledger.count("work item created") == 1
    assert (item.tags, item.fields["Custom.Key"][:9]) == ([], "stepwell-")


async def test_project_has_to_be_named_somewhere(azure: AzureDevOps, lent: GivenConnections) -> None:
    settings = {name: text for name, text in lent.given["acme"].settings.items() if name != "project"}
    lent.given["acme"] = connection("acme", "azure-devops", settings=settings, pat="pat-1")

    with pytest.raises(InvalidOption, match="name a project"):
        await azure.create_work_item("Bug", "Nowhere")
    assert (await azure.create_work_item("Bug", "Here", project="Shop")).project == "Shop"


async def test_batch_keeps_order_leaves_out_the_missing_and_goes_in_parts(
    azure: AzureDevOps, fake: FakeAzureDevOps
) -> None:
    made = [fake.create_work_item("Task", f"Task {number}").id for number in range(BATCH + 5)]

    items = await azure.get_work_items([made[-1], 7, *made, made[0]], fields=["System.Title"])

    assert [item.id for item in items] == [made[-1], *made[:-1]]
    assert items[0].fields == {"System.Title": f"Task {BATCH + 4}"}
    assert sum(line.endswith("/workitemsbatch") for line in fake.asked) == 2


async def test_query_finds_numbers(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.create_work_item("Bug", "One")
    fake.create_work_item("Task", "Two")
    fake.create_work_item("Bug", "Three")

    found = await azure.query(
        "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.WorkItemType] = 'Bug'"
        " ORDER BY [System.Id] DESC"
    )
    first = await azure.query("SELECT [System.Id] FROM WorkItems", top=1)

    assert found.ids == [BIG + 2, BIG]
    assert first.ids == [BIG]


async def test_wrong_query_is_rejected(azure: AzureDevOps) -> None:
    with pytest.raises(VendorRejected, match="TF51006") as rejected:
        await azure.query("find me everything")
    assert rejected.value.status == 400


async def test_update_sets_and_removes_fields(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    item = fake.create_work_item("Bug", "Old", fields={"System.AssignedTo": "Ada", "System.Tags": "x"})

    updated = await azure.update_work_item(item.id, {"System.Title": "New", "System.AssignedTo": None}, rev=1)

    assert (updated.rev, updated.title, updated.assigned_to, updated.tags) == (2, "New", None, ["x"])


async def test_update_of_an_older_revision_changes_nothing(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    item = fake.create_work_item("Bug", "Old")
    fake.update_work_item(item.id, {"System.Title": "Theirs"})

    with attempt(2), pytest.raises(VendorRejected, match="VS403351") as rejected:
        await azure.update_work_item(item.id, {"System.Title": "Ours"}, rev=1)

    assert rejected.value.status == 412
    assert fake.items[item.id].fields["System.Title"] == "Theirs"


async def test_update_whose_answer_is_lost_is_found_again(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    item = fake.create_work_item("Bug", "Old")
    fake.switches.drop_after_commit()
    values = {"System.Title": "Ours", "System.History": "renamed"}
    with attempt(1), pytest.raises(VendorError):
        await azure.update_work_item(item.id, values, rev=1)
    fake.update_work_item(item.id, {"System.State": "Active"})

    with attempt(2):
        updated = await azure.update_work_item(item.id, values, rev=1)

    assert (updated.rev, updated.title, updated.state) == (3, "Ours", "Active")
    assert fake.ledger.count("work item updated") == 2


async def test_comment_as_a_field_needs_a_revision(azure: AzureDevOps) -> None:
    with pytest.raises(InvalidOption, match="add_comment"):
        await azure.update_work_item(BIG, {"System.History": "twice?"})


async def test_comment_whose_answer_is_lost_is_made_once(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    item = fake.create_work_item("Bug", "Commented")
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await azure.add_comment(item.id, "Done in <b>ClickUp</b>")
    for number in range(COMMENTS_PAGE + 1):
        fake.comment_on_work_item(item.id, f"Comment {number}")

    with attempt(2):
        comment = await azure.add_comment(item.id, "Done in <b>ClickUp</b>")

    assert comment.text.startswith("Done in <b>ClickUp</b>")
    assert (comment.work_item_id, comment.author) == (item.id, "Jamal Hartnett")
    assert fake.ledger.count("work item commented") == COMMENTS_PAGE + 2
    assert len(await azure.list_comments(item.id)) == COMMENTS_PAGE + 2


async def test_comment_finds_the_project_of_its_work_item(
    azure: AzureDevOps, fake: FakeAzureDevOps, lent: GivenConnections
) -> None:
    settings = {name: text for name, text in lent.given["acme"].settings.items() if name != "project"}
    lent.given["acme"] = connection("acme", "azure-devops", settings=settings, pat="pat-1")
    item = fake.create_work_item("Bug", "Commented")

    await azure.add_comment(item.id, "Hello")

    assert fake.ledger.count("work item commented") == 1
