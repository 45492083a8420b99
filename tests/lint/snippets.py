"""Small pieces of workflow code, and what the lint says of them."""

from __future__ import annotations

import ast
from textwrap import dedent, indent

from stepwell.lint.check import Checked, Target, check
from stepwell.lint.findings import Finding
from stepwell.lint.project import Project, Source

HEAD = """\
from __future__ import annotations
import asyncio
from stepwell import App, Step, SyncStep
app = App()
async def fetch(number: int = 0) -> int: ...
"""


def no_refusal(module: str, function: str) -> str | None:
    """Everything can be stored."""
    return None


def linted(text: str, **others: str) -> Checked:
    """What is found in all workflows of a module `flows`, beside the user's other modules."""
    module = HEAD + dedent(text)
    texts = {"flows": module} | {name.replace("__", "."): dedent(other) for name, other in others.items()}
    names = [
        node.name
        for node in ast.walk(ast.parse(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("flow")
    ]
    project = Project({name: Source(f"{name}.py", text) for name, text in texts.items()})
    return check(project, [Target("flows", name) for name in names], no_refusal)


def found(text: str, **others: str) -> list[Finding]:
    """The findings alone."""
    return list(linted(text, **others).findings)


def codes(text: str, **others: str) -> list[str]:
    """Their codes."""
    return [finding.code for finding in found(text, **others)]


def in_workflow(body: str, *, imports: str = "") -> list[str]:
    """The codes of what is found in a workflow with this body."""
    return codes(f"{imports}\nasync def flow(n: int, step: Step) -> None:\n{indent(dedent(body), '    ')}\n")
