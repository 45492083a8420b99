"""The SQL statements, one per file in `sql/`, named after what they do. `{{name}}` stands for `sql/parts/name.sql`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from stepwell.errors import InvalidOption

DEFAULT_SCHEMA = "stepwell"

_SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_OUR_SCHEMA = re.compile(rf"\b{DEFAULT_SCHEMA}\b")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_PART = re.compile(r"\{\{(\w+)\}\}")


class Statement(NamedTuple):
    """A statement and the name under which a connection prepares it."""

    name: bytes
    text: bytes


def checked_schema(schema: str) -> str:
    """The schema's name, if it needs no quoting. It is the one identifier that is formatted into SQL."""
    if not _SCHEMA_NAME.fullmatch(schema):
        raise InvalidOption(
            f"schema {schema!r}: use lower-case letters, digits and underscores, at most 63, without pg_ in front"
        )
    return schema


def in_schema(sql: str, schema: str) -> str:
    """The same SQL for another schema. In our files the word `stepwell` is the schema or its notification channel."""
    return _OUR_SCHEMA.sub(schema, sql)


@cache
def statement(name: str, schema: str = DEFAULT_SCHEMA) -> Statement:
    """The statement of `sql/<name>.sql`, without its comments."""
    text = in_schema(_text(f"{name}.sql"), checked_schema(schema))
    return Statement(f"stepwell_{name}".encode(), text.encode())


def _text(path: str) -> str:
    """A file's SQL, with the parts that it shares with others."""
    text = files("stepwell.store").joinpath("sql", path).read_text(encoding="utf-8")
    return _PART.sub(lambda part: _text(f"parts/{part[1]}.sql"), _COMMENT.sub("", text)).strip()
