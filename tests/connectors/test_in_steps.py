"""Connectors in the steps of a workflow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stepwell import (
    App,
    DatabaseUnavailable,
    ExecutionFailed,
    InvalidOption,
    Retry,
    Status,
    Step,
    SyncStep,
    WebhookEvent,
)
from stepwell.app.lent import LentConnections
from stepwell.connectors import HttpConnector, action, action_key, may_be_a_repeat
from stepwell.core.connections import Connection
from stepwell.core.webhooks import Found
from stepwell.running import connected, current_connected
from stepwell.testing import running
from stepwell.testing.connections import GivenConnections, connection, lent_connections
from stepwell.testing.serving import served


class Example(HttpConnector):
    name = "example"
    title = "Example"
    base_url = "https://example.com"

    @action(repeat="safe")
    async def whoami(self) -> str:
        """Which token it was asked with."""
        answer = await self.request("GET", "/me", operation="whoami")
        return str(answer.json()["token"])


class Vendor:
    """Says who asked; and at first, as often as it is told to, that it is too busy."""

    busy = 0

    async def me(self, request: Request) -> Response:
        if self.busy:
            self.busy -= 1
            return Response(status_code=429, headers={"Retry-After": "600"})
        return JSONResponse({"token": request.headers["authorization"]})


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
async def lent(vendor: Vendor) -> AsyncIterator[None]:
    async with served(Starlette(routes=[Route("/me", vendor.me)])) as url:
        settings = {"base_url": url}
        async with lent_connections(
            connection("one", "example", settings=settings, token="t-one"),
            connection("two", "example", settings=settings, token="t-two"),
        ):
            yield


def event(connection: str | None) -> WebhookEvent:
    nobody = UUID(int=1)
    return WebhookEvent(
        nobody, "example", "thing.made", connection, datetime(2030, 1, 1, tzinfo=UTC), None, {}, {"n": 1}
    )


async def test_action_runs_in_a_step_with_the_connection_of_its_name(lent: None) -> None:
    app = App()

    @app.workflow
    async def flow(step: Step) -> str:
        return await step.run("ask", Example("one").whoami)

    async with running(app):
        assert await (await app.start(flow)).result() == "Bearer t-one"


@pytest.mark.parametrize("connection", ["one", "two"])
async def test_connection_whose_delivery_started_the_execution_is_used_by_default(lent: None, connection: str) -> None:
    app = App()

    @app.workflow
    async def flow(event: WebhookEvent, step: Step) -> str:
        return await step.run("ask", Example().whoami)

    @app.workflow
    def plain_flow(event: WebhookEvent, step: SyncStep) -> str:
        return step.run("ask", Example().whoami)

    async with running(app):
        for workflow in (flow, plain_flow):
            assert await (await app.start(workflow, event(connection))).result() == f"Bearer t-{connection}"


@pytest.mark.parametrize("connection", ["one", "two"])
async def test_execution_acts_for_the_same_account_after_a_crash(lent: None, connection: str) -> None:
    """F105: on whose behalf it runs is part of its input, and not of the process that accepted it."""
    app = App()

    @app.workflow
    async def flow(event: WebhookEvent, step: Step) -> list[str]:
        before = await step.run("before", Example().whoami)
        await step.sleep("night", "8h")
        return [before, await step.run("after", Example().whoami)]

    async with running(app) as lab:
        handle = await app.start(flow, event(connection))
        await lab.settle()
        await lab.crash()
        await lab.advance("8h")

        assert await handle.result() == [f"Bearer t-{connection}"] * 2


async def test_workflow_started_by_no_delivery_has_no_default_connection(lent: None) -> None:
    app = App()

    @app.workflow
    async def flow(event: WebhookEvent, step: Step) -> str:
        return await step.run("ask", Example().whoami)

    async with running(app):
        with pytest.raises(ExecutionFailed, match="names no connection"):
            await (await app.start(flow, event(None))).result()


async def test_limited_step_gives_everything_back_and_the_listing_says_why(lent: None, vendor: Vendor) -> None:
    app, vendor.busy = App(), 1

    @app.workflow
    async def flow(step: Step) -> str:
        return await step.run("ask", Example("one").whoami)

    async with running(app) as lab:
        handle = await app.start(flow)
        await lab.settle()
        seen = await app.get(handle.id)

        assert seen.status is Status.PENDING
        assert seen.due_at == lab.now + timedelta(minutes=10)
        assert seen.why is not None
        assert "Example limits connection 'one'" in seen.why
        assert await app.steps(handle.id) == []  # no attempt is used up


class Refusing(GivenConnections):
    """Lends a connection once it has raised the error."""

    def __init__(self, given: Mapping[str, Connection], error: Exception) -> None:
        super().__init__(given)
        self.errors = [error]

    async def use(self, name: str) -> Connection:
        if self.errors:
            raise self.errors.pop()
        return await super().use(name)


@pytest.mark.parametrize(
    "error", [psycopg.errors.QueryCanceled("canceling statement due to user request"), DatabaseUnavailable("gone")]
)
async def test_step_whose_connection_cannot_be_read_now_has_lost_no_attempt(lent: None, error: Exception) -> None:
    """F22"""
    app, known = App(), current_connected()
    refusing = Refusing({"one": await known.connections.use("one")}, error)
    before = connected.set(replace(known, connections=LentConnections(lambda: refusing)))

    @app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(1)).run("ask", Example("one").whoami)

    async with running(app) as lab:
        handle = await app.start(flow)
        await lab.settle()
        await lab.advance("1m")

        assert await handle.result() == "Bearer t-one"
    connected.reset(before)
    assert refusing.errors == []


async def test_workflow_reaches_the_hosts_of_its_egress_only(lent: None) -> None:
    app = App()

    @app.workflow(egress=["api.example.org", "*.example.net"])
    async def walled(step: Step) -> str:
        return await step.run("ask", Example("one").whoami)

    @app.workflow(egress=["127.0.*"])
    async def opened(step: Step) -> str:
        return await step.run("ask", Example("one").whoami)

    async with running(app):
        with pytest.raises(ExecutionFailed, match=r"'127\.0\.0\.1'.*api\.example\.org, \*\.example\.net"):
            await (await app.start(walled)).result()
        assert await (await app.start(opened)).result() == "Bearer t-one"


@pytest.mark.parametrize("egress", ["api.example.com", [""], ["a b"], ["http://x/y"], [1]])
def test_egress_that_is_no_list_of_hosts_is_refused(egress: list[str]) -> None:
    with pytest.raises(InvalidOption, match="is no list of hosts"):
        App().workflow(egress=egress)(lambda: None)


async def test_actions_of_one_step_have_keys_of_their_own_that_stay(lent: None) -> None:
    app, keys = App(), []

    @app.workflow
    async def flow(step: Step) -> None:
        async def twice() -> None:
            keys.append((action_key("create"), action_key("create"), action_key("comment"), may_be_a_repeat()))
            if len(keys) == 1:
                raise ValueError("again")

        await step.run("twice", twice)

    async with running(app):
        await (await app.start(flow)).result()

    first, second = keys
    assert first[:3] == second[:3]
    assert len(set(first[:3])) == 3
    assert (first[3], second[3]) == (False, True)


def test_every_call_outside_a_step_has_a_new_key() -> None:
    assert action_key("create") != action_key("create")
    assert not may_be_a_repeat()


async def nothing_found(cursor: str | None) -> Found:
    return Found(cursor=cursor or "")


def test_trigger_is_for_its_connection_and_may_ask_for_lost_events() -> None:
    trigger = Example("one").trigger("thing.made", reconcile="15m", find=nothing_found)

    assert (trigger.source, trigger.types, trigger.connection) == ("example", ("thing.made",), "one")
    assert trigger.reconcile is not None
    assert trigger.reconcile.find is nothing_found


def test_trigger_that_cannot_ask_for_lost_events_says_so() -> None:
    with pytest.raises(InvalidOption, match="name a connection"):
        Example().trigger("thing.made", reconcile="15m", find=nothing_found)
    with pytest.raises(InvalidOption, match="Example cannot be asked"):
        Example("one").trigger("thing.made", reconcile="15m")
    with pytest.raises(InvalidOption, match="reconcile"):
        Example("one").trigger("thing.made", reconcile="now and then", find=nothing_found)
