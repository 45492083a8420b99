"""What an expression means, as far as its source tells."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from stepwell.lint.project import Project
from stepwell.lint.scopes import Binding, Class, Function, Imported, Parameter, Scope, Value, module_scope

STEPS = frozenset(
    {"stepwell.Step", "stepwell.SyncStep", "stepwell.runtime.step.Step", "stepwell.runtime.sync_step.SyncStep"}
)
APPS = frozenset({"stepwell.App", "stepwell.app.application.App"})

_SETS = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
_SET_OPERATIONS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_KEEP_ORDER = frozenset(f"builtins.{name}" for name in ("list", "tuple", "enumerate", "iter", "map", "filter", "zip"))

# functions that give something with methods of its own
_MAKERS = {
    "asyncio.get_running_loop": "asyncio.AbstractEventLoop()",
    "asyncio.get_event_loop": "asyncio.AbstractEventLoop()",
    "pathlib.Path.cwd": "pathlib.Path()",
    "pathlib.Path.home": "pathlib.Path()",
}


@dataclass(frozen=True, slots=True)
class External:
    """Something that is not in the user's own modules, by its full name. `requests.Session()` is an instance."""

    name: str


@dataclass(frozen=True, slots=True)
class OwnModule:
    """A module of the user's own."""

    name: str


class Special(Enum):
    """Values that rules ask for."""

    STEP = auto()  # a Step or SyncStep
    SET = auto()  # a set, or something with the order of one


Meaning: TypeAlias = External | OwnModule | Function | Class | Special | None


def lookup(scope: Scope, name: str) -> Meaning:
    """What a name means here; None when nobody can tell without running the code."""
    holder: Scope | None = scope
    while holder is not None:
        if name in holder.bindings:
            return own(holder, name)
        for module in filter(holder.project.__contains__, holder.stars):
            if name in (starred := module_scope(holder.project, module)).bindings:
                return own(starred, name)
        holder = holder.parent
    return External(f"builtins.{name}") if hasattr(builtins, name) else None


def own(scope: Scope, name: str) -> Meaning:
    """What a name bound in this scope means, if all that it is bound to means the same."""
    known: dict[str, Meaning] = scope.known
    if name not in known:
        known[name] = None  # while it is found out: `x = x.y`
        known[name] = _common([_bound(binding, scope) for binding in scope.bindings.get(name, ())])
    return known[name]


def _common(meanings: Sequence[Meaning]) -> Meaning:
    return meanings[0] if meanings and all(meaning == meanings[0] for meaning in meanings) else None


def _bound(binding: Binding, scope: Scope) -> Meaning:
    match binding:
        case Value(expression):
            return meaning_of(expression, scope)
        case Imported(name):
            return named(scope.project, name)
        case Parameter(name, None):
            return Special.STEP if name == "step" else None
        case Parameter(_, annotation) if annotation is not None:
            return _annotated(annotation, scope)
        case Function() | Class():
            return binding
    return None


def named(project: Project, name: str) -> Meaning:
    """What a full name means, such as `shop.steps.fetch`."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if (module := ".".join(parts[:count])) in project:
            meaning: Meaning = OwnModule(module)
            for part in parts[count:]:
                meaning = _attribute(project, meaning, part)
            return meaning
    return External(name)


def _attribute(project: Project, owner: Meaning, name: str) -> Meaning:
    match owner:
        case External():
            return named(project, f"{owner.name}.{name}")
        case OwnModule():
            if (submodule := f"{owner.name}.{name}") in project:
                return OwnModule(submodule)
            return own(module_scope(project, owner.name), name)
        case Class():
            return own(owner.scope, name)
        case _:
            return None


def meaning_of(node: ast.expr, scope: Scope) -> Meaning:
    """What an expression means; None when nobody can tell without running the code."""
    match node:
        case ast.Name():
            return lookup(scope, node.id)
        case ast.Attribute():
            return _attribute(scope.project, meaning_of(node.value, scope), node.attr)
        case ast.Call():
            return _result(node, scope)
        case ast.Lambda():
            return Function(node, scope, scope.within("<lambda>"))
        case ast.Set() | ast.SetComp():
            return Special.SET
        case ast.BinOp():
            return _operation(node, scope)
        case ast.NamedExpr():
            return meaning_of(node.value, scope)
        case ast.IfExp():
            return _either(scope, node.body, node.orelse)
        case ast.BoolOp():
            return _either(scope, *node.values)
        case _:
            return None


def _either(scope: Scope, *nodes: ast.expr) -> Meaning:
    meanings = [meaning_of(node, scope) for node in nodes]
    if Special.SET in meanings:
        return Special.SET
    return _common(meanings)


def _operation(node: ast.BinOp, scope: Scope) -> Meaning:
    left = meaning_of(node.left, scope)
    if isinstance(node.op, ast.BitOr | ast.BitAnd | ast.BitXor | ast.Sub):
        return Special.SET if Special.SET in (left, meaning_of(node.right, scope)) else None
    is_path = isinstance(node.op, ast.Div) and left == External("pathlib.Path()")
    return left if is_path else None


def _result(node: ast.Call, scope: Scope) -> Meaning:
    match meaning_of(node.func, scope):
        case Special.STEP:  # step(retry=...)
            return Special.STEP
        case Class() as instance:
            return instance
        case External(name):
            return _external_result(name, node, scope)
    if isinstance(node.func, ast.Attribute) and node.func.attr in _SET_OPERATIONS:
        return Special.SET if meaning_of(node.func.value, scope) is Special.SET else None
    return None


def _external_result(name: str, node: ast.Call, scope: Scope) -> Meaning:
    if name in ("builtins.set", "builtins.frozenset"):
        return Special.SET
    if name in _KEEP_ORDER:
        return Special.SET if any(meaning_of(given, scope) is Special.SET for given in node.args) else None
    if name in _MAKERS:
        return External(_MAKERS[name])
    return _instance(name)


def _instance(name: str) -> Meaning:
    """An instance of a class, known by its capital."""
    return External(f"{name}()") if name.rpartition(".")[2][:1].isupper() else None


def _annotated(annotation: ast.expr, scope: Scope) -> Meaning:
    """What a parameter is that has this annotation."""
    match annotation:
        case ast.Constant(value=str() as text):
            try:
                return _annotated(ast.parse(text, mode="eval").body, scope)
            except SyntaxError:
                return None
        case ast.BinOp(op=ast.BitOr()):  # Step | None
            sides = (_annotated(annotation.left, scope), _annotated(annotation.right, scope))
            return sides[0] if sides[0] is not None else sides[1]
        case ast.Subscript():
            inner = meaning_of(annotation.value, scope)
            return Special.SET if _is_set(inner) else None
    match meaning_of(annotation, scope):
        case External(name) if name in STEPS:
            return Special.STEP
        case External() as kind if _is_set(kind):
            return Special.SET
        case External(name):
            return _instance(name)
        case Class() as kind:
            return kind
    return None


def _is_set(kind: Meaning) -> bool:
    return isinstance(kind, External) and kind.name.rpartition(".")[2] in _SETS
