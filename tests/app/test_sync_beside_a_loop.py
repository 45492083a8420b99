"""`app.sync` in a process whose App is open on an event loop: from other threads it uses that loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stepwell import App, InvalidOption, Step, SyncStep

SIGNAL_SECONDS = 30.0


def with_double(app: App) -> App:
    @app.workflow(id="double")
    async def double(number: int, step: Step) -> int:
        return await step.run("double", lambda: 2 * number)

    return app


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


async def test_other_threads_start_and_follow_what_this_loops_worker_runs(app: App) -> None:
    """As the plain endpoints of a web application do, which run in threads."""
    with_double(app)

    def endpoint(number: int) -> int:
        handle = app.sync.start("double", number, key=str(number))
        result: int = handle.result("30s")
        return result

    async with app.worker(), asyncio.timeout(2 * SIGNAL_SECONDS):
        assert await asyncio.gather(*(asyncio.to_thread(endpoint, number) for number in range(4))) == [0, 2, 4, 6]
        assert len(await app.list()) == 4
        assert "stepwell-sync" not in threads()


async def test_plain_steps_and_workflows_start_others(app: App) -> None:
    with_double(app)

    @app.workflow
    def parent(number: int, step: SyncStep) -> int:
        child = step.run("start", lambda: str(app.sync.start("double", number).id))
        again = app.sync.start("double", number, key="from-the-body")
        total: int = app.sync.result(child, timeout="30s") + again.result("30s")
        return total

    async with app.worker(), asyncio.timeout(2 * SIGNAL_SECONDS):
        assert await (await app.start(parent, 2)).result("30s") == 8


async def test_call_on_the_loop_that_it_would_block_is_refused_with_the_way_out(app: App) -> None:
    with_double(app)

    with pytest.raises(InvalidOption, match=r"await the App's own call"):
        app.sync.start("double", 1)
    async with app.worker():
        with pytest.raises(InvalidOption, match=r"await the App's own call"):
            app.sync.list()

    assert await app.list() == []


async def test_closing_the_synchronous_form_leaves_an_app_open_that_another_loop_uses(database_url: str) -> None:
    app = with_double(App(database_url))
    await asyncio.to_thread(app.sync.start, "double", 1)
    await app.close()
    async with app:
        await asyncio.to_thread(app.sync.close)

        assert len(await app.list()) == 1
        assert app.running_loop is asyncio.get_running_loop()


async def test_app_that_has_moved_to_this_loop_is_used_there_from_then_on(database_url: str) -> None:
    app = with_double(App(database_url))
    await asyncio.to_thread(app.sync.start, "double", 1)
    await asyncio.to_thread(app.sync.close)
    async with app, app.worker(), asyncio.timeout(2 * SIGNAL_SECONDS):
        handle = await asyncio.to_thread(app.sync.start, "double", 2)
        assert await asyncio.to_thread(handle.result, "30s") == 4
