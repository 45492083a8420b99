"""JSON Schema of an annotation, and what of a value does not fit it: for answers that are checked where no code is.

A process that takes answers need not have the workflows. So the schema is stored with the question, and checked by the
keywords that msgspec and Pydantic emit; it never lets through what the annotation would not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import inspect

from stepwell.errors import InvalidOption

Schema = Mapping[str, Any]
Fault = tuple[str, str]  # path, what is wrong there

MAX_FAULTS = 50  # of an answer: who reads more?

_REF = "#/$defs/"
_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_WORDS = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_FORMATS: Mapping[str, tuple[Any, str]] = {
    "date-time": (Annotated[datetime, msgspec.Meta(tz=True)], "a time with its zone, as in 2026-05-01T12:00:00Z"),
    "local-date-time": (
        Annotated[datetime, msgspec.Meta(tz=False)],
        "a time without a zone, as in 2026-05-01T12:00:00",
    ),
    "date": (date, "a date, as in 2026-05-01"),
    "time": (time, "a time of day, as in 12:00:00"),
    "duration": (timedelta, "a duration, as in P1DT2H"),
    "uuid": (UUID, "a UUID"),
    "decimal": (Decimal, "a decimal number, as in 12.50"),
}


def json_schema(annotation: Any) -> dict[str, Any]:
    """The schema of values of this annotation. Raises InvalidOption when it has none."""
    shared: dict[str, Any] = {}

    def of_model(kind: type) -> dict[str, Any]:
        if not hasattr(kind, "model_json_schema"):
            raise NotImplementedError
        schema: dict[str, Any] = kind.model_json_schema()
        shared.update(schema.pop("$defs", {}))
        return schema

    try:
        schema = msgspec.json.schema(annotation, schema_hook=of_model)
        whole = {**schema, "$defs": {**shared, **schema.get("$defs", {})}}
        _name_formats(schema, inspect.type_info(annotation), whole["$defs"], set())
    except (TypeError, NotImplementedError) as error:
        raise InvalidOption(f"nobody can be asked for a {annotation!r:.200}: {error}") from error
    return whole if whole["$defs"] else schema


def _name_formats(schema: dict[str, Any], node: inspect.Type, defs: Mapping[str, Any], seen: set[str]) -> None:
    """Say which texts are times: msgspec leaves that open, as it reads them with and without a zone."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        if name in seen or name not in defs:
            return
        seen.add(name)
        schema = defs[name]
    match node:
        case inspect.DateTimeType(tz=tz):
            schema["format"] = "local-date-time" if tz is False else "date-time"
        case inspect.TimeType():
            schema["format"] = "time"
    for below, part in _parts(schema, node):
        _name_formats(below, part, defs, seen)


def _parts(schema: dict[str, Any], node: inspect.Type) -> Iterator[tuple[dict[str, Any], inspect.Type]]:
    """The parts of a schema with the types that they are the schemas of."""
    match node:
        case inspect.Metadata(type=inner):
            yield schema, inner
        case inspect.UnionType(types=types) if len(schema.get("anyOf", ())) == len(types):
            yield from zip(schema["anyOf"], types, strict=True)
        case inspect.CollectionType(item_type=item) if isinstance(schema.get("items"), dict):
            yield schema["items"], item
        case inspect.TupleType(item_types=items):
            yield from zip(schema.get("prefixItems", ()), items, strict=False)
        case inspect.DictType(value_type=value) if isinstance(schema.get("additionalProperties"), dict):
            yield schema["additionalProperties"], value
        case inspect.StructType(fields=fields) | inspect.DataclassType(fields=fields):
            yield from _fields(schema, fields)
        case inspect.TypedDictType(fields=fields) | inspect.NamedTupleType(fields=fields):
            yield from _fields(schema, fields)


def _fields(schema: Schema, fields: Iterable[inspect.Field]) -> Iterator[tuple[dict[str, Any], inspect.Type]]:
    places = schema.get("prefixItems", ())
    for place, field in enumerate(fields):
        below = places[place] if place < len(places) else schema.get("properties", {}).get(field.encode_name)
        if isinstance(below, dict):
            yield below, field.type


def faults_of(value: Any, schema: Schema) -> list[Fault]:
    """What of a decoded JSON value does not fit, as (path, message); nothing if it does."""
    found: list[Fault] = []
    for fault in _faults(value, schema, schema.get("$defs", {}), "$"):
        found.append(fault)
        if len(found) == MAX_FAULTS:
            break
    return found


