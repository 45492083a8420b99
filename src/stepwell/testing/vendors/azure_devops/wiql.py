"""As much of WIQL as tests of connectors need: conditions joined by AND, and one ORDER BY.

Source: learn.microsoft.com/azure/devops/boards/queries/wiql-syntax.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

Fields = dict[str, Any]

_CONDITION = re.compile(r"\[([\w.]+)\]\s*(=|<>|>=|<=|>|<|CONTAINS)\s*('(?:[^']|'')*'|[\w@.-]+)\s*$", re.IGNORECASE)
_QUERY = re.compile(
    r"^\s*SELECT\s+.+?\s+FROM\s+WorkItems(?:\s+WHERE\s+(?P<where>.+?))?(?:\s+ORDER\s+BY\s+\[(?P<order>[\w.]+)\]\s*"
    r"(?P<way>ASC|DESC)?)?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class BadQuery(Exception):
    """This is no WIQL, or more of it than the fake knows."""


def run(wiql: str, items: Iterable[Fields], *, project: str | None) -> list[Fields]:
    """The items that the query finds, in its order; by their numbers if it has none. Raises BadQuery."""
    query = _QUERY.match(wiql)
    if query is None:
        raise BadQuery(f"TF51006: the query statement is not valid: {wiql[:200]}")
    conditions = re.split(r"\s+AND\s+", query["where"], flags=re.IGNORECASE) if query["where"] else []
    tests = [_test(condition, project) for condition in conditions]
    found = [item for item in items if all(test(item) for test in tests)]
    order = query["order"] or "System.Id"
    return sorted(found, key=lambda item: item.get(order) or "", reverse=(query["way"] or "").upper() == "DESC")


def _test(condition: str, project: str | None) -> Callable[[Fields], bool]:
    parsed = _CONDITION.match(condition.strip())
    if parsed is None:
        raise BadQuery(f"TF51006: this condition is not understood: {condition[:200]}")
    field, comparison, wanted = parsed[1], parsed[2].upper(), _value(parsed[3], project)
    if comparison == "CONTAINS":
        return lambda item: _contains(field, str(item.get(field) or ""), str(wanted))
    compare = _COMPARE[comparison]
    return lambda item: item.get(field) is not None and compare(_like(item[field], wanted), wanted)


def _value(text: str, project: str | None) -> Any:
    if text.lower() == "@project":
        if project is None:
            raise BadQuery("TF51005: @project is used, and the request names no project")
        return project
    if not text.startswith("'"):
        return float(text)
    unquoted = text[1:-1].replace("''", "'")
    return _time(unquoted) or unquoted


def _contains(field: str, text: str, wanted: str) -> bool:
    """A tag is found whole, a text by a part of it."""
    if field == "System.Tags":
        return wanted.lower() in [tag.strip().lower() for tag in text.split(";")]
    return wanted.lower() in text.lower()


def _like(value: Any, wanted: Any) -> Any:
    """The item's value as the kind of thing it is compared with."""
    if isinstance(wanted, datetime):
        return _time(str(value)) or datetime.min.replace(tzinfo=UTC)
    return float(value) if isinstance(wanted, float) else value


def _time(text: str) -> datetime | None:
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
