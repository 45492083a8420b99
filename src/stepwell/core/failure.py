"""Errors as they are stored: plain text, so that reading one never runs anybody's code."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_MESSAGE = 8_000
MAX_TRACEBACK = 32_000  # characters, the end is kept: that is where it was raised
MAX_CAUSES = 20

_PACKAGE = str(Path(__file__).parent.parent)
_NOT_THE_USERS = (f"{_PACKAGE}{os.sep}", *(str(Path(os.__file__).parent / name) for name in ("asyncio", "concurrent")))


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error was: its type's name, message, traceback and the causes behind it, outermost first."""

    type: str
    message: str
    traceback: str = ""
    causes: tuple[str, ...] = ()
    attempts: int = 1


def failure_of(error: BaseException, *, attempts: int = 1) -> Failure:
    """The stored form of an error. Never raises, whatever the error's own methods do."""
    return Failure(
        type=type_name(error),
        message=_message(error),
        traceback=_traceback(error),
        causes=tuple(f"{type_name(cause)}: {_message(cause)}" for cause in _causes(error)),
        attempts=attempts,
    )


def type_name(error: BaseException) -> str:
    """`ValueError`, `httpx.ReadTimeout`: builtins without their module."""
    kind = type(error)
    return _storable(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")


def _message(error: BaseException) -> str:
    try:
        return _storable(str(error))[:MAX_MESSAGE]
    except BaseException:  # noqa: BLE001 - a user's __str__ runs here
        return "(its message cannot be shown)"


def _traceback(error: BaseException) -> str:
    try:
        described = traceback.TracebackException.from_exception(error)
        _leave_out_the_engine(described)
        return _storable("".join(described.format()))[-MAX_TRACEBACK:]
    except BaseException:  # noqa: BLE001 - a user's __str__ and __repr__ run here
        return ""


def _leave_out_the_engine(described: traceback.TracebackException | None) -> None:
    """Drop the frames by which the engine called the user's function: they are the same every time."""
    while described is not None:
        frames = list(described.stack)
        while len(frames) > 1 and frames[0].filename.startswith(_NOT_THE_USERS):
            del frames[0]
        described.stack = traceback.StackSummary.from_list(frames)
        described = described.__cause__ or described.__context__


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    cause = cause_of(error)
    while cause is not None and id(cause) not in seen and len(seen) <= MAX_CAUSES:
        yield cause
        seen.add(id(cause))
        cause = cause_of(cause)


def cause_of(error: BaseException) -> BaseException | None:
    """What Python would show as the cause: `raise ... from None` hides it."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _storable(text: str) -> str:
    """Lone surrogates cannot be encoded and NUL is in no text of PostgreSQL; they are shown by their numbers (F68)."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