def resolved(schema: Schema, defs: Schema) -> Schema:
    """The schema that a reference stands for."""
    while "$ref" in schema:
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        schema = {**defs.get(schema["$ref"].removeprefix(_REF), {}), **rest}
    return schema


def _faults(value: Any, schema: Schema, defs: Schema, path: str) -> Iterator[Fault]:
    schema = resolved(schema, defs)
    for part in schema.get("allOf", ()):
        yield from _faults(value, part, defs, path)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        yield from _of_none(value, choices, defs, path)
        return
    allowed = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
    if allowed is not None and not any(_is_same(value, one) for one in allowed):
        yield path, f"must be one of: {', '.join(_shown(one) for one in allowed)}"
        return
    if not _is_of(value, kind := schema.get("type", "")):
        yield path, f"must be {_WORDS[kind]}"
        return
    yield from _faults_of_kind(value, schema, defs, path)


def _faults_of_kind(value: Any, schema: Schema, defs: Schema, path: str) -> Iterator[Fault]:
    match value:
        case dict():
            yield from _faults_of_object(value, schema, defs, path)
        case list():
            yield from _faults_of_list(value, schema, defs, path)
        case str():
            yield from _faults_of_text(value, schema, path)
        case int() | float() if not isinstance(value, bool):
            yield from _faults_of_number(value, schema, path)


def _of_none(value: Any, choices: Iterable[Schema], defs: Schema, path: str) -> Iterator[Fault]:
    """Nothing if one choice fits; else what is wrong by the only one that is of the value's kind, or that none is."""
    found = [list(_faults(value, choice, defs, path)) for choice in choices]
    if all(found):
        close = [faults for faults in found if faults[0][0] != path]
        yield from close[0] if len(close) == 1 else [(path, " or ".join(dict.fromkeys(one[0][1] for one in found)))]


def _faults_of_object(value: Mapping[str, Any], schema: Schema, defs: Schema, path: str) -> Iterator[Fault]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}", "is missing"
    for name, part in value.items():
        if name in known:
            yield from _faults(part, known[name], defs, f"{path}.{name}")
        elif others is False:
            yield f"{path}.{name:.100}", "is not known"
        elif isinstance(others, Mapping):
            yield from _faults(part, others, defs, f"{path}.{name:.100}")
        if isinstance(names := schema.get("propertyNames"), Mapping):
            yield from _faults(name, names, defs, f"{path}.{name:.100}")
    yield from _faults_of_size(len(value), schema, "Properties", "entries", path)


def _faults_of_list(value: list[Any], schema: Schema, defs: Schema, path: str) -> Iterator[Fault]:
    first = schema.get("prefixItems", ())
    for place, part in enumerate(value):
        if place < len(first):
            yield from _faults(part, first[place], defs, f"{path}[{place}]")
        elif isinstance(others := schema.get("items"), Mapping):
            yield from _faults(part, others, defs, f"{path}[{place}]")
    yield from _faults_of_size(len(value), schema, "Items", "items", path)


def _faults_of_text(value: str, schema: Schema, path: str) -> Iterator[Fault]:
    yield from _faults_of_size(len(value), schema, "Length", "characters", path)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield path, f"must match {schema['pattern']}"
    if schema.get("contentEncoding") == "base64" and not _is_read_as(bytes, value):
        yield path, "must be base64"
    kind, words = _FORMATS.get(schema.get("format", ""), (str, "text"))
    if not _is_read_as(kind, value):
        yield path, f"must be {words}"


def _faults_of_number(value: float, schema: Schema, path: str) -> Iterator[Fault]:
    if value < schema.get("minimum", value):
        yield path, f"must be at least {schema['minimum']}"
    if value > schema.get("maximum", value):
        yield path, f"must be at most {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield path, f"must be more than {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield path, f"must be less than {schema['exclusiveMaximum']}"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield path, f"must be a multiple of {schema['multipleOf']}"


def _faults_of_size(size: int, schema: Schema, of: str, words: str, path: str) -> Iterator[Fault]:
    if size < schema.get(f"min{of}", 0):
        yield path, f"must have at least {schema[f'min{of}']} {words}"
    if size > schema.get(f"max{of}", size):
        yield path, f"must have at most {schema[f'max{of}']} {words}"


def _is_of(value: Any, kind: str) -> bool:
    """JSON's kinds, not Python's: true is no number."""
    return type(value) in _KINDS.get(kind, (type(value),))


def _is_same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)


def _is_read_as(kind: Any, text: str) -> bool:
    try:
        msgspec.convert(text, kind)
    except (msgspec.ValidationError, ValueError):
        return False
    return True


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
