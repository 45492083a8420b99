"""What a caller says of the executions that are meant → the engine's Filter. Listings, counts, bulk calls share it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict, get_type_hints
from uuid import UUID

from stepwell.app.checks import checked_status, execution_id_of, optional_text
from stepwell.core.model import Filter
from stepwell.core.moments import aware
from stepwell.core.search import MAX_WORDS, ids_like, words_of
from stepwell.core.status import Status
from stepwell.core.texts import checked_tags, checked_text
from stepwell.errors import InvalidOption
from stepwell.runtime.registry import Workflow


class Facts(TypedDict, total=False):
    """What is known of the executions that are meant: all that is given must hold."""

    status: Status | str | Sequence[Status | str] | None
    workflow: Workflow[..., Any] | str | None
    key: str | None
    tags: Sequence[str]
    parent: UUID | str | None
    created_after: datetime | None
    created_before: datetime | None
    finished_after: datetime | None
    finished_before: datetime | None


class FilterOptions(Facts, total=False):
    """The same, and words that stand in them."""

    text: str | None


_OPTIONS = frozenset(get_type_hints(FilterOptions))


def filter_of(which: FilterOptions, *, before: UUID | str | None = None) -> Filter:
    """The filter. Raises InvalidOption."""
    if unknown := which.keys() - _OPTIONS:
        raise InvalidOption(
            f"{sorted(unknown)[0]!r:.100} is nothing to look for; there are: {', '.join(sorted(_OPTIONS))}"
        )
    workflow, parent = which.get("workflow"), which.get("parent")
    return Filter(
        statuses=_statuses(which.get("status")),
        workflow=optional_text("workflow", workflow.id if isinstance(workflow, Workflow) else workflow),
        key=optional_text("key", which.get("key")),
        tags=checked_tags(which.get("tags", ())),
        parent=None if parent is None else execution_id_of(parent),
        created_after=_moment("created_after", which.get("created_after")),
        created_before=_moment("created_before", which.get("created_before")),
        finished_after=_moment("finished_after", which.get("finished_after")),
        finished_before=_moment("finished_before", which.get("finished_before")),
        text=_searchable(which.get("text")),
        before=None if before is None else execution_id_of(before),
    )


def _statuses(given: Status | str | Sequence[Status | str] | None) -> tuple[Status, ...]:
    if not given:
        return ()
    return tuple(map(checked_status, [given] if isinstance(given, str) else given))


def _moment(option: str, value: datetime | None) -> datetime | None:
    return None if value is None else aware(option, value)


def _searchable(text: str | None) -> str | None:
    if text is None:
        return None
    words = words_of(checked_text("text", text))
    if not words and ids_like(text) is None:
        raise InvalidOption(f"text {text!r:.100} has no word to look for")
    if len(words) > MAX_WORDS:
        raise InvalidOption(f"text has {len(words)} words, look for {MAX_WORDS} at most")
    return text
