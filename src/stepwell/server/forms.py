"""Forms: the fields that a JSON Schema asks a person for. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from stepwell.schemas import Schema, resolved

PREFIX = "f."  # before the names of fields, so that none is one of the page's own
ROOT = ""  # the name of the only field of a value that is no object
NAMED = "answered_by"  # a text field of this name is the person's name, and not asked twice

LONG = 100  # characters; a text that may be longer gets several lines
MAX_DEPTH = 2  # objects within each other that have fields of their own; what is deeper is asked for as JSON


class Kind(Enum):
    """How a field is asked for."""

    BUTTONS = "buttons"  # true or false, by what is pressed
    CHOICE = "choice"
    TEXT = "text"
    LINES = "lines"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    LOCAL = "datetime-local"
    UTC = "utc"  # a browser knows no zones: what is entered counts as UTC
    LIST = "list"  # one item on each line
    GROUP = "group"  # an object, by the fields that it has
    JSON = "json"


_FORMATS = {"date": Kind.DATE, "time": Kind.TIME, "date-time": Kind.UTC, "local-date-time": Kind.LOCAL}
_SAMPLES = {
    "decimal": "12.50",
    "duration": "P1DT2H",
    "date": "2026-05-01",
    "time": "12:00:00",
    "date-time": "2026-05-01T12:00:00Z",
    "local-date-time": "2026-05-01T12:00:00",
}
PLAIN = (Kind.TEXT, Kind.LINES)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked for, at `path` of the value. `choices` are (JSON text, words)."""

    name: str
    path: str
    label: str
    help: str
    kind: Kind
    is_required: bool
    is_nullable: bool
    schema: Schema
    choices: Sequence[tuple[str, str]] = ()
    parts: Sequence[Field] = ()  # of an object
    item: Field | None = None  # what each line of a list is

    @property
    def key(self) -> str:
        """Its name in the form."""
        return PREFIX + self.path.removeprefix("$").removeprefix(".")

    @property
    def is_needed(self) -> bool:
        """Whether something has to be entered."""
        return self.is_required and not self.is_nullable

    @property
    def initial(self) -> str:
        """What it holds before anybody has entered anything."""
        default = self.schema.get("default")
        if default is None or self.kind is Kind.BUTTONS:
            return ""
        if self.kind is Kind.LIST:
            return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in default)
        return default if isinstance(default, str) and self.kind in PLAIN else _written(self.kind, default)


def fields_of(schema: Schema) -> list[Field]:
    """What is asked for, in the order of the schema; the one true-or-false, if it is required, last and as buttons."""
    defs = schema.get("$defs", {})
    whole = resolved(schema, defs)
    if not _has_fields(whole):
        return _with_buttons([_field(ROOT, "$", schema, defs, is_required=True)])
    return _with_buttons(_parts(whole, defs, "$", depth=0))


def asked(fields: Sequence[Field]) -> list[Field]:
    """Those that the page shows: not the one that is the person's name."""
    return [field for field in fields if field.name != NAMED or field.kind not in PLAIN]


def leaves(fields: Sequence[Field]) -> list[Field]:
    """The fields that something is entered into: instead of an object, its own."""
    return [leaf for field in fields for leaf in (leaves(field.parts) if field.kind is Kind.GROUP else [field])]


def _has_fields(schema: Schema) -> bool:
    return schema.get("type") == "object" and bool(schema.get("properties"))


def _parts(schema: Schema, defs: Schema, path: str, *, depth: int) -> list[Field]:
    required, default = schema.get("required", ()), schema.get("default")
    found = []
    for name, part in schema["properties"].items():
        given = {**part, "default": default[name]} if isinstance(default, Mapping) and name in default else part
        found.append(_field(name, f"{path}.{name}", given, defs, is_required=name in required, depth=depth))
    return found


def _with_buttons(fields: list[Field]) -> list[Field]:
    booleans = [field for field in fields if field.schema.get("type") == "boolean" and not field.is_nullable]
    if len(booleans) != 1 or not booleans[0].is_required:
        return fields
    (only,) = booleans
    buttons = Field(only.name, only.path, only.label, only.help, Kind.BUTTONS, True, False, only.schema)
    return [*(field for field in fields if field is not only), buttons]


def _field(name: str, path: str, schema: Schema, defs: Schema, *, is_required: bool, depth: int = 0) -> Field:
    part, is_nullable = _without_null(resolved(schema, defs), defs)
    item = _item(part, defs)
    kind = Kind.LIST if item else _kind_of(part, depth)
    choices = _choices(part) if kind is Kind.CHOICE else ()
    hint = _hint(part, defs, kind, item)
    return Field(
        name,
        path,
        _title(schema) or _words(name),
        " ".join(text for text in (hint, str(part.get("description", ""))) if text),
        kind,
        is_required,
        is_nullable,
        part,
        choices,
        _parts(part, defs, path, depth=depth + 1) if kind is Kind.GROUP else (),
        item,
    )


