"""The rules, and what is found against them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Rule(StrEnum):
    """What is looked for. The codes never change their meaning: people silence them by code."""

    CLOCK = "SW101"
    CHANCE = "SW102"
    OUTSIDE = "SW103"
    SURROUNDINGS = "SW104"
    SLEEP = "SW105"
    RACE = "SW106"
    THREADS = "SW107"
    UNSTORABLE = "SW201"
    UNANNOTATED = "SW202"
    UNSTABLE_ARGUMENT = "SW301"
    UNORDERED = "SW302"
    NESTED = "SW401"
    SWALLOWED = "SW402"
    ENDLESS = "SW403"


HINTS = frozenset({Rule.UNANNOTATED, Rule.ENDLESS})  # told, but nothing is wrong yet


class Finding(NamedTuple):
    """A place in the source, and one sentence with the way out. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    code: Rule
    message: str

    @property
    def is_hint(self) -> bool:
        return self.code in HINTS
