"""The same for plain test functions: `with running(app)`, and the calls of `app.sync`."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from stepwell import App, InvalidOption, Step, SyncStep
from stepwell.store.memory import MemoryStore
from stepwell.testing import SyncLab, running
from stepwell.testing.lab import Lab
from tests.runtime.lab import SIGNAL_SECONDS

app = App(MemoryStore())


def ask(number: int) -> int:
    raise ConnectionError("outside of every test")


@app.workflow
def weekly(number: int, step: SyncStep) -> int:
    step.sleep("rest", "7d")
    return step.run("ask", ask, number)


@app.workflow
async def nothing(step: Step) -> None: ...


def test_plain_test_runs_what_it_starts() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with running(app, now=now) as lab:
        asked = lab.fake("ask", lambda number: 10 * number)
        handle = app.sync.start(weekly, 4)
        lab.settle()
        lab.advance("6d")
        lab.crash()

        assert lab.now == now + timedelta(days=6)
        assert handle.result() == 40
        assert asked.calls == [(4,)]


def test_plain_fake_may_crash_in_the_middle_of_its_step() -> None:
    crashes: list[int] = []

    with running(app) as lab:

        def crash_once(number: int) -> int:
            crashes.append(number)
            if len(crashes) == 1:
                lab.crash()
            return len(crashes)

        lab.fake("ask", crash_once)
        assert app.sync.start(weekly, 4).result() == 2


def test_nothing_is_left_of_it() -> None:
    before = set(threading.enumerate())

    with running(app):
        app.sync.start(nothing).result()

    left = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("stepwell")]
    for thread in left:
        thread.join(SIGNAL_SECONDS)  # one may have said that it ends, and be about to
    assert [thread.name for thread in left if thread.is_alive()] == []


def test_what_cannot_begin_leaves_no_thread() -> None:
    before = threading.active_count()

    with pytest.raises(InvalidOption), running(App(MemoryStore())):
        pass

    assert threading.active_count() == before


def test_it_has_all_that_a_lab_has() -> None:
    assert {name for name in vars(SyncLab) if name[0] != "_"} == {name for name in vars(Lab) if name[0] != "_"}
