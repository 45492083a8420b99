"""The modules that a check may look into."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stepwell.lint.scopes import Scope

_SILENCED = re.compile(r"#\s*stepwell:\s*ignore\[([\w\s,]+)\]")


class Source(NamedTuple):
    """A module's text, and where a person finds it."""

    file: str
    text: str
    is_package: bool = False


class Module:
    """A parsed module."""

    def __init__(self, name: str, source: Source) -> None:
        self.name, self.file, self.is_package = name, source.file, source.is_package
        self._text = source.text
        self._lines = source.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self._text, self.file)

    @cached_property
    def silenced(self) -> dict[int, frozenset[str]]:
        """The codes that `# stepwell: ignore[...]` names, by line."""
        comments = (
            (token.start[0], _SILENCED.search(token.string))
            for token in tokenize.generate_tokens(io.StringIO(self._text).readline)
            if token.type == tokenize.COMMENT
        )
        return {line: frozenset(re.findall(r"\w+", found[1])) for line, found in comments if found}

    def absolute(self, name: str | None, level: int) -> str:
        """The full name of `from ..name import`, written in this module."""
        if not level:
            return name or ""
        package = self.name.split(".")
        above = package[: len(package) - level + self.is_package]
        return ".".join([*above, *([name] if name else [])])

    def column(self, node: ast.expr | ast.stmt | ast.excepthandler) -> int:
        """Where the node begins in its line, in characters from 1; the syntax tree counts bytes."""
        if node.lineno > len(self._lines):
            return node.col_offset + 1
        return len(self._lines[node.lineno - 1].encode()[: node.col_offset].decode(errors="replace")) + 1


class Project:
    """The user's own modules by name; all others are known by their names only."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._modules: dict[str, Module] = {}
        self.scopes: dict[str, Scope] = {}  # of the modules that were looked into

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def __getitem__(self, name: str) -> Module:
        if name not in self._modules:
            self._modules[name] = Module(name, self._sources[name])
        return self._modules[name]
