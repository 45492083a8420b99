"""Our key in texts in Markdown: a comment, which GitHub keeps and shows to nobody."""

from __future__ import annotations


def marked(text: str | None, key: str) -> str:
    """The text with the key below it."""
    return f"{text or ''}\n\n{mark(key)}".lstrip("\n")


def mark(key: str) -> str:
    """What is looked for."""
    return f"<!-- stepwell:{key} -->"
