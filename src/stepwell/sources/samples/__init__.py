"""What each source sends: small bodies in the vendors' shape, made for this project, to be signed and sent anywhere.

One file for each type of event. Whatever must differ from one delivery to the next stands in it as one of four values,
which are replaced: an id, a number, the time as a text and in Unix seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from uuid import UUID

from stepwell.errors import InvalidOption
from stepwell.sources.table import source_named

ID = "00000000-0000-4000-8000-000000000000"
NUMBER = "1000000001"
TIME = "2026-01-02T03:04:05Z"
UNIX_TIME = "1767323045"

_STANDS_FOR = re.compile("|".join((ID, NUMBER, TIME, UNIX_TIME)))


def sample_types(source: str) -> list[str]:
    """The types of events of which there is a sample. Raises InvalidOption for a source that is none."""
    return sorted(_bodies(source_named(source).name))


def sample(source: str, type: str, *, id: UUID, now: datetime) -> bytes:
    """A body of that type. Its ids are made of `id`: the same one gives the same event. Raises InvalidOption."""
    bodies = _bodies(source_named(source).name)
    if type not in bodies:
        raise InvalidOption(f"there is no sample of {source} {type!r:.100}; there are: {', '.join(sorted(bodies))}")
    real = {
        ID: str(id),
        NUMBER: str(number_of(id)),
        TIME: f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        UNIX_TIME: str(int(now.timestamp())),
    }
    return _STANDS_FOR.sub(lambda found: real[found[0]], bodies[type]).encode()


def number_of(id: UUID) -> int:
    """The number that stands for the id in a sample: ten digits, and no more than vendors' ids have (31 bits)."""
    return 1_000_000_000 + id.int % 1_000_000_000


@cache
def _bodies(source: str) -> dict[str, str]:
    """By type; in the name of a file two underscores stand for a slash."""
    folder = files(__package__) / source
    named = {entry.name.removesuffix(".json"): entry for entry in folder.iterdir()}
    return {name.replace("__", "/"): entry.read_text("utf-8") for name, entry in named.items()}
