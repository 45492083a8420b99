"""Executions whose account is refused park, hold nothing, and go on when it is connected again: real workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from stepwell import App, NeedsReauthorisation, Status, Step, StepRecord
from stepwell.app.follow import Stepped, Waits, follow
from stepwell.core.model import ExecutionId
from stepwell.running import current_connected
from stepwell.sealing import new_key
from stepwell.store.base import Backend
from stepwell.store.memory import MemoryStore
from tests.store.world import SIGNAL_SECONDS
from tests.vault.office import agreed
from tests.vault.vendor import CANARY, Vendor

BACK = "https://example.com/oauth/callback"


@pytest.fixture(params=["memory", "postgres"])
def database(request: pytest.FixtureRequest) -> str | Backend:
    is_memory = request.param == "memory"
    return MemoryStore() if is_memory else str(request.getfixturevalue("database_url"))


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    monkeypatch.setenv("STEPWELL_EGRESS_ALLOW", "127.0.0.1")


async def token_of(name: str) -> str:
    """What a connector does first. The end of the token, for a Secret is not stored."""
    return (await current_connected().connections.use(name)).secrets["token"].reveal()[:8]


@asynccontextmanager
async def crm(database: str | Backend, vendor: Vendor) -> AsyncIterator[App]:
    """An app with an application at the vendor, and a connection that was never connected."""
    app = App(database)
    async with app:
        settings = {
            "client_id": "me",
            "authorize_url": f"{vendor.url}/authorize",
            "token_url": f"{vendor.url}/token",
            "redirect_uri": BACK,
        }
        await app.applications.add("app", "example", settings=settings, secrets={"client_secret": f"secret-{CANARY}"})
        await app.connections.add("acme", "example", application="app")
        yield app


async def connect(app: App, name: str = "acme") -> None:
    consent = await app.connections.authorise(name)
    await app.connections.complete(await agreed(consent.url))


async def parked(app: App, execution_id: UUID) -> str:
    """Why it waits, once it does."""
    async with asyncio.timeout(SIGNAL_SECONDS):
        async for news in follow(await app.open(), ExecutionId(execution_id)):
            if isinstance(news, Waits) and await app.status(execution_id) is Status.WAITING:
                return news.why
    raise AssertionError("it ended")


async def failed_attempt(app: App, execution_id: UUID) -> StepRecord:
    """The first one, once it is stored."""
    async with asyncio.timeout(SIGNAL_SECONDS):
        async for news in follow(await app.open(), ExecutionId(execution_id)):
            if isinstance(news, Stepped):
                return news.record
    raise AssertionError("it ended")


async def test_execution_parks_and_goes_on_when_the_account_is_connected(
    database: str | Backend, vendor: Vendor
) -> None:
    async with crm(database, vendor) as app:
        attempts = []

        @app.workflow
        async def copy(step: Step) -> str:
            async def fetch() -> str:
                attempts.append(1)
                return await token_of("acme")

            return await step.run("fetch", fetch)

        async with app.worker():
            handle = await app.start(copy)
            why = await parked(app, handle.id)
            await connect(app)
            result = await handle.result(timeout="30s")

        assert why.startswith("step 'fetch': connection 'acme' needs re-authorisation")
        assert (result, len(attempts)) == ("access-2", 2)
        assert [record.retry_at for record in await app.steps(handle.id)] == [None]  # it was no failed attempt


async def test_all_that_wait_go_on_and_no_others(database: str | Backend, vendor: Vendor) -> None:
    async with crm(database, vendor) as app:
        await app.connections.add("other", "example", application="app")

        @app.workflow
        async def copy(name: str, step: Step) -> str:
            return await step.run("fetch", token_of, name)

        async with app.worker():
            ours = await app.start_many(copy, ["acme"] * 20)
            theirs = await app.start(copy, "other")
            for handle in (*ours, theirs):
                await parked(app, handle.id)
            await connect(app)
            results = await asyncio.gather(*(handle.result(timeout="30s") for handle in ours))

            assert set(results) == {"access-2"}
            assert await app.status(theirs.id) is Status.WAITING


async def test_account_that_is_connected_just_before_the_park_is_not_missed(
    database: str | Backend, vendor: Vendor
) -> None:
    """The order is forced: the step has met the refusal, and its pass has not parked yet."""
    async with crm(database, vendor) as app:

        @app.workflow
        async def copy(step: Step) -> str:
            async def fetch() -> str:
                try:
                    return await token_of("acme")
                except NeedsReauthorisation:
                    await connect(app)
                    raise

            return await step.run("fetch", fetch)

        async with app.worker():
            assert await (await app.start(copy)).result(timeout="30s") == "access-2"


async def test_branches_that_sleep_do_not_keep_one_from_going_on(database: str | Backend, vendor: Vendor) -> None:
    async with crm(database, vendor) as app:
        went_on = asyncio.Event()

        @app.workflow
        async def copy(step: Step) -> None:
            async def fetch() -> str:
                token = await token_of("acme")
                went_on.set()
                return token

            await asyncio.gather(step.sleep("long", "30d"), step.run("fetch", fetch))

        async with app.worker():
            handle = await app.start(copy)
            await parked(app, handle.id)
            await connect(app)
            async with asyncio.timeout(SIGNAL_SECONDS):
                await went_on.wait()


async def test_map_whose_items_need_the_account_parks_and_goes_on(database: str | Backend, vendor: Vendor) -> None:
    async with crm(database, vendor) as app:
        calls = []

        @app.workflow
        async def copy(step: Step) -> list[str]:
            async def fetch(number: int) -> str:
                calls.append(number)
                return f"{number} {await token_of('acme')}"

            return await step.map("fetch", fetch, range(50), concurrency=5)

        async with app.worker():
            handle = await app.start(copy)
            why = await parked(app, handle.id)
            tried = len(calls)
            await connect(app)
            results = await handle.result(timeout="30s")

        assert "connection 'acme' needs re-authorisation" in why
        assert (tried, results) == (5, [f"{number} access-2" for number in range(50)])


async def test_disabled_connection_parks_and_enabling_it_lets_go_on(database: str | Backend, vendor: Vendor) -> None:
    async with crm(database, vendor) as app:
        await app.connections.add("plain", "example", secrets={"token": "plain-12"})
        await app.connections.disable("plain")

        @app.workflow
        async def copy(step: Step) -> str:
            return await step.run("fetch", token_of, "plain")

        async with app.worker():
            handle = await app.start(copy)
            assert "connection 'plain' is disabled" in await parked(app, handle.id)
            await app.connections.enable("plain")

            assert await handle.result(timeout="30s") == "plain-12"


async def test_removed_connection_ends_the_wait(database: str | Backend, vendor: Vendor) -> None:
    async with crm(database, vendor) as app:

        @app.workflow
        async def copy(step: Step) -> str:
            return await step.run("fetch", token_of, "acme")

        async with app.worker():
            handle = await app.start(copy)
            await parked(app, handle.id)
            await app.connections.remove("acme")
            record = await failed_attempt(app, handle.id)

        assert b"there is no connection 'acme'" in record.value


async def test_connectors_can_be_used_in_a_block_of_the_app(database: str | Backend, vendor: Vendor) -> None:
    async with crm(database, vendor) as app:
        await connect(app)

        async with app.connected():
            assert await token_of("acme") == "access-2"


async def test_same_calls_work_without_an_event_loop(database: str | Backend, vendor: Vendor) -> None:
    app = App(database)

    def script() -> list[str]:
        app.sync.connections.add("plain", "example", secrets={"token": "t"}, hook_secrets=["h"])
        app.sync.connections.rotate("plain", {"token": "u"})
        shown = [one.name for one in app.sync.connections.list()]
        tested = app.sync.connections.test("plain")
        keys = [(one.id, one.values) for one in app.sync.keys.list()]
        app.sync.connections.remove("plain")
        app.sync.close()
        return [*shown, str(tested.check_error), str(keys)]

    assert await asyncio.to_thread(script) == ["plain", "None", "[('k1', 2)]"]


async def test_step_whose_key_is_missing_waits_until_it_is_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was started with the wrong keys fails nobody's execution."""
    right, wrong = new_key("right").text(), new_key("wrong").text()

    app = App(database_url)

    @app.workflow
    async def copy(step: Step) -> str:
        return await step.run("fetch", token_of, "plain")

    monkeypatch.setenv("STEPWELL_KEYS", right)
    async with app:
        await app.connections.add("plain", "example", secrets={"token": "plain-12"})
    monkeypatch.setenv("STEPWELL_KEYS", wrong)
    async with app, app.worker():
        handle = await app.start(copy)
        async with asyncio.timeout(SIGNAL_SECONDS):
            async for news in follow(await app.open(), ExecutionId(handle.id)):
                if isinstance(news, Waits) and "sealed with key 'right'" in news.why:
                    break
    monkeypatch.setenv("STEPWELL_KEYS", right)
    async with app, app.worker():
        await app.retry(handle.id)

        assert await handle.result(timeout="30s") == "plain-12"
        assert [record.attempt for record in await app.steps(handle.id)] == [1]


async def test_step_in_a_process_without_keys_waits(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(database_url)

    @app.workflow
    async def copy(step: Step) -> str:
        return await step.run("fetch", token_of, "plain")

    monkeypatch.delenv("STEPWELL_KEYS")
    async with app, app.worker():
        handle = await app.start(copy)
        async with asyncio.timeout(SIGNAL_SECONDS):
            async for news in follow(await app.open(), ExecutionId(handle.id)):
                if isinstance(news, Waits) and "`stepwell keys new` makes one" in news.why:
                    break

        assert await app.steps(handle.id) == []
