"""What steps did to the outside world, as far as a test has to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_uncommitted: ContextVar[list[Callable[[], None]] | None] = ContextVar("stepwell_testing_uncommitted", default=None)


class Effects:
    """A list that fakes and steps write their effects to, and that a crash does not erase: the world's memory.

    What a `step.transaction` adds is there once its transaction has committed. Effects are told apart by their `repr`.
    """

    def __init__(self) -> None:
        self._done: list[Any] = []
        self._by_key: dict[str, Any] = {}

    def add(self, effect: Any, *, key: str | None = None) -> None:
        """Write down an effect. With an idempotency key only once, as a system does that takes one.

        Raises ValueError when the key was given with another effect.
        """
        if key is not None and self._is_repeated(effect, key):
            return
        when_committed(lambda: self._done.append(effect))

    def _is_repeated(self, effect: Any, key: str) -> bool:
        if key not in self._by_key:
            self._by_key[key] = effect
            return False
        if repr(self._by_key[key]) != repr(effect):
            raise ValueError(f"idempotency key {key} was given with {self._by_key[key]!r}, and now with {effect!r}")
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._by_key.clear()

    @property
    def counts(self) -> Counter[str]:
        """How often each effect happened, by its `repr`."""
        return Counter(map(repr, self._done))

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self._done))

    def __len__(self) -> int:
        return len(self._done)

    def __repr__(self) -> str:
        return f"Effects({self._done!r})"


@contextmanager
def until_committed() -> Iterator[None]:
    """What is left to `when_committed` within waits for `commit`; without it, it never happens."""
    token = _uncommitted.set([])
    try:
        yield
    finally:
        _uncommitted.reset(token)


def when_committed(happens: Callable[[], None]) -> None:
    """Let it happen when the step's transaction commits; outside of one, now."""
    uncommitted = _uncommitted.get()
    if uncommitted is None:
        happens()
    else:
        uncommitted.append(happens)


def commit() -> None:
    """The transaction in which this is called has committed."""
    uncommitted = _uncommitted.get() or []
    for happens in uncommitted:
        happens()
    uncommitted.clear()
