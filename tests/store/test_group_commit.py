"""Group commit: what the database refuses for a while is kept and tried again, what it refuses for good is isolated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from stepwell.core.model import Batch, Flushed, NewCheckpoint, SessionId
from stepwell.errors import InvalidValue, LeaseLost
from stepwell.store import flush
from stepwell.store.connect import PASSING
from stepwell.store.flush import MAX_TRIES, GroupCommit
from stepwell.store.memory import MemoryStore
from tests.store.world import SIGNAL_SECONDS, checkpoint, unknown

ONE_MB = 1_000_000


class RefusingStore(MemoryStore):
    """Takes what it is given, once it has raised the errors that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.flushed: list[Sequence[NewCheckpoint]] = []

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        if self.errors:
            raise self.errors.pop(0)
        self.flushed.append(batch.checkpoints)
        return Flushed(frozenset(), frozenset())


class Writer:
    """A group commit on such a store, and how it ended."""

    def __init__(self) -> None:
        self.store = RefusingStore()
        self.lost: list[Exception] = []
        self.commit = GroupCommit(
            self.store, SessionId(unknown()), on_lost=self.lost.append, on_cancelling=lambda _: None
        )

    async def write(self, *rows: NewCheckpoint) -> list[BaseException | None]:
        """What became of each row."""
        async with asyncio.timeout(SIGNAL_SECONDS):
            return await asyncio.gather(*map(self.commit.add, rows), return_exceptions=True)


@pytest.fixture
async def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    """One that does not wait before it tries again."""
    monkeypatch.setattr(flush, "PAUSE_SECONDS", 0.0)
    return Writer()


def refusal(kind: str) -> psycopg.Error:
    """An error of a class that passes by itself."""
    states = {"40": "40P01", "53": "53100", "55": "55P03", "57": "57014", "58": "58030"}
    return psycopg.errors.lookup(states[kind])("refused for the test")


@pytest.mark.parametrize("kind", PASSING)
async def test_refusal_that_passes_is_outlasted(writer: Writer, kind: str) -> None:
    """F22, F39: deadlock, full disk, lock not available, statement cancelled, I/O error."""
    writer.store.errors = [refusal(kind) for _ in range(MAX_TRIES)]
    row = checkpoint(unknown())

    assert await writer.write(row) == [None]

    assert writer.store.flushed == [[row]]
    assert writer.lost == []


async def test_refusal_that_does_not_pass_gives_the_session_up(writer: Writer) -> None:
    """F7, F39: the rows are not lost in silence, and nothing is stored behind them."""
    writer.store.errors = [refusal("53") for _ in range(MAX_TRIES + 1)]

    first, later = await writer.write(checkpoint(unknown())), await writer.write(checkpoint(unknown()))

    assert [type(error) for error in first + later] == [LeaseLost, LeaseLost]
    assert "does not take a write" in str(first[0])
    assert [str(error) for error in writer.lost] == [str(first[0])]
    assert writer.store.flushed == []


async def test_each_refusal_is_waited_for_a_little_longer(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "PAUSE_SECONDS", 0.01)
    writer.store.errors = [refusal("53") for _ in range(4)]
    began = asyncio.get_running_loop().time()

    await writer.write(checkpoint(unknown()))

    assert asyncio.get_running_loop().time() - began >= 0.01 * (1 + 2 + 3 + 4) - 0.005


async def test_refusal_for_good_is_its_rows_alone(writer: Writer) -> None:
    """F7: eight rows are halved until the culprit is alone."""
    rows = [checkpoint(unknown(), f"step-{number}") for number in range(8)]
    bad = psycopg.errors.UntranslatableCharacter("no")
    writer.store.errors = [bad, bad, bad, bad]  # of all, of the first four, two, one

    ends = await writer.write(*rows)

    assert [type(end) for end in ends] == [InvalidValue] + 7 * [type(None)]
    assert [row for batch in writer.store.flushed for row in batch] == rows[1:]
    assert writer.lost == []


async def test_flush_is_bounded_by_the_bytes_of_its_values(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "MAX_BYTES", 10 * ONE_MB)
    sizes = [4, 4, 4, 11, 1, 1]
    rows = [checkpoint(unknown(), value=b"x" * size * ONE_MB) for size in sizes]

    assert await writer.write(*rows) == [None] * len(rows)

    assert [[len(row.value) // ONE_MB for row in batch] for batch in writer.store.flushed] == [
        [4, 4],
        [4],
        [11],
        [1, 1],
    ]


async def test_flush_is_bounded_by_the_number_of_its_rows(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "MAX_ROWS", 3)

    assert await writer.write(*(checkpoint(unknown()) for _ in range(7))) == [None] * 7

    assert [len(batch) for batch in writer.store.flushed] == [3, 3, 1]
