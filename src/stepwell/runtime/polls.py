"""Workflows that look for what is new and start an execution for each item, made by the engine for `poll` triggers.

One execution of them is one look. The page it has found is a step's result, so a crash asks the other system again at
most. Starting the items and moving the cursor is one statement, done if the cursor is where this look has read it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, get_origin

from stepwell.codec import Codec, codec_for, codec_of, resolve_annotation, result_codec
from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.payload import unpack
from stepwell.core.schedule import Cursor
from stepwell.core.triggers import Page, PollTrigger
from stepwell.errors import InvalidOption
from stepwell.inputs import InputCodec
from stepwell.runtime.outages import outlast
from stepwell.runtime.step import Step
from stepwell.store.identity import new_id

MAX_ITEMS = 2_000  # of a page: one statement starts them all
MAX_KEY_BYTES = 1_000  # an index entry holds 2,704, the workflow's name with it
MAX_PAGES = 100  # of one look; the next tick goes on


def poll_function(
    trigger: PollTrigger, schedule_id: str, *, workflow: str, queue: str, input: InputCodec
) -> Callable[..., Coroutine[Any, Any, int]]:
    """The function of the workflow that polls. Raises InvalidOption when the trigger's has no fitting annotations."""
    read = _cursor_codec(trigger.function)
    _check_result(trigger.function)

    def started_by(page: Page[Any, Any], by: str) -> list[NewExecution]:
        if len(page.items) > MAX_ITEMS:
            raise InvalidOption(f"a page of {len(page.items):,} items is too long, use {MAX_ITEMS:,} and has_more=True")
        names = [trigger.key(item) if trigger.key else f"{by}#{index}" for index, item in enumerate(page.items)]
        return [
            NewExecution(
                ExecutionId(new_id()), workflow, input.keep(_json(item)), queue, _checked_key(f"{schedule_id}:{name}")
            )
            for name, item in zip(names, page.items, strict=True)
        ]

    async def poll(step: Step) -> int:
        """Start what is new; how many items there were."""
        around, count = step._pass.around, 0

        async def cursor() -> Cursor:
            return await outlast(around, partial(around.store.catalog.cursor, schedule_id))

        async def start(page: Page[Any, Any], since: Cursor, by: str) -> int | None:
            new, moved = started_by(page, by), Cursor(_json(page.cursor).decode(), by)
            advance = partial(around.store.catalog.advance, schedule_id, moved, since=since, new=new)
            has_moved = await outlast(around, advance)
            is_ours = has_moved or (await cursor()).moved_by == by  # an attempt that was cut has moved it
            return len(new) if is_ours else None

        for number in range(1, MAX_PAGES + 1):
            since = await step.run("cursor", cursor)
            position = None if since.value is None else read.decode_text(since.value.encode())
            page = await step.run("poll", trigger.function, position)
            started = await step.run("start", start, page, since, f"{step.execution_id}/{number}")
            count += started or 0
            if started is None or not page.has_more:  # somebody else polls as well: what we have found is theirs
                break
        return count

    return poll


def _checked_key(key: str) -> str:
    if len(key.encode(errors="replace")) > MAX_KEY_BYTES or not key.isprintable():
        raise InvalidOption(f"key {key!r:.100} of an item: use at most {MAX_KEY_BYTES} bytes that can be printed")
    return key


def _cursor_codec(function: Callable[..., Any]) -> Codec[Any]:
    """Of the function's one parameter."""
    parameters = [*inspect.signature(function).parameters.values()]
    if len(parameters) != 1:
        raise InvalidOption(f"poll({_name(function)}): it takes the cursor and nothing else")
    (one,) = parameters
    if one.annotation is one.empty:
        return codec_for(Any)
    return codec_for(resolve_annotation(function, one.name, one.annotation))


def _check_result(function: Callable[..., Any]) -> None:
    annotation = result_codec(function).annotation
    if annotation is not Page and get_origin(annotation) is not Page:
        raise InvalidOption(f"poll({_name(function)}): annotate what it returns as Page[Item, Cursor]")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))


def _json(value: object) -> bytes:
    """By the value's own type."""
    return unpack(codec_of(value).encode(value)[0])
