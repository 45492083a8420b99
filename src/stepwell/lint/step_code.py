"""The code that steps run: it may do anything but make durable calls."""

from __future__ import annotations

import ast

from stepwell.lint.durable import body_of, durable_method, nodes_in
from stepwell.lint.findings import Rule
from stepwell.lint.meanings import meaning_of
from stepwell.lint.scopes import Function, function_scope
from stepwell.lint.workflow_code import Following


def look_at_step(function: Function, following: Following) -> None:
    """Report the durable calls that a step's function makes, and follow the functions that it calls."""
    scope = function_scope(function)
    for node in nodes_in(body_of(function)):
        if not isinstance(node, ast.Call):
            continue
        if method := durable_method(node, scope):
            message = f"step.{method} inside a step is refused: steps do not nest; call it from the workflow"
            following.report(scope, node, Rule.NESTED, message)
        elif isinstance(called := meaning_of(node.func, scope), Function):
            following.follow(called, as_step=True)


def lacks_annotation(function: Function) -> bool:
    """Whether nobody says what the function returns, although it returns something."""
    node = function.node
    if isinstance(node, ast.Lambda) or node.returns is not None:
        return False
    return any(isinstance(inner, ast.Return) and not _is_none(inner.value) for inner in nodes_in(node.body))


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)
