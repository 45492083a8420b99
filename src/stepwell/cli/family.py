"""An execution's relatives: the children that it has started, their children, and so on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.core.model import Execution

MAX_CHILDREN = 20  # of each that are shown, the newest: a map may have a thousand
MAX_SHOWN = 50  # relatives in all: each is a question to the database


@dataclass
class Node:
    """A child, and those of its children that are shown."""

    execution: Execution
    children: list[Node] = field(default_factory=list)
    unshown: int = 0  # children of it that are not


async def family_of(app: App, execution: Execution) -> Node:
    """The execution with its children below it, level by level, until enough is shown."""
    root, shown = Node(execution), 0
    level = [root]
    while level:
        for parent in level:
            shown += await _add_children(app, parent, most=min(MAX_CHILDREN, MAX_SHOWN - shown))
        level = [child for parent in level for child in parent.children]
    return root


async def _add_children(app: App, parent: Node, *, most: int) -> int:
    found = await app.list(parent=parent.execution.id, limit=most + 1)
    if len(found) > most:
        counts = await app.count(parent=parent.execution.id)
        parent.unshown = sum(counts.values()) - most
    parent.children = [Node(child) for child in reversed(found[:most])]
    return len(parent.children)


def lines(node: Node, indent: str = "") -> Iterator[tuple[str, Execution | None]]:
    """The tree below a node, line by line: what stands before an execution, or a word about those not shown."""
    last = len(node.children) + bool(node.unshown) - 1
    for number, child in enumerate(node.children):
        yield indent + ("└─ " if number == last else "├─ "), child.execution
        yield from lines(child, indent + ("   " if number == last else "│  "))
    if node.unshown:
        yield f"{indent}└─ and {node.unshown:,} more", None
