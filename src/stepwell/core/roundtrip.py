"""Decides whether a value read back from storage is the value that was stored.

JSON changes some values in silence: a tuple becomes a list, NaN becomes null, the key 1 becomes "1". `==` does not see
all of it (1 == True, an enum member equals its text) and cannot judge objects whose class defines no equality. So the
value and what came back are walked together: same types, same order, same leaves.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, time
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any

from stepwell.core.payload import MAX_DEPTH
from stepwell.errors import InvalidValue

MIN_INT, MAX_INT = -(2**63), 2**64 - 1
"""Integers beyond 64 bits are read as floats, or not at all, by most readers of JSON."""

MAX_CLASSES = 1024  # what is remembered about classes, so that a process that makes them up does not grow

_MAX_LABELS = 20  # of a path; who has lost the way after twenty turns does not find it after a hundred

Label = int | str
Comparison = Callable[[Any, Any, int], None]


def refuse_difference(before: object, after: object, *, way_out: str) -> None:
    """Raise InvalidValue, naming the place, unless `after` is `before` in every type, key and leaf.

    One conversion is let through, because a type checker allows it too: an int where a float was asked for.
    """
    try:
        _compare(before, after, 0)
    except _Difference as found:
        reason = f"{found.reason}; {found.way_out or way_out}"
        raise InvalidValue(path=path_of(reversed(found.labels)), reason=reason) from None


def is_plain(value: object) -> bool:
    """True only when `value` is made of nothing but JSON's own types, so that no reader can bring it back different.

    The quick answer for most values; what it says no to may still be fine, and `refuse_difference` decides.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for part in level:
            kind = type(part)
            if kind in _SAFE_LEAVES:
                continue
            if kind is dict and _TEXT.issuperset(map(type, part)):
                below.extend(part.values())
            elif kind is list:
                below.extend(part)
            elif not (kind is int and MIN_INT <= part <= MAX_INT) and not (kind is float and math.isfinite(part)):
                return False
        if not below:
            return True
        level = below
    return False


def locate(value: object, is_faulty: Callable[[object], bool]) -> tuple[str, object]:
    """The smallest part of `value` that is faulty on its own, and its path, when `value` is known to be faulty."""
    labels: list[Label] = []
    while (found := next((pair for pair in parts_of(value) if is_faulty(pair[1])), None)) is not None:
        labels.append(found[0])
        value = found[1]
    return path_of(labels), value


def parts_of(value: object) -> Iterator[tuple[Label, Any]]:
    """What a value directly consists of, with the labels that lead there. Nothing for a leaf."""
    if isinstance(value, dict):
        return iter(value.items())
    names = _field_names(value)
    if names is not None:
        return zip(names, _field_values(value, names), strict=True)
    return enumerate(value) if isinstance(value, list | tuple | set | frozenset) else iter(())


def path_of(labels: Iterable[Label]) -> str:
    """The place as people write it: `$.items[3].tags`. A very long way is cut."""
    way = list(labels)
    return "$" + "".join(map(_segment, way[:_MAX_LABELS])) + ("..." if len(way) > _MAX_LABELS else "")


def _segment(label: Label) -> str:
    if isinstance(label, int):
        return f"[{label}]"
    return f".{label}" if str(label).isidentifier() else f"[{json.dumps(str(label))}]"


class _Difference(Exception):
    """Raised where it is found; the walk adds the labels on the way up, innermost first."""

    def __init__(self, reason: str, *, way_out: str | None = None) -> None:
        self.reason, self.way_out = reason, way_out
        self.labels: list[Label] = []


def _compare(before: Any, after: Any, depth: int) -> None:
    if type(before) is type(after):
        _COMPARISONS.get(type(before), _compare_object)(before, after, depth)
    elif not (type(before) is int and type(after) is float and before == after):
        raise _conversion(before, after)


def _conversion(before: object, after: object) -> _Difference:
    if isinstance(before, float) and not math.isfinite(before):
        return _Difference(f"is {before}, a number JSON does not have", way_out="use None or a str")
    if isinstance(before, set | frozenset):
        return _unordered(before)
    return _Difference(f"is of type {type(before).__qualname__} and would come back as {type(after).__qualname__}")


def _unordered(value: object) -> _Difference:
    what = type(value).__qualname__
    return _Difference(f"is a {what}: another process would see another order", way_out="use a sorted list")


