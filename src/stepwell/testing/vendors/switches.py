"""What is to go wrong at a fake vendor: switched on by a test, used up request by request."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """The request is refused because of a limit; `retry_after` is what the vendor says, "2.0" and dates included."""

    retry_after: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The request is answered with that status, and nothing is done."""

    status: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends without an answer, and nothing is done."""


@dataclass(frozen=True, slots=True)
class SignInPage:
    """Azure DevOps: 203 with a page of HTML."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """Shopify: 200 with the error THROTTLED."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The work is done, and the answer takes that long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SlowedDown:
    """It works, and the vendor says to send less: 200 with Retry-After."""

    retry_after: str


Trouble = Limit | Fail | Drop | SignInPage | Throttle | Slow | SlowedDown


class Switches:
    """Every switch is for the next `times` requests; several of them work one after the other, in their order."""

    def __init__(self) -> None:
        self._next: deque[Trouble] = deque()
        self._drops_after_commit = 0

    def limit(self, times: int = 1, *, retry_after: str = "2.0") -> None:
        """Refuse requests as the vendor does when a limit is used up."""
        self._next.extend([Limit(retry_after)] * times)

    def fail(self, times: int = 1, *, status: int = 500) -> None:
        """Answer with a status, and do nothing."""
        self._next.extend([Fail(status)] * times)

    def drop(self, times: int = 1) -> None:
        """End the connection without an answer, and do nothing."""
        self._next.extend([Drop()] * times)

    def drop_after_commit(self, times: int = 1) -> None:
        """Do the work of the next requests that change something, and end their connections without an answer."""
        self._drops_after_commit += times

    def sign_in_page(self, times: int = 1) -> None:
        """Azure DevOps: answer 203 with a page of HTML, as with a bad token."""
        self._next.extend([SignInPage()] * times)

    def throttle(self, times: int = 1) -> None:
        """Shopify: answer 200 with the error THROTTLED."""
        self._next.extend([Throttle()] * times)

    def slow(self, times: int = 1, *, seconds: float = 5.0) -> None:
        """Do the work, and answer late: who has gone by then has left an effect behind."""
        self._next.extend([Slow(seconds)] * times)

    def slow_down(self, times: int = 1, *, retry_after: str = "2.0") -> None:
        """Do the work, and ask for a pause in the answer."""
        self._next.extend([SlowedDown(retry_after)] * times)

    def clear(self) -> None:
        """Nothing more goes wrong."""
        self._next.clear()
        self._drops_after_commit = 0

    def take(self) -> Trouble | None:
        """What happens to the request that has just come in."""
        return self._next.popleft() if self._next else None

    def takes_drop(self) -> bool:
        """Whether the answer to a request that has changed something gets lost."""
        if not self._drops_after_commit:
            return False
        self._drops_after_commit -= 1
        return True
