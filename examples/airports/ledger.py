"""The vendor's ledger: one line for every call that reached it, in the order in which it dealt with them.

It is what the demo is judged by, because neither the engine nor the flow can write to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType

import msgspec

from data import Enrichment


class Kind(StrEnum):
    WORK = "work"  # the first call with its idempotency key: the vendor did the work, and would send a bill for it
    REPEAT = "repeat"  # a later call with the same key: answered from what the first one stored
    REFUSED = "refused"  # nothing was done: over the rate limit, or a bad moment


class Outcome(StrEnum):
    ANSWERED = "answered"
    LATE = "late"  # answered after the caller has lost its patience
    LOST = "lost"  # the connection was closed without an answer
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One call. Times are seconds of the Unix clock; `answer` is there unless the call was refused."""

    key: str
    airport: str
    caller: str  # the process that called, by its User-Agent
    attempt: int  # the caller's own count
    kind: Kind
    outcome: Outcome
    started: float
    finished: float
    answer: Enrichment | None = None


class Ledger:
    """An append-only file of entries. What `append` has returned for is kept when this process is killed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._encoder = msgspec.json.Encoder()

    def append(self, entry: Entry) -> None:
        self._file.write(self._encoder.encode(entry) + b"\n")
        self._file.flush()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


class LedgerReader:
    """Reads a ledger that is still being written: each call of `new_entries` goes on where the last one ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._decoder = msgspec.json.Decoder(Entry)

    def new_entries(self) -> Iterator[Entry]:
        """The entries since the last call. A line that is not complete yet is left for the next one."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield self._decoder.decode(line)


def read_ledger(path: Path) -> list[Entry]:
    """Every entry of the file, which need not exist yet."""
    return list(LedgerReader(path).new_entries()) if path.exists() else []