def _compare_parts(labels: Iterable[Label], before: Iterable[Any], after: Iterable[Any], depth: int) -> None:
    if depth == MAX_DEPTH:
        raise _Difference(f"is nested deeper than {MAX_DEPTH} levels", way_out="flatten it")
    for label, ours, theirs in zip(labels, before, after, strict=False):
        if type(ours) in _SAFE_LEAVES and type(ours) is type(theirs) and ours == theirs:
            continue  # saves most calls
        try:
            _compare(ours, theirs, depth + 1)
        except _Difference as found:
            found.labels.append(label)
            raise


def _compare_dict(before: dict[Any, Any], after: dict[Any, Any], depth: int) -> None:
    if list(before) != list(after) or not _TEXT.issuperset(map(type, before)):
        _compare_keys(before, after, depth)
    _compare_parts(before, before.values(), after.values(), depth)


def _compare_keys(before: dict[Any, Any], after: dict[Any, Any], depth: int) -> None:
    for ours, theirs in zip(before, after, strict=False):
        try:
            _compare(ours, theirs, depth)
        except _Difference as found:
            raise _Difference(f"has the key {ours!r:.80}, which {found.reason}", way_out=found.way_out) from None
    if len(before) != len(after):
        raise _Difference("has keys that would not come back")


def _compare_items(before: list[Any], after: list[Any], depth: int) -> None:
    if len(before) != len(after):
        raise _Difference(f"has {len(before)} items, of which {len(after)} would come back")
    _compare_parts(count(), before, after, depth)


def _compare_object(before: object, after: object, depth: int) -> None:
    names = _field_names(before)
    if names is None:
        return _compare_equal(before, after, depth)
    if names != _field_names(after):
        raise _Difference("has fields that would not come back")
    return _compare_parts(names, _field_values(before, names), _field_values(after, names), depth)


def _field_values(value: object, names: Iterable[str]) -> list[Any]:
    return [getattr(value, name) for name in names]


def _field_names(value: object) -> tuple[str, ...] | None:
    kind: type = type(value)
    declared = _declared_fields(kind)
    if declared is None:
        return None
    return (*declared, *(getattr(value, "__pydantic_extra__", None) or ()))


@lru_cache(maxsize=MAX_CLASSES)
def _declared_fields(kind: type) -> tuple[str, ...] | None:
    """Known by the mark each kind of record leaves on its class, so that none of the libraries is imported."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(attribute.name for attribute in kind.__attrs_attrs__)
    for mark in ("__struct_fields__", "__pydantic_fields__"):
        if hasattr(kind, mark):
            return tuple(getattr(kind, mark))
    return getattr(kind, "_fields", None) if issubclass(kind, tuple) else None


def _compare_equal(before: Any, after: Any, _depth: int) -> None:
    try:
        same = before is after or bool(before == after)
    except Exception as error:  # noqa: BLE001 (the class's own `__eq__`; an array has no single answer)
        raise _Difference(f"cannot be compared with what would come back ({error})") from None
    if not same:
        raise _Difference("would come back changed")


def _compare_int(before: int, after: int, depth: int) -> None:
    if not MIN_INT <= before <= MAX_INT:
        raise _Difference("is an integer of more than 64 bits", way_out="use a str")
    _compare_equal(before, after, depth)


def _compare_decimal(before: Decimal, after: Decimal, depth: int) -> None:
    """By their text: 1.0 and 1.00 are two decimals, and asking NaN for equality can raise."""
    _compare_equal(str(before), str(after), depth)


def _compare_datetime(before: datetime, after: datetime, depth: int) -> None:
    """By wall clock and offset. The zone's name is not kept; the moment and what the clock showed are."""
    if before.utcoffset() is None:
        raise _Difference("is a naive datetime: another moment on another machine", way_out="give it a tzinfo")
    _compare_equal(before.isoformat(), after.isoformat(), depth)


def _compare_time(before: time, after: time, depth: int) -> None:
    if (before.tzinfo is None) != (after.tzinfo is None):
        raise _Difference("is a time in a zone without a fixed offset", way_out="use an aware datetime")
    _compare_equal(before.isoformat(), after.isoformat(), depth)


def _compare_set(before: object, _after: object, _depth: int) -> None:
    raise _unordered(before)


_TEXT = frozenset({str})
_SAFE_LEAVES = frozenset({str, bool, type(None)})
_COMPARISONS: dict[type, Comparison] = {
    dict: _compare_dict,
    list: _compare_items,
    tuple: _compare_items,
    set: _compare_set,
    frozenset: _compare_set,
    int: _compare_int,
    Decimal: _compare_decimal,
    datetime: _compare_datetime,
    time: _compare_time,
}
