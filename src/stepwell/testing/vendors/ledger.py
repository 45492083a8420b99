"""What a fake vendor has really done: the proof that something was done once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that was done: what, such as "work item created", and the id of the object."""

    what: str
    id: str


_of_this_request: ContextVar[list[Effect] | None] = ContextVar("stepwell_fake_request", default=None)


class Ledger:
    """Every effect, in order."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []

    def record(self, what: str, id: object) -> None:
        """Something was done."""
        effect = Effect(what, str(id))
        self.effects.append(effect)
        if (mine := _of_this_request.get()) is not None:
            mine.append(effect)

    def count(self, what: str) -> int:
        """How often that was done."""
        return sum(effect.what == what for effect in self.effects)

    @contextmanager
    def request(self) -> Iterator[list[Effect]]:
        """What is done while the block runs, and not by requests beside it."""
        mine: list[Effect] = []
        before = _of_this_request.set(mine)
        try:
            yield mine
        finally:
            _of_this_request.reset(before)
