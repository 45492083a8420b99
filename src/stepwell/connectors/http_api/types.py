"""What requests to any HTTP API answer, and how lists come in pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell.connectors.outcome import Answer
from stepwell.errors import InvalidValue

KEPT_HEADERS = ("content-type", "etag", "last-modified", "location", "link")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer that worked: `body` is what its JSON decodes to, or its text when it is no JSON.

    `headers` are those that say something about the body: content-type, etag, last-modified, location, link.
    """

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpPage:
    """One page of a list. `next` asks for the one after it; None: this was the last."""

    items: list[Any]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class LinkHeader:
    """Pages that name the next one in a `Link` header (RFC 8288), as GitHub's do. `items`: where the list is."""

    items: str = ""

    def first(self, query: Mapping[str, str | int]) -> dict[str, str | int]:
        """The query of the first page."""
        return dict(query)

    def after(self, answer: Answer, items: list[Any], position: str | None) -> str | None:  # noqa: ARG002
        """The address of the next page."""
        return next_link(answer.headers.get("link", ""))

    def query(self, query: Mapping[str, str | int], position: str) -> dict[str, str | int]:  # noqa: ARG002
        """The next page's address has its whole query."""
        return {}


@dataclass(frozen=True, slots=True)
class Cursor:
    """Pages that give a cursor for the next one, in the field `field`, to be sent as `parameter`."""

    field: str = "next_cursor"
    parameter: str = "cursor"
    items: str = "items"

    def first(self, query: Mapping[str, str | int]) -> dict[str, str | int]:
        """The query of the first page."""
        return dict(query)

    def after(self, answer: Answer, items: list[Any], position: str | None) -> str | None:  # noqa: ARG002
        """The cursor; none when the field is absent, null or empty."""
        found = within(answer.json(), self.field)
        return str(found) if found not in (None, "", False) else None

    def query(self, query: Mapping[str, str | int], position: str) -> dict[str, str | int]:
        """The same query with the cursor."""
        return {**query, self.parameter: position}


@dataclass(frozen=True, slots=True)
class Numbered:
    """Pages by number, or by offset when `by_offset`; the last one has fewer than `size` items."""

    size: int = 100
    parameter: str = "page"
    size_parameter: str | None = "per_page"
    start: int = 1
    items: str = "items"
    by_offset: bool = False

    def first(self, query: Mapping[str, str | int]) -> dict[str, str | int]:
        """The query of the first page."""
        return self.query(query, str(self.start))

    def after(self, answer: Answer, items: list[Any], position: str | None) -> str | None:  # noqa: ARG002
        """The number, or the offset, of the next page."""
        step = self.size if self.by_offset else 1
        return str(int(position or self.start) + step) if len(items) >= self.size else None

    def query(self, query: Mapping[str, str | int], position: str) -> dict[str, str | int]:
        """The same query with the page's number."""
        size = {self.size_parameter: self.size} if self.size_parameter else {}
        return {**query, **size, self.parameter: int(position)}


Pagination = LinkHeader | Cursor | Numbered


def within(value: Any, path: str) -> Any:
    """What stands at a path of names ("data.items") in JSON: None where nothing does, the value itself for no path."""
    for name in filter(None, path.split(".")):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def items_of(answer: Answer, path: str) -> list[Any]:
    """The list at the path. Raises InvalidValue when there is none."""
    found = within(answer.json(), path)
    if not isinstance(found, list):
        raise InvalidValue(path=f"$.{path}".rstrip("."), reason="is no list; say with items= where the answer has it")
    return found


def next_link(header: str) -> str | None:
    """The target of `rel="next"` in a Link header (RFC 8288, section 3)."""
    for part in header.split(","):
        target, _, parameters = part.strip().partition(">")
        relations = (one.strip().lower() for one in parameters.split(";"))
        if target.startswith("<") and any(one in ('rel="next"', "rel=next") for one in relations):
            return target[1:]
    return None
