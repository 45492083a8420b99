"""Options that say which executions are meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from stepwell.cli.options import several, to_moment
from stepwell.core.status import Status

F = TypeVar("F", bound=Callable[..., Any])

FACTS = ("status", "workflow", "key", "tags", "parent")
TIMES = ("created_after", "created_before", "finished_after", "finished_before")


fact_options = several(
    click.option(
        "--status",
        type=click.Choice([status.value for status in Status]),
        multiple=True,
        help="Only with this status; several are alternatives.",
    ),
    click.option("--workflow", help="Only of this workflow."),
    click.option("--key", help="Only with this key."),
    click.option("--tag", "tags", multiple=True, help="Only with this tag; of several, with all."),
    click.option("--parent", type=click.UUID, metavar="ID", help="Only those that this execution has started."),
)
"""What is known of them, but for times."""


def filter_options(command: F) -> F:
    """All that `list` takes; the command gets them as `which`."""

    @fact_options
    @click.option("--created-after", metavar="TIME", callback=to_moment, help="Only accepted at this time or later.")
    @click.option("--created-before", metavar="TIME", callback=to_moment, help="Only accepted earlier.")
    @click.option("--finished-after", metavar="TIME", callback=to_moment, help="Only ended at this time or later.")
    @click.option("--finished-before", metavar="TIME", callback=to_moment, help="Only ended earlier.")
    @functools.wraps(command)
    def with_filter(*args: Any, **options: Any) -> Any:
        which = {fact: options.pop(fact) for fact in (*FACTS, *TIMES)}
        return command(*args, which=which, **options)

    return with_filter  # type: ignore[return-value]
