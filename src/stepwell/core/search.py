"""How executions are looked up: which words of one can be found, and how far back a first look goes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from stepwell.core.model import Filter

MAX_TEXT = 4_000  # characters of an input and of a result: what people look for stands near the beginning
MAX_WORD = 64  # characters; of a longer one these are compared
SHORT_WORD = 3  # a shorter one must be the whole word: nearly everything has a word that begins with "a"
MAX_WORDS = 20  # in one search
FIRST_ID = UUID(int=0)
LOOK_ROWS = 3_000  # how many of the newest are looked at before the indexes are asked for rarer things

_SEPARATORS = "".join(map(chr, range(1, 0x30))) + ":;<=>?@[\\]^_`{|}~"
_BLANKS = str.maketrans(_SEPARATORS, " " * len(_SEPARATORS))
_ID = re.compile(r"[0-9a-f]{4,8}|[0-9a-f]{8}-[0-9a-f-]{0,27}")


def spread(texts: Iterable[str | None]) -> str:
    """All of it in lower case with blanks between, before and after the words: letters, digits, and what is no ASCII.

    In this form a text has the word `order` if it has ` order `, and one that begins like it if it has ` order`.
    """
    joined = " ".join(text for text in texts if text is not None)
    return f" {joined.lower().replace(chr(92) + 'n', ' ').translate(_BLANKS)} "


def words_of(text: str) -> tuple[str, ...]:
    """The words that somebody looks for."""
    return tuple(dict.fromkeys(word[:MAX_WORD] for word in spread([text]).split(" ") if word))


def patterns_of(text: str) -> tuple[str, ...]:
    """What must stand in a spread text that has all of the words, or longer ones that begin like them."""
    return tuple(f" {word} " if len(word) < SHORT_WORD else f" {word}" for word in words_of(text))


def ids_like(text: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begin with this text, if ids can."""
    given = text.strip().lower()
    if not _ID.fullmatch(given):
        return None
    digits = given.replace("-", "")
    return UUID(digits.ljust(32, "0")[:32]), UUID(digits.ljust(32, "f")[:32])


def sought_words(text: str) -> tuple[str, ...]:
    """Those of the words that few executions have, as far as they show it: with a digit, else the longest.

    An index goes through all that begins like a word; the others are compared in what these have found.
    """
    words = words_of(text)
    telling = [word for word in words if any(map(str.isdigit, word))]
    return tuple(telling) or tuple(sorted(words, key=len)[-1:])


class Place(NamedTuple):
    """A place in the order of executions, newest first: those listed next come after it."""

    created_at: datetime
    id: UUID


class Piece(NamedTuple):
    """What has been looked at: some `looked_at` of all kinds, down to `reached`. None: there are no more."""

    looked_at: float
    newest_at: datetime | None
    reached: Place | None

    def to_the_end(self) -> Piece:
        """The same and all that is older."""
        return self._replace(reached=None)


def is_plain(which: Filter) -> bool:
    """Whether the order in which executions are kept answers it: one index, and nothing to be sorted out."""
    return not (which.key or which.tags or which.parent or which.finished_after or which.finished_before or which.text)


def is_pointed(which: Filter) -> bool:
    """Whether few can match, so that looking at the newest first is in vain."""
    return which.key is not None or which.parent is not None


def further(piece: Piece, *, found: int, missing: int) -> Piece:
    """The same and what is to be looked at next: so that it has twice the missing ones, if they are as frequent there.

    With none found yet it is some 3,000 of all kinds; what is rarer than that is looked for to the end.
    """
    if piece.reached is None or piece.newest_at is None or (not found and piece.looked_at >= LOOK_ROWS):
        return piece.to_the_end()
    times = 2 * missing / found if found else LOOK_ROWS / max(piece.looked_at, 1)
    span = max(piece.newest_at - piece.reached.created_at, timedelta(milliseconds=1))
    try:
        return Piece(
            piece.looked_at * (1 + times), piece.newest_at, Place(piece.reached.created_at - span * times, FIRST_ID)
        )
    except OverflowError:  # before the first day that there is
        return piece.to_the_end()
