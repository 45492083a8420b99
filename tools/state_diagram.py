"""The state diagram of an execution, drawn from the table of legal moves in `stepwell.core.status`.

python tools/state_diagram.py            print it
python tools/state_diagram.py --write    put it between the markers in ARCHITECTURE.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from stepwell.core.status import FINAL, MOVES, Status

ARCHITECTURE = Path(__file__).parents[1] / "ARCHITECTURE.md"
BEGIN, END = "<!-- states: drawn by tools/state_diagram.py -->\n", "<!-- end of states -->\n"


def diagram() -> str:
    """A Mermaid block: every legal move with its reason."""
    moves = [f"    {before} --> {after}: {reason}" for (before, after), reason in MOVES.items()]
    ends = [f"    {status} --> [*]" for status in Status if status in FINAL]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Status.PENDING}: accepted", *moves, *ends, "```"]
    return "\n".join(lines) + "\n"


def drawn_in(text: str) -> str:
    """What a document has between the markers."""
    return text.partition(BEGIN)[2].partition(END)[0]


def redrawn(text: str) -> str:
    """The document with the diagram of today."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + diagram() + END + rest.partition(END)[2]


if __name__ == "__main__":
    if "--write" in sys.argv:
        ARCHITECTURE.write_text(redrawn(ARCHITECTURE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(diagram())
