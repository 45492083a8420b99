"""The query of a URL, and parts of its path, as types."""

from __future__ import annotations

import re
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from stepwell.server.bodies import fault_of
from stepwell.server.problems import invalid

MAX_PARAMETERS = 200

_DIGITS = re.compile(r"-?[0-9]{1,18}")

Q = TypeVar("Q", bound=msgspec.Struct)


def query_of(text: bytes, kind: type[Q]) -> Q:
    """The query as this type: what is a list there may be given several times, anything else once. Raises Refusal."""
    values = _collected(_pairs(text), _lists_of(kind))
    for field in msgspec.structs.fields(kind):
        value = values.get(field.encode_name)
        if isinstance(value, str):
            values[field.encode_name] = _scalar(value, field.type)
    query: Q = _converted(values, kind, "query")
    return query


def path_part(name: str, text: str, kind: Any) -> Any:
    """A part of the path as this type. Raises Refusal."""
    return _converted(text, kind, f"path.{name}")


def given(query: msgspec.Struct, *but: str) -> dict[str, Any]:
    """The fields that were given, by name; without those of `but`."""
    values = {name: getattr(query, name) for name in query.__struct_fields__ if name not in but}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}


def _pairs(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS, separator="&"
        )
    except UnicodeDecodeError:
        raise invalid([("query", "is not UTF-8, percent-encoded")]) from None
    except ValueError as error:
        raise invalid([("query", str(error))]) from None


def _collected(pairs: list[tuple[str, str]], lists: set[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise invalid([(f"query.{name}", "is given twice")])
        else:
            values[name] = value
    return values


def _lists_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind) if is_list(field.type)}


def is_list(annotation: Any) -> bool:
    """Whether it is a list, or a list or nothing."""
    parts = getattr(annotation, "__args__", ()) if get_origin(annotation) is not list else (annotation,)
    return get_origin(annotation) is list or any(get_origin(_bare(part)) is list for part in parts)


def _scalar(text: str, annotation: Any) -> Any:
    """A number or a boolean that a query has as text; anything else as it is, to be judged by its type."""
    kinds = {_bare(part) for part in get_args(annotation)} | {_bare(annotation)}
    if int in kinds and _DIGITS.fullmatch(text):
        return int(text)
    return {"true": True, "false": False}.get(text, text) if bool in kinds else text


def _bare(annotation: Any) -> Any:
    return getattr(annotation, "__origin__", annotation) if hasattr(annotation, "__metadata__") else annotation


def _converted(value: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        place, message = fault_of(where, error)
        raise invalid([(place, message)]) from error
