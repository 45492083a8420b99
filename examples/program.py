"""What demos have in common as programs: counts beside what they must be, how they end, and what they answer with."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from stepwell import StepwellError


class Count(NamedTuple):
    """What there must be, and what there is."""

    what: str
    expected: int
    found: int

    @property
    def is_right(self) -> bool:
        return self.expected == self.found


def table_of(counts: Sequence[Count]) -> Table:
    """What there had to be beside what there is."""
    table = Table("", "must be", "are")
    for count in counts:
        table.add_row(*map(str, count), style=None if count.is_right else "bold red")
    return table


def run(demonstrate: Callable[[Console], Coroutine[Any, Any, bool]], *, out: Path) -> int:
    """The exit code: 0 when every count was right, 1 when not, 130 when stopped; nothing is left running."""
    signal.signal(signal.SIGTERM, _interrupt)
    out.mkdir(exist_ok=True)
    console = Console()
    try:
        return 0 if asyncio.run(demonstrate(console)) else 1
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    except (RuntimeError, StepwellError) as error:
        console.print(f"WRONG: {error}", style="bold red", soft_wrap=True)
        return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A polite request to end is treated like Ctrl-C, so that it leaves nothing running either."""
    raise KeyboardInterrupt
