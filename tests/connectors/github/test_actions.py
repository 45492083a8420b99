"""Actions on issues, pull requests, releases, runs and webhooks, against the fake over a real socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell.connectors import GitHub, VendorError, VendorRejected
from stepwell.connectors.github.issues import PAGE
from stepwell.errors import InvalidOption
from stepwell.testing.vendors import FakeGitHub
from tests.connectors.attempts import attempt
from tests.connectors.github.conftest import BIG, HOOK, SHOP

CREATIONS: dict[str, tuple[str, Callable[[GitHub], Awaitable[Any]]]] = {
    "issue": ("issue created", lambda github: github.create_issue(SHOP, "Once", body="All of it")),
    "comment": ("comment created", lambda github: github.add_comment(SHOP, 1, "Once")),
    "pull request": (
        "pull request created",
        lambda github: github.create_pull_request(SHOP, "Once", head="topic", base="main"),
    ),
    "release": ("release created", lambda github: github.create_release(SHOP, "v1.0", body="Notes")),
    "draft": ("release created", lambda github: github.create_release(SHOP, "v1.0", is_draft=True)),
    "run": (
        "workflow dispatched",
        lambda github: github.dispatch_workflow(SHOP, "deploy.yml", ref="main", inputs={"environment": "test"}),
    ),
    "webhook": (
        "webhook created",
        lambda github: github.create_webhook(SHOP, HOOK, secret="s3cret", events=["issues", "push"]),
    ),
}


@pytest.mark.parametrize("name", CREATIONS)
async def test_creation_whose_answer_is_lost_makes_one(github: GitHub, fake: FakeGitHub, name: str) -> None:
    effect, create = CREATIONS[name]
    fake.open_issue(SHOP, "The one that is commented on")
    before = fake.ledger.count(effect)
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await create(github)
    with attempt(2):
        found = await create(github)
    with attempt(3):
        again = await create(github)

    assert fake.ledger.count(effect) == before + 1
    assert found == again


@pytest.mark.parametrize("name", CREATIONS)
async def test_creation_that_did_not_happen_is_made_by_the_repeat(github: GitHub, fake: FakeGitHub, name: str) -> None:
    effect, create = CREATIONS[name]
    fake.open_issue(SHOP, "The one that is commented on")
    before = fake.ledger.count(effect)
    fake.switches.drop()
    with attempt(1), pytest.raises(VendorError):
        await create(github)

    with attempt(2):
        await create(github)

    assert fake.ledger.count(effect) == before + 1


async def test_two_creations_of_one_step_are_two(github: GitHub, fake: FakeGitHub) -> None:
    with attempt(1):
        first, second = await github.create_issue(SHOP, "Same"), await github.create_issue(SHOP, "Same")
    with attempt(2):
        again = await github.create_issue(SHOP, "Same"), await github.create_issue(SHOP, "Same")

    assert [one.number for one in again] == [first.number, second.number]


async def test_issue_is_created_read_and_changed(github: GitHub) -> None:
    made = await github.create_issue(SHOP, "Broken", body="Every time", labels=["bug"], assignees=["ada"])
    closed = await github.update_issue(
        SHOP, made.number, state="closed", state_reason="completed", labels=["bug", "p1"]
    )
    read = await github.get_issue(SHOP, made.number)

    assert made.id >= BIG
    assert (made.title, made.state, made.labels, made.author) == ("Broken", "open", ["bug"], "octocat")
    assert made.body.startswith("Every time\n\n<!-- stepwell:")
    assert (closed.state, closed.labels) == ("closed", ["bug", "p1"])
    assert read == closed
    assert read.raw["state_reason"] == "completed"


async def test_issues_are_listed_in_pages_without_pull_requests(github: GitHub, fake: FakeGitHub) -> None:
    for number in range(5):
        fake.open_issue(SHOP, f"Issue {number}", labels=["bug"] if number else [])
    fake.open_pull_request(SHOP, "Change", head="topic")

    first = await github.list_issues(SHOP, limit=3)
    rest = await github.list_issues(SHOP, limit=3, page=first.next_page or 0)
    labelled = await github.list_issues(SHOP, labels=["bug"])

    assert [one.number for one in first.issues + rest.issues] == [5, 4, 3, 2, 1]
    assert rest.next_page is None
    assert len(labelled.issues) == 4


async def test_comments_are_found_on_later_pages(github: GitHub, fake: FakeGitHub) -> None:
    fake.open_issue(SHOP, "Popular")
    for number in range(PAGE + 5):
        fake.add_comment(SHOP, 1, f"Comment {number}")
    with attempt(1):
        made = await github.add_comment(SHOP, 1, "Ours")

    with attempt(2):
        assert await github.add_comment(SHOP, 1, "Ours") == made

    page = await github.list_comments(SHOP, 1, page=2)
    assert (len(page.comments), page.next_page) == (6, None)
    assert made.id >= BIG


async def test_pull_requests_are_read_and_listed(github: GitHub, fake: FakeGitHub) -> None:
    made = await github.create_pull_request(SHOP, "Change", head="topic", base="main", is_draft=True)
    fake.open_pull_request(SHOP, "Another", head="other")
    fake.merge_pull_request(SHOP, made.number)

    read = await github.get_pull_request(SHOP, made.number)
    still_open = await github.list_pull_requests(SHOP)
    every = await github.list_pull_requests(SHOP, state="all", limit=1)

    assert (read.head, read.base, read.is_draft) == ("topic", "main", True)
    assert (read.state, read.is_merged) == ("closed", True)
    assert [one.title for one in still_open.pull_requests] == ["Another"]
    assert every.next_page == 2


async def test_second_pull_request_of_a_branch_is_rejected_in_the_vendors_words(github: GitHub) -> None:
    await github.create_pull_request(SHOP, "First", head="topic", base="main")

    with pytest.raises(VendorRejected, match="already exists for octo-org:topic") as rejected:
        await github.create_pull_request(SHOP, "Second", head="topic", base="main")
    assert (rejected.value.status, rejected.value.code) == (422, "custom")


async def test_releases_are_read_by_tag_and_listed(github: GitHub) -> None:
    made = await github.create_release(SHOP, "v1.0/rc", name="First", body="Notes", is_prerelease=True)
    await github.create_release(SHOP, "v1.0", is_draft=True)

    read = await github.get_release(SHOP, "v1.0/rc")
    every = await github.list_releases(SHOP)

    assert read == made
    assert (made.name, made.is_prerelease, made.is_draft) == ("First", True, False)
    assert [one.tag for one in every.releases] == ["v1.0", "v1.0/rc"]
    with pytest.raises(VendorRejected, match="already_exists"):
        await github.create_release(SHOP, "v1.0/rc")


async def test_dispatched_workflow_says_which_run_it_is(github: GitHub, fake: FakeGitHub) -> None:
    dispatched = await github.dispatch_workflow(SHOP, "deploy.yml", ref="main", inputs={"environment": "test"})
    assert dispatched.run_id is not None
    fake.finish_run(dispatched.run_id, conclusion="failure")

    run = await github.get_workflow_run(SHOP, dispatched.run_id)

    assert (run.status, run.conclusion, run.branch) == ("completed", "failure", "main")
    assert run.title.startswith("deploy.yml test ")


async def test_workflow_has_to_take_our_key(github: GitHub, fake: FakeGitHub) -> None:
    fake.workflows["old.yml"] = {"environment"}

    with pytest.raises(VendorRejected, match="stepwell_key"):
        await github.dispatch_workflow(SHOP, "old.yml", ref="main")
    with pytest.raises(InvalidOption, match="where our key goes"):
        await github.dispatch_workflow(SHOP, "deploy.yml", ref="main", inputs={"stepwell_key": "mine"})


async def test_webhook_sends_signed_and_can_send_again(github: GitHub, fake: FakeGitHub) -> None:
    hook = await github.create_webhook(SHOP, HOOK, secret="s3cret", events=["issues"])
    fake.push(SHOP)
    fake.open_issue(SHOP, "Told of")
    [sent] = fake.outgoing.all
    sent.answered(500, 1)

    [failed] = (await github.list_deliveries(SHOP, hook.id)).deliveries
    await github.redeliver(SHOP, hook.id, failed.id)

    assert (hook.url, hook.events, hook.is_active) == (HOOK, ["issues"], True)
    assert (failed.event, failed.action, failed.status, failed.is_good) == ("issues", "opened", 500, False)
    first, second = fake.outgoing.all
    assert (first.id, first.body, first.headers) == (second.id, second.body, second.headers)
    assert first.headers["X-Hub-Signature-256"].startswith("sha256=")
    assert (await github.list_deliveries(SHOP, hook.id)).deliveries[0].is_redelivery


async def test_deliveries_are_listed_in_pages(github: GitHub, fake: FakeGitHub) -> None:
    hook = fake.add_webhook(SHOP, HOOK, secret="s")
    for _ in range(5):
        fake.push(SHOP)

    first = await github.list_deliveries(SHOP, hook.id, limit=3)
    rest = await github.list_deliveries(SHOP, hook.id, limit=3, cursor=first.next_cursor)

    ids = [one.id for one in first.deliveries + rest.deliveries]
    assert ids == [one["id"] for one in reversed(hook.deliveries)]
    assert rest.next_cursor is None


@pytest.mark.parametrize("repository", ["shop", "octo-org/shop/issues", "octo-org/../user", "../..", "a b/c", ""])
async def test_repository_cannot_lead_elsewhere(github: GitHub, repository: str) -> None:
    with pytest.raises(InvalidOption, match="owner/name"):
        await github.get_issue(repository, 1)


async def test_what_is_not_there_is_rejected(github: GitHub) -> None:
    with pytest.raises(VendorRejected, match="Not Found"):
        await github.get_issue(SHOP, 99)
    with pytest.raises(VendorRejected, match="Not Found"):
        await github.get_issue("octo-org/other", 1)
