"""Our key in texts in Markdown: a comment, which GitHub keeps and shows to nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

MAX_PAGES = 50  # of what is looked through for our own


class HasBody(Protocol):
    """What people write a text in: an issue, a comment."""

    @property
    def body(self) -> str: ...


T = TypeVar("T", bound=HasBody)


def marked(text: str | None, key: str) -> str:
    """The text with the key below it."""
    return f"{text or ''}\n\n{mark(key)}".lstrip("\n")


def mark(key: str) -> str:
    """What is looked for."""
    return f"<!-- stepwell:{key} -->"


async def first_with(key: str, read: Callable[[int], Awaitable[tuple[Sequence[T], int | None]]]) -> T | None:
    """The first that has the key in its text. `read` gives a page by its number, and the number of the next one."""
    number: int | None = 1
    for _ in range(MAX_PAGES):
        if number is None:
            break
        page, number = await read(number)
        for one in page:
            if mark(key) in one.body:
                return one
    return None
