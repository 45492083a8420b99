"""The pytest plugin: the fixtures `stepwell_app` and `stepwell_lab`, for whoever asks for them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stepwell import App
    from stepwell.testing import Lab, SyncLab

OPTION = "stepwell_app"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that names the app."""
    parser.addini(OPTION, 'where the App to test is, as in "flows:app"')


@pytest.fixture
def stepwell_app(request: pytest.FixtureRequest) -> App:
    """The App to test: that of the option `stepwell_app`. Define a fixture of this name to choose another."""
    module, _, name = str(request.config.getini(OPTION)).partition(":")
    if not module or not name:
        raise pytest.UsageError(
            'which App is to be tested? Put stepwell_app = "flows:app" into [tool.pytest.ini_options] of'
            " pyproject.toml, or define a fixture stepwell_app that returns it"
        )
    app: App = getattr(import_module(module), name)
    return app


@pytest.fixture
def stepwell_lab(request: pytest.FixtureRequest, stepwell_app: App) -> Iterator[Lab | SyncLab]:
    """The app in memory, for one test: a `Lab` on the event loop of an async test, a `SyncLab` for a plain one."""
    from stepwell.testing import running

    if inspect.iscoroutinefunction(inspect.unwrap(request.function)):
        with _on_the_loop_of_the_test(stepwell_app) as lab:
            yield lab
    else:
        with running(stepwell_app) as sync_lab:
            yield sync_lab


@contextmanager
def _on_the_loop_of_the_test(app: App) -> Iterator[Lab]:
    """Whoever runs async tests, pytest-asyncio or anyio: the lab begins with the first call that the test awaits."""
    from stepwell.testing.lab import Lab
    from stepwell.testing.world import World

    world = World(app)
    world.lend()
    try:
        yield Lab(world)
    finally:
        world.leave()