def _title(schema: Schema) -> str:
    """What is said of this place, not of the type that it refers to."""
    titles = (one.get("title") for one in (schema, *schema.get("anyOf", ())) if one is schema or "$ref" not in one)
    is_name_of_type = "$ref" not in schema and schema.get("type") == "object"
    return "" if is_name_of_type else next((str(title) for title in titles if title), "")


def _item(schema: Schema, defs: Schema) -> Field | None:
    """What is on each line of a list; None unless that can be read from a line."""
    items = schema.get("items")
    if schema.get("type") != "array" or "prefixItems" in schema or not isinstance(items, Mapping):
        return None
    item = _field(ROOT, "$", items, defs, is_required=True, depth=MAX_DEPTH)
    return None if item.is_nullable or item.kind in (Kind.JSON, Kind.LIST) else item


def _without_null(schema: Schema, defs: Schema) -> tuple[Schema, bool]:
    """What is asked for besides null, and whether null would do."""
    others = [resolved(one, defs) for one in schema.get("anyOf", ())]
    real = [one for one in others if one.get("type") != "null"]
    if len(others) == len(real) or len(real) != 1:
        return schema, None in schema.get("enum", ())
    return {**real[0], **{name: value for name, value in schema.items() if name != "anyOf"}}, True


def _kind_of(schema: Schema, depth: int) -> Kind:
    if "enum" in schema or "const" in schema:
        return Kind.CHOICE
    match schema.get("type"):
        case "boolean":
            return Kind.CHOICE
        case "integer":
            return Kind.INTEGER
        case "number":
            return Kind.NUMBER
        case "string" if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        case "string":
            is_short = "format" in schema or schema.get("maxLength", LONG + 1) <= LONG
            return Kind.TEXT if is_short else Kind.LINES
        case "object" if _has_fields(schema) and depth < MAX_DEPTH:
            return Kind.GROUP
    return Kind.JSON


def _choices(schema: Schema) -> list[tuple[str, str]]:
    if schema.get("type") == "boolean":
        return [("true", "Yes"), ("false", "No")]
    values = schema["enum"] if "enum" in schema else [schema["const"]]
    return [(json.dumps(one), one if isinstance(one, str) else json.dumps(one)) for one in values if one is not None]


def _words(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _hint(schema: Schema, defs: Schema, kind: Kind, item: Field | None) -> str:
    """How to write it, where that does not go without saying."""
    match kind:
        case Kind.UTC:
            return "In UTC."
        case Kind.JSON:
            return f"As JSON, such as {json.dumps(_sample(schema, defs), ensure_ascii=False)}"
        case Kind.LIST if item and item.choices:
            return f"One on each line, of: {', '.join(words for _, words in item.choices)}."
        case Kind.LIST:
            sample = _SAMPLES.get(item.schema.get("format", "")) if item else None
            return f"One on each line, such as {sample}" if sample else "One on each line."
        case Kind.TEXT | Kind.LINES if schema.get("contentEncoding") == "base64":
            return "In base64."
        case Kind.TEXT if sample := _SAMPLES.get(schema.get("format", "")):
            return f"Such as {sample}"
    return ""


def _sample(schema: Schema, defs: Schema, depth: int = 0) -> Any:
    """Some value of the right shape."""
    part, _ = _without_null(resolved(schema, defs), defs)
    if "enum" in part or "const" in part or "default" in part:
        return part["enum"][0] if "enum" in part else part.get("const", part.get("default"))
    if depth > MAX_DEPTH:
        return None
    match part.get("type"):
        case "object":
            names = part.get("required") or list(part.get("properties", ()))
            return {name: _sample(part["properties"][name], defs, depth + 1) for name in names}
        case "array":
            items = part.get("prefixItems") or [part.get("items") or {}]
            return [_sample(one, defs, depth + 1) for one in items]
        case "integer" | "number":
            return 1
        case "null":
            return None
        case "boolean":
            return True
    if "anyOf" in part:
        return _sample(part["anyOf"][0], defs, depth + 1)
    return _SAMPLES.get(part.get("format", ""), "text")


def _written(kind: Kind, value: Any) -> str:
    """A value as its field holds it."""
    if kind in (Kind.UTC, Kind.DATE, Kind.TIME, Kind.LOCAL) and isinstance(value, str):
        return value.removesuffix("Z")
    return json.dumps(value)
