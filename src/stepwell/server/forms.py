"""Forms: the fields that a JSON Schema asks a person for, and the value of what a browser sends back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from stepwell.schemas import Fault, Schema, resolved

PREFIX = "f."  # before the names of fields, so that none is one of the page's own
ROOT = ""  # the name of the only field of a value that is no object
NAMED = "answered_by"  # a text field of this name is the person's name, and not asked twice

LONG = 100  # characters; a text that may be longer gets several lines


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
    JSON = "json"


_FORMATS = {"date": Kind.DATE, "time": Kind.TIME, "date-time": Kind.UTC, "local-date-time": Kind.LOCAL}
_PLAIN = (Kind.TEXT, Kind.LINES)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked for. `choices` are (JSON text, words)."""

    name: str
    label: str
    help: str
    kind: Kind
    is_required: bool
    is_nullable: bool
    schema: Schema
    choices: Sequence[tuple[str, str]] = ()

    @property
    def key(self) -> str:
        """Its name in the form."""
        return PREFIX + self.name

    @property
    def path(self) -> str:
        """Its place in the value."""
        return f"$.{self.name}" if self.name else "$"

    @property
    def initial(self) -> str:
        """What it holds before anybody has entered anything."""
        default = self.schema.get("default")
        if default is None or self.kind is Kind.BUTTONS:
            return ""
        return default if isinstance(default, str) and self.kind in _PLAIN else _written(self.kind, default)


def fields_of(schema: Schema) -> list[Field]:
    """What is asked for, in the order of the schema; a true-or-false comes last, as buttons, if there is only one."""
    defs = schema.get("$defs", {})
    whole = resolved(schema, defs)
    if whole.get("type") != "object" or not whole.get("properties"):
        return _with_buttons([_field(ROOT, schema, defs, is_required=True)])
    required = whole.get("required", ())
    parts = whole["properties"].items()
    return _with_buttons([_field(name, part, defs, is_required=name in required) for name, part in parts])


def asked(fields: Sequence[Field]) -> list[Field]:
    """Those that the page shows: not the one that is the person's name."""
    return [field for field in fields if field.name != NAMED or field.kind not in _PLAIN]


def _with_buttons(fields: list[Field]) -> list[Field]:
    booleans = [field for field in fields if field.schema.get("type") == "boolean" and not field.is_nullable]
    if len(booleans) != 1:
        return fields
    (only,) = booleans
    buttons = Field(only.name, only.label, only.help, Kind.BUTTONS, True, False, only.schema)
    return [*(field for field in fields if field is not only), buttons]


def _field(name: str, schema: Schema, defs: Schema, *, is_required: bool) -> Field:
    part, is_nullable = _without_null(resolved(schema, defs), defs)
    kind = _kind_of(part)
    label = str(part.get("title") or "") if "$ref" not in schema else ""
    return Field(
        name,
        label or _words(name),
        str(part.get("description", "")),
        kind,
        is_required,
        is_nullable,
        part,
        _choices(part) if kind is Kind.CHOICE else (),
    )


def _without_null(schema: Schema, defs: Schema) -> tuple[Schema, bool]:
    """What is asked for besides null, and whether null would do."""
    others = [resolved(one, defs) for one in schema.get("anyOf", ())]
    real = [one for one in others if one.get("type") != "null"]
    if len(others) == len(real) or len(real) != 1:
        return schema, None in schema.get("enum", ())
    return {**real[0], **{name: value for name, value in schema.items() if name != "anyOf"}}, True


def _kind_of(schema: Schema) -> Kind:
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
    return Kind.JSON


def _choices(schema: Schema) -> list[tuple[str, str]]:
    if schema.get("type") == "boolean":
        return [("true", "Yes"), ("false", "No")]
    values = schema["enum"] if "enum" in schema else [schema["const"]]
    return [(json.dumps(one), one if isinstance(one, str) else json.dumps(one)) for one in values if one is not None]


def _words(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _written(kind: Kind, value: Any) -> str:
    """A value as its field holds it."""
    if kind in (Kind.UTC, Kind.DATE, Kind.TIME, Kind.LOCAL) and isinstance(value, str):
        return value.removesuffix("Z")
    return json.dumps(value)


def read_form(fields: Sequence[Field], form: Mapping[str, str], *, by: str | None) -> tuple[Any, list[Fault]]:
    """The value that was entered, and what could not be read of it. Whether it fits is for the schema to say."""
    value: dict[str, Any] = {}
    faults: list[Fault] = []
    for field in fields:
        text = (by or "") if field not in asked(fields) else form.get(field.key, "")
        try:
            found = _read(field, text)
        except (ValueError, RecursionError):
            faults.append((field.path, _MISREAD.get(field.kind, "cannot be read")))
        else:
            if found is not _NOTHING:
                value[field.name] = found
    if [field.name for field in fields] == [ROOT]:
        return value.get(ROOT), faults
    return value, faults


_NOTHING = object()
_MISREAD = {
    Kind.INTEGER: "must be a whole number",
    Kind.NUMBER: "must be a number",
    Kind.JSON: "must be JSON",
    Kind.CHOICE: "must be one of the choices",
    Kind.BUTTONS: "must be decided by a button",
}


def _read(field: Field, text: str) -> Any:
    """What was entered; nothing where a field was left empty that may be. Raises ValueError."""
    if field.kind in _PLAIN and not field.is_nullable and not (field.schema.get("minLength") and not text):
        return text.replace("\r\n", "\n")
    if not text.strip():
        return None if field.is_nullable and field.is_required else _NOTHING
    match field.kind:
        case Kind.INTEGER:
            return int(text)
        case Kind.NUMBER:
            return float(text) if any(mark in text for mark in ".eE") else int(text)
        case Kind.BUTTONS | Kind.CHOICE | Kind.JSON:
            return json.loads(text)
        case Kind.UTC:
            return f"{_with_seconds(text)}Z"
        case Kind.LOCAL | Kind.TIME:
            return _with_seconds(text)
    return text.replace("\r\n", "\n")


def _with_seconds(text: str) -> str:
    """A browser leaves out seconds that are zero; RFC 3339 does not."""
    return f"{text}:00" if text.count(":") == 1 else text
