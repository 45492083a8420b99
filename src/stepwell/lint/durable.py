"""Which calls are durable, and what code makes them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from stepwell.lint.meanings import Special, meaning_of
from stepwell.lint.scopes import Function, Scope, function_scope

RUNNING = frozenset({"run", "map", "transaction", "effect", "compensate_with"})  # those that run functions
DURABLE = RUNNING | {
    "call",
    "callback_url",
    "first",
    "now",
    "patched",
    "random",
    "send_event",
    "sleep",
    "sleep_until",
    "start",
    "uuid",
    "wait_for_event",
}

_OWN_BODIES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def durable_method(node: ast.Call, scope: Scope) -> str | None:
    """`run` of `step.run(...)`; None when the call is not one of a Step."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in DURABLE:
        return None
    return node.func.attr if meaning_of(node.func.value, scope) is Special.STEP else None


def nodes_in(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Everything that runs when these run: not the bodies of functions that are only defined."""
    for node in nodes:
        yield node
        if not isinstance(node, _OWN_BODIES):
            yield from nodes_in(ast.iter_child_nodes(node))


def makes_durable_calls(nodes: Iterable[ast.AST], scope: Scope, *, beyond: frozenset[ast.AST] = frozenset()) -> bool:
    """Whether durable calls are made when these run, also by functions that they call or give a Step to."""
    return any(_is_durable(node, scope, beyond) for node in nodes_in(nodes) if isinstance(node, ast.Call))


def _is_durable(node: ast.Call, scope: Scope, beyond: frozenset[ast.AST]) -> bool:
    if durable_method(node, scope) is not None:
        return True
    given = (*node.args, *(keyword.value for keyword in node.keywords))
    if any(meaning_of(value, scope) is Special.STEP for value in given):
        return True
    called = meaning_of(node.func, scope)
    if not isinstance(called, Function) or called.node in beyond:
        return False
    return makes_durable_calls(body_of(called), function_scope(called), beyond=beyond | {called.node})


def body_of(function: Function) -> list[ast.AST]:
    """What runs when a function is called."""
    return [function.node.body] if isinstance(function.node, ast.Lambda) else list(function.node.body)
