"""Exit codes, and the sentence with which a command ends that did not do what it was asked to."""

from __future__ import annotations

from typing import NamedTuple

from stepwell.errors import (
    DatabaseError,
    DatabaseUnavailable,
    InvalidInput,
    InvalidOption,
    InvalidValue,
    StepwellError,
    UnknownWorkflow,
)

OK = 0
FAILED = 1  # what was asked for did not succeed: an execution failed, an id is unknown, the doctor found something
USAGE = 2  # wrong options or input; nothing was done
DATABASE = 3  # the database cannot be reached, is not ready, or refuses
INTERRUPTED = 130  # Ctrl-C

_PERMISSION_DENIED = "42501"


class Ending(NamedTuple):
    """What a command says last, and its exit code."""

    sentence: str
    code: int


def ending_of(error: Exception) -> Ending:
    """How a command ends that raised this error."""
    if isinstance(error, StepwellError):
        return Ending(sentence_of(error), _code_of(error))
    if (state := getattr(error, "sqlstate", None)) is not None:  # a psycopg.Error, which is slow to import
        hint = "; `stepwell doctor` shows which rights it lacks" if state == _PERMISSION_DENIED else ""
        return Ending(f"the database refuses: {_first_line(error)} ({state}){hint}", DATABASE)
    return Ending(f"unexpected {type(error).__name__}: {_first_line(error)}; run it with --debug to see where", FAILED)


def sentence_of(error: StepwellError) -> str:
    """An error of ours in one line, with the way out."""
    way_out = "; see that it runs, and that --database or STEPWELL_DATABASE_URL is right"
    return " ".join(str(error).split()) + (way_out if isinstance(error, DatabaseUnavailable) else "")


def _code_of(error: StepwellError) -> int:
    match error:
        case DatabaseError():
            return DATABASE
        case InvalidInput() | InvalidOption() | InvalidValue() | UnknownWorkflow():
            return USAGE
    return FAILED


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["(it says nothing)"])[0]
