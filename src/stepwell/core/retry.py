"""When a failed step is tried again: exponential delays with full jitter.

Full jitter spreads the retries of many executions that failed together over the whole delay (AWS Architecture Blog,
"Exponential Backoff And Jitter").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration
from stepwell.errors import InvalidOption, InvalidValue, Permanent, RetryAfter

_MISTAKES = (Permanent, InvalidValue, InvalidOption)  # another attempt would fail as well

MAX_DOUBLINGS = 64  # beyond it every delay is the longest one anyway, and powers overflow


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """How often a step is tried, and how long it waits in between.

    The n-th delay is random between 0 and `first_delay * factor ** (n - 1)`, at most `max_delay`. `max_attempts`
    counts the first try; 1 means no retry. Errors that are instances of `give_up_on` are not retried. Raises
    InvalidOption for values that make no sense.
    """

    max_attempts: int
    first_delay: timedelta
    max_delay: timedelta
    factor: float
    give_up_on: tuple[type[BaseException], ...]

    def __init__(
        self,
        max_attempts: int = 10,
        *,
        first_delay: DurationLike = timedelta(seconds=1),
        max_delay: DurationLike = timedelta(minutes=5),
        factor: float = 2.0,
        give_up_on: tuple[type[BaseException], ...] = (),
    ) -> None:
        if not isinstance(max_attempts, int) or max_attempts < 1:
            raise InvalidOption(f"Retry(max_attempts={max_attempts!r}): use a whole number from 1")
        if not isinstance(factor, int | float) or not 1 <= factor <= 100:  # also refuses NaN
            raise InvalidOption(f"Retry(factor={factor!r}): use a number from 1 to 100")
        if not isinstance(give_up_on, tuple) or not all(map(_is_error, give_up_on)):
            raise InvalidOption(f"Retry(give_up_on={give_up_on!r}): use a tuple of exception classes")
        for name, value in (
            ("max_attempts", max_attempts),
            ("first_delay", _duration("first_delay", first_delay)),
            ("max_delay", _duration("max_delay", max_delay)),
            ("factor", factor),
            ("give_up_on", give_up_on),
        ):
            object.__setattr__(self, name, value)

    def longest_delay(self, attempt: int) -> timedelta:
        """The bound of the delay after the given attempt (counted from 1); never above `max_delay`."""
        seconds = self.first_delay.total_seconds() * self.factor ** min(attempt - 1, MAX_DOUBLINGS)
        return min(timedelta(seconds=min(seconds, self.max_delay.total_seconds())), self.max_delay)


def delay_after(error: BaseException, policy: Retry, attempt: int, *, random: Callable[[], float]) -> timedelta | None:
    """How long to wait before the next attempt; None: give up. `random` returns a float in [0, 1)."""
    if attempt >= policy.max_attempts or isinstance(error, (*_MISTAKES, *policy.give_up_on)):
        return None
    if isinstance(error, RetryAfter):
        return error.delay
    return policy.longest_delay(attempt) * random()


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _duration(name: str, value: Any) -> timedelta:
    try:
        return parse_duration(value)
    except InvalidDuration as error:
        raise InvalidOption(f"Retry({name}=...): {error}") from None
