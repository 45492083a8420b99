"""Typed events of published deliveries, the triggers for them, and deliveries that were lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwell.connectors import GitHub
from stepwell.core.triggers import WebhookTrigger
from stepwell.core.webhooks import Found, FoundEvent
from stepwell.errors import InvalidOption, InvalidValue
from stepwell.sources import Request, Verified, source_named, verify
from stepwell.testing.connections import GivenConnections, connection
from stepwell.testing.vendors import FakeGitHub
from tests.connectors.deliveries import SAMPLES, envelope_of, event_of
from tests.connectors.github.conftest import HOOK, SHOP


def event(kind: Any, name: str) -> Any:
    body = (SAMPLES / "github" / f"{name}.json").read_bytes()
    return event_of(kind, "github", body, {"X-GitHub-Event": name.partition(".")[0], "X-GitHub-Delivery": "a-guid"})


@pytest.mark.parametrize(("name", "action"), [("issues.opened", "opened"), ("issues.labeled", "labeled")])
def test_issue_is_read(name: str, action: str) -> None:
    raised = event(GitHub.IssueEvent, name)

    assert raised.type == name
    assert (raised.payload.action, raised.payload.state) == (action, "open")
    assert raised.payload.number == raised.raw["issue"]["number"]
    assert raised.payload.repository == raised.raw["repository"]["full_name"]
    assert raised.payload.sender == raised.raw["sender"]["login"]
    assert raised.payload.updated_at.tzinfo is not None


def test_comment_is_read() -> None:
    raised = event(GitHub.IssueCommentEvent, "issue_comment.created")

    assert raised.payload.body == raised.raw["comment"]["body"]
    assert raised.payload.number == raised.raw["issue"]["number"]
    assert raised.payload.is_pull_request is ("pull_request" in raised.raw["issue"])


def test_pull_request_is_read() -> None:
    opened = event(GitHub.PullRequestEvent, "pull_request.opened").payload
    closed = event(GitHub.PullRequestEvent, "pull_request.closed")

    assert (opened.action, opened.state, opened.is_merged) == ("opened", "open", False)
    assert opened.base
    assert closed.payload.is_merged is bool(closed.raw["pull_request"]["merged_at"])
    assert closed.payload.state == "closed"


def test_push_is_read() -> None:
    raised = event(GitHub.PushEvent, "push")

    assert raised.payload.ref == raised.raw["ref"]
    assert raised.payload.commits == [commit["id"] for commit in raised.raw["commits"]]
    assert raised.payload.is_deleted is raised.raw["deleted"]


def test_release_and_run_are_read() -> None:
    release = event(GitHub.ReleaseEvent, "release.published")
    run = event(GitHub.WorkflowRunEvent, "workflow_run.completed")

    assert release.payload.tag == release.raw["release"]["tag_name"]
    assert (run.payload.id, run.payload.action) == (run.raw["workflow_run"]["id"], "completed")
    assert (run.payload.status, run.payload.conclusion) == (
        run.raw["workflow_run"]["status"],
        run.raw["workflow_run"]["conclusion"],
    )


def test_event_of_another_kind_does_not_fit() -> None:
    with pytest.raises(InvalidValue, match="does not fit"):
        event(GitHub.IssueEvent, "push")


def test_triggers_are_by_event_and_action() -> None:
    github = GitHub("acme")

    assert github.on_issue_opened() == WebhookTrigger("github", ("issues.opened",), "acme")
    assert github.on_pull_request("opened", "reopened") == WebhookTrigger(
        "github", ("pull_request.opened", "pull_request.reopened"), "acme"
    )
    assert github.on_issue().types == ("issues.*",)
    assert github.on_push(id="pushes") == WebhookTrigger("github", ("push",), "acme", "pushes")
    assert github.on_event("star").types == ("star", "star.*")
    assert github.on_event("star", "created").types == ("star.created",)


def test_fakes_events_are_signed_and_read_as_the_vendors(fake: FakeGitHub) -> None:
    fake.add_webhook(SHOP, HOOK, secret="s3cret")
    issue = fake.open_issue(SHOP, "Broken")
    fake.add_comment(SHOP, issue["number"], "Seen")
    fake.open_pull_request(SHOP, "Change", head="topic")
    fake.merge_pull_request(SHOP, 2)
    fake.push(SHOP)
    fake.publish_release(SHOP, "v1.0")
    kinds: list[Any] = [
        GitHub.IssueEvent,
        GitHub.IssueCommentEvent,
        GitHub.PullRequestEvent,
        GitHub.PullRequestEvent,
        GitHub.PushEvent,
        GitHub.ReleaseEvent,
    ]

    for kind, sent in zip(kinds, fake.outgoing.all, strict=True):
        request = Request.post(sent.headers, sent.body)
        assert isinstance(verify(source_named("github"), request, [b"s3cret"], now=fake.now()), Verified)
        read = event_of(kind, "github", sent.body, sent.headers)
        assert (read.type, read.payload.repository) == (sent.type, SHOP)


@pytest.fixture
def watched(lent: GivenConnections, fake: FakeGitHub) -> GitHub:
    """A connection that says which webhook is to be asked for lost deliveries."""
    hook = fake.add_webhook(SHOP, HOOK, secret="s3cret")
    settings = {**lent.given["acme"].settings, "webhook_id": str(hook.id), "repository": SHOP}
    lent.given["acme"] = connection("acme", "github", settings=settings, token="ghp_1")
    return GitHub("acme")


async def test_lost_delivery_is_found_with_its_identity_and_body(watched: GitHub, fake: FakeGitHub) -> None:
    start = await watched.find_lost(None)
    taken, lost = fake.open_issue(SHOP, "Taken"), fake.open_issue(SHOP, "Lost")
    fake.outgoing.all[0].answered(202, 1)

    found = await watched.find_lost(start.cursor)

    [event] = found.events
    sent = fake.outgoing.all[1]
    assert event.envelope == envelope_of("github", sent.body, sent.headers)
    assert event.envelope.dedupe_key == sent.id
    assert json.loads(event.body) == json.loads(sent.body)
    assert taken["id"] != lost["id"] == json.loads(event.body)["issue"]["id"]


async def test_delivery_that_was_sent_again_well_is_not_lost(watched: GitHub, fake: FakeGitHub) -> None:
    start = await watched.find_lost(None)
    fake.open_issue(SHOP, "Late")
    fake.outgoing.all[0].answered(500, 1)
    [hook] = fake.hooks.values()
    await watched.redeliver(SHOP, hook.id, hook.deliveries[0]["id"])
    fake.outgoing.all[1].answered(202, 1)

    assert (await watched.find_lost(start.cursor)).events == []


async def test_every_page_is_looked_through(watched: GitHub, fake: FakeGitHub) -> None:
    start = await watched.find_lost(None)
    for _ in range(130):
        fake.push(SHOP)
    for sent in fake.outgoing.all[5:]:
        sent.answered(200, 1)

    found = await watched.find_lost(start.cursor)

    assert [one.envelope.dedupe_key for one in found.events] == [sent.id for sent in fake.outgoing.all[:5]]


async def test_trigger_finds_only_its_own_events(watched: GitHub, fake: FakeGitHub) -> None:
    trigger = watched.on_issue_opened(reconcile="15m")
    assert trigger.reconcile is not None
    start: Found = await trigger.reconcile.find(None)
    fake.push(SHOP)
    fake.open_issue(SHOP, "Lost")

    found: list[FoundEvent] = (await trigger.reconcile.find(start.cursor)).events

    assert [one.envelope.type for one in found] == ["issues.opened"]


async def test_connection_has_to_say_which_webhook_to_ask(github: GitHub) -> None:
    with pytest.raises(InvalidOption, match="webhook_id"):
        await github.find_lost("2030-01-01T00:00:00+00:00")
