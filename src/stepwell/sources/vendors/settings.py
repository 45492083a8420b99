"""Patterns of settings that several sources have."""

from __future__ import annotations

HEADER_NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,99}"
FIELD_PATH = r"[^.\0]{1,100}(\.[^.\0]{1,100}){0,9}"
