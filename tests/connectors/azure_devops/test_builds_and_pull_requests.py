"""Builds and pull requests, against the fake over a real socket."""

from __future__ import annotations

import pytest

from stepwell.connectors import AzureDevOps, VendorError, VendorRejected
from stepwell.testing.connections import GivenConnections
from stepwell.testing.vendors import FakeAzureDevOps
from tests.connectors.attempts import attempt
from tests.connectors.deliveries import event_of

HOOK = "https://hooks.example.com"


async def test_build_is_queued_and_its_end_is_told(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.subscribe("build.complete", HOOK)
    queued = await azure.queue_build(7, branch="refs/heads/topic", variables={"color": "red"})
    fake.finish_build(queued.id, result="failed")

    build = await azure.get_build(queued.id)
    event = event_of(AzureDevOps.BuildCompleted, "azure-devops", fake.outgoing.all[0].body)

    assert (queued.status, queued.result, queued.branch) == ("notStarted", None, "refs/heads/topic")
    assert '"color": "red"' in queued.raw["parameters"]
    assert (build.status, build.result) == ("completed", "failed")
    assert (event.payload.id, event.payload.result, event.payload.project) == (queued.id, "failed", "Shop")


async def test_queueing_whose_answer_is_lost_queues_one_build(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.queue_build(7, parameters="not even JSON")
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await azure.queue_build(7)
    fake.queue_build(7)

    with attempt(2):
        build = await azure.queue_build(7)

    assert build.id == 2
    assert fake.ledger.count("build queued") == 3


async def test_builds_are_listed_in_pages(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    for number in range(5):
        fake.queue_build(7)
        fake.queue_build(8, sourceBranch=f"refs/heads/{number}")

    first = await azure.list_builds(definitions=[7], limit=3)
    rest = await azure.list_builds(definitions=[7], limit=3, continuation=first.continuation)
    of_branch = await azure.list_builds(branch="refs/heads/4", status="notStarted")

    assert [one.id for one in first.builds + rest.builds] == [9, 7, 5, 3, 1]
    assert rest.continuation is None
    assert [one.id for one in of_branch.builds] == [10]


async def test_missing_build_and_pull_request_are_rejected(azure: AzureDevOps) -> None:
    with pytest.raises(VendorRejected, match="build 99"):
        await azure.get_build(99)
    with pytest.raises(VendorRejected, match="TF401180"):
        await azure.get_pull_request(99)


async def test_pull_requests_are_read_and_listed_in_pages(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    for number in range(3):
        fake.open_pull_request("shop", f"Change {number}")
    fake.open_pull_request("docs", "Words", target="next")
    fake.complete_pull_request(1)

    one = await azure.get_pull_request(1)
    first = await azure.list_pull_requests(limit=2)
    rest = await azure.list_pull_requests(limit=2, skip=first.next_skip or 0)
    of_shop = await azure.list_pull_requests(repository="shop", status="all")
    to_next = await azure.list_pull_requests(target="refs/heads/next")

    assert (one.title, one.status, one.repository, one.author) == ("Change 0", "completed", "shop", "Jamal Hartnett")
    assert [found.id for found in first.pull_requests + rest.pull_requests] == [4, 3, 2]
    assert rest.next_skip is None
    assert [found.id for found in of_shop.pull_requests] == [3, 2, 1]
    assert [found.id for found in to_next.pull_requests] == [4]


async def test_comment_on_a_pull_request_whose_answer_is_lost_is_made_once(
    azure: AzureDevOps, fake: FakeAzureDevOps
) -> None:
    fake.open_pull_request("shop", "Change")
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await azure.add_pull_request_comment("shop", 1, "Looks good", path="src/basket.py", line=7)

    with attempt(2):
        thread = await azure.add_pull_request_comment("shop", 1, "Looks good", path="src/basket.py", line=7)

    assert (thread.comments, thread.status) == (["Looks good"], "active")
    assert thread.raw["threadContext"]["filePath"] == "/src/basket.py"
    assert fake.ledger.count("pull request commented") == 1


async def test_fakes_git_events_are_read_as_the_vendors(lent: GivenConnections, fake: FakeAzureDevOps) -> None:
    for kind in ("git.push", "git.pullrequest.created", "git.pullrequest.updated"):
        fake.subscribe(kind, HOOK)
    push = fake.push("shop", branch="topic")
    fake.open_pull_request("shop", "Change")
    fake.complete_pull_request(1)

    pushed, created, updated = (sent.body for sent in fake.outgoing.all)

    push_event = event_of(AzureDevOps.GitPush, "azure-devops", pushed)
    assert push_event.payload.refs == ["refs/heads/topic"]
    assert push_event.subject == f"git.push:{push['repository']['id']}:1"
    assert event_of(AzureDevOps.PullRequestCreated, "azure-devops", created).payload.status == "active"
    assert event_of(AzureDevOps.PullRequestUpdated, "azure-devops", updated).payload.status == "completed"
