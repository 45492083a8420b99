"""How `start --watch` shows what happens: lines for people on standard error, JSON lines for programs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, assert_never

import click

from stepwell.app.follow import Counted, Ended, News, Stepped, Waits
from stepwell.cli.output import clean, console, show_json_line, show_json_text
from stepwell.cli.shown import ending_document, outcome, pretty, step_document
from stepwell.core.status import Status

if TYPE_CHECKING:
    from uuid import UUID

    from rich.status import Status as Spinner


class JsonNews:
    """A JSON object per event, on standard output; `event` says which."""

    def __enter__(self) -> JsonNews:
        return self

    def __exit__(self, *exception: object) -> None:
        """Every line has been written."""

    def started(self, execution_id: UUID, *, is_new: bool) -> None:
        show_json_line({"event": "started", "id": execution_id, "is_new": is_new})

    def __call__(self, news: News) -> None:
        show_json_line(event_of(news))


def event_of(news: News) -> dict[str, Any]:
    """A piece of news for programs."""
    match news:
        case Stepped(record):
            return {"event": "step", **step_document(record)}
        case Counted(map_key, items):
            return {"event": "items", "map": map_key, "items": items}
        case Waits(why):
            return {"event": "waits", "why": why}
        case Ended(execution):
            return {"event": "ended", "id": execution.id, **ending_document(execution)}
    assert_never(news)


class TextNews:
    """Lines on standard error, and the result alone on standard output. A terminal also shows that it is alive."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._console = console(stderr=True)
        self._spinner: Spinner | None = None

    def __enter__(self) -> TextNews:
        if self._console.is_terminal:
            self._spinner = self._stack.enter_context(self._console.status("watching; Ctrl-C leaves it running"))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def started(self, execution_id: UUID, *, is_new: bool) -> None:
        self._line("started" if is_new else "found by its key", str(execution_id))

    def __call__(self, news: News) -> None:
        match news:
            case Stepped(record):
                self._line(*outcome(record), style="red" if record.is_failure else None)
            case Counted(map_key, items):
                self._line("items", f"{map_key}  {items:,} stored")
            case Waits(why):
                self._line("waits", why, style="yellow")
            case Ended(execution):
                self._stack.close()
                if execution.status is Status.COMPLETED:
                    show_json_text(pretty(execution.result or b"null"))
            case _:
                assert_never(news)

    def _line(self, word: str, text: str, *, style: str | None = None) -> None:
        from rich.text import Text

        line = clean(f"{word:<15} {text}")
        if self._spinner is None:
            click.echo(line, err=True)
        else:
            self._console.print(Text(line, style or ""), soft_wrap=True)
