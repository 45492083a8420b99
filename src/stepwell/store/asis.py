"""Parameters that go to the server as they are, on connections that psycopg drives."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg


class Binary:
    """A parameter already in PostgreSQL's binary form."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class BinaryDumper(psycopg.adapt.Dumper):
    """Hands a Binary on as it is."""

    format = psycopg.pq.Format.BINARY

    def dump(self, value: Binary) -> bytes:
        return value.data


psycopg.adapters.register_dumper(Binary, BinaryDumper)


def as_they_are(parameters: Iterable[bytes | None]) -> list[Binary | None]:
    """The parameters of a statement, for psycopg; None is null."""
    return [None if value is None else Binary(value) for value in parameters]
