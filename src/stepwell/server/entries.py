"""What a person has entered into a form, as the value that it stands for. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.schemas import Fault
from stepwell.server.forms import PLAIN, ROOT, Field, Kind, asked, leaves

_NOTHING = object()
_MISREAD = {
    Kind.INTEGER: "must be a whole number",
    Kind.NUMBER: "must be a number",
    Kind.JSON: "must be JSON",
    Kind.CHOICE: "must be one of the choices",
    Kind.BUTTONS: "must be decided by a button",
}


def read_form(fields: Sequence[Field], form: Mapping[str, str], *, by: str | None) -> tuple[Any, list[Fault]]:
    """The value that was entered, and what could not be read of it. Whether it fits is for the schema to say."""
    faults: list[Fault] = []
    shown = {field.path for field in asked(fields)}
    named = {field.key: by or "" for field in fields if field.path not in shown}
    value = _read_all(fields, {**form, **named}, faults)
    return (value.get(ROOT) if [field.name for field in fields] == [ROOT] else value), faults


def _read_all(fields: Sequence[Field], form: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for field in fields:
        try:
            found = _read_field(field, form, faults)
        except (ValueError, RecursionError):
            faults.append((field.path, _MISREAD.get(field.kind, "cannot be read")))
        else:
            if found is not _NOTHING:
                value[field.name] = found
    return value


def _read_field(field: Field, form: Mapping[str, str], faults: list[Fault]) -> Any:
    """What was entered; nothing where a field was left empty that may be. Raises ValueError."""
    if field.kind is not Kind.GROUP:
        return _read(field, form.get(field.key, "")) if field.key in form or field.is_required else _NOTHING
    if not field.is_needed and _is_untouched(field, form):
        return None if field.is_required else _NOTHING
    return _read_all(field.parts, form, faults)


def _is_untouched(group: Field, form: Mapping[str, str]) -> bool:
    """Whether nobody has entered anything into its fields."""
    return all(form.get(leaf.key, "").strip() in ("", leaf.initial) for leaf in leaves(group.parts))


def _read(field: Field, text: str) -> Any:
    if field.kind in PLAIN and not field.is_nullable and (text or not field.is_required):
        return text.replace("\r\n", "\n")
    if not text.strip() and (field.kind is not Kind.LIST or field.is_nullable):
        return None if field.is_nullable and field.is_required else _NOTHING
    match field.kind:
        case Kind.LIST:
            return [_read_line(field.item, line.strip()) for line in text.splitlines() if line.strip()]
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


def _read_line(item: Field | None, line: str) -> Any:
    """One item of a list; what cannot be read stays text, of which the schema says what is wrong."""
    if item is None or item.kind not in (Kind.INTEGER, Kind.NUMBER, Kind.CHOICE):
        return line
    words = {words: value for value, words in item.choices}
    try:
        return _read(item, words.get(line, line))
    except ValueError:
        return line


def _with_seconds(text: str) -> str:
    """A browser leaves out seconds that are zero; RFC 3339 does not."""
    return f"{text}:00" if text.count(":") == 1 else text
