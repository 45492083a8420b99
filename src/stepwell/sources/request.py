"""A request as it came in: bytes that nobody has judged yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

MAX_PARAMETERS = 100  # of a query; more is no vendor's doing


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody has sent. `headers` are pairs as received, repeated ones too; `query` is not decoded."""

    method: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""
    query: bytes = b""
    _once: dict[bytes, bytes | None] = field(init=False, repr=False, compare=False)  # None: it came more than once

    def __post_init__(self) -> None:
        once: dict[bytes, bytes | None] = {}
        for raw_name, value in self.headers:
            name = raw_name.lower()
            once[name] = None if name in once else value
        object.__setattr__(self, "_once", once)

    @classmethod
    def post(cls, headers: Mapping[str, str] | Iterable[tuple[str, str]], body: bytes, query: bytes = b"") -> Request:
        """A POST with headers given as texts."""
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        return cls("POST", [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs], body, query)

    def header(self, name: str) -> str | None:
        """The value of a header, a character for each byte. None unless it came exactly once: of two, which counts?"""
        found = self._once.get(name.lower().encode("latin-1", "replace"))
        return None if found is None else found.decode("latin-1").strip(" \t")

    def parameter(self, name: bytes) -> bytes | None:
        """The decoded value of a parameter of the query. None unless it came exactly once."""
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            return None
        found = [value for key, value in pairs if key == name]
        return found[0] if len(found) == 1 else None

    @property
    def media_type(self) -> str:
        """What the body says that it is, in lower case and without parameters; empty when it does not say."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()
