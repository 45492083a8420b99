"""Which names are bound where: imports, assignments, parameters, functions and classes of each scope."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from stepwell.lint.project import Module, Project

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Value:
    """The name was assigned this."""

    expression: ast.expr


@dataclass(frozen=True, slots=True)
class Imported:
    """The name was imported: the full name of what it stands for."""

    name: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """The name is a parameter."""

    name: str
    annotation: ast.expr | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The name is bound by something that only a run can tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the user's own, and the scope whose names it sees."""

    node: AnyFunction
    scope: Scope
    qualname: str


@dataclass(frozen=True, slots=True, eq=False)
class Class:
    """A class of the user's own, or an instance of it."""

    scope: Scope


Binding: TypeAlias = Value | Imported | Parameter | Unknown | Function | Class


class Scope:
    """The names of a module, a class or a function."""

    def __init__(self, project: Project, module: Module, parent: Scope | None = None, qualname: str = "") -> None:
        self.project, self.module, self.parent, self.qualname = project, module, parent, qualname
        self.bindings: dict[str, list[Binding]] = {}
        self.stars: list[str] = []  # modules of which all names were imported
        self.known: dict[str, Any] = {}  # what names mean, as far as it was found out
        self._functions: dict[AnyFunction, Scope] = {}

    def add(self, name: str, binding: Binding) -> None:
        self.bindings.setdefault(name, []).append(binding)

    def within(self, name: str) -> str:
        """The qualified name of a definition in this scope."""
        return f"{self.qualname}.{name}" if self.qualname else name

    def inside(self, function: Function) -> Scope:
        """The names of a function that sees those of this scope: its parameters, and what its body binds."""
        node = function.node
        if node not in self._functions:
            inner = Scope(self.project, self.module, self, f"{function.qualname}.<locals>")
            _bind_parameters(inner, node.args)
            if not isinstance(node, ast.Lambda):
                _Binder(inner).bind(node.body)
            self._functions[node] = inner
        return self._functions[node]


def module_scope(project: Project, name: str) -> Scope:
    """The names of one of the user's own modules."""
    if name not in project.scopes:
        module = project[name]
        scope = project.scopes[name] = Scope(project, module)
        _Binder(scope).bind(module.tree.body)
    return project.scopes[name]


def function_scope(function: Function) -> Scope:
    """The names that a function's body sees."""
    return function.scope.inside(function)


def comprehension_scope(scope: Scope, generators: Iterable[ast.comprehension]) -> Scope:
    """The names that a comprehension sees."""
    inner = Scope(scope.project, scope.module, scope, scope.qualname)
    for generator in generators:
        for name in _names_in(generator.target):
            inner.add(name, Unknown())
    return inner


def _bind_parameters(scope: Scope, arguments: ast.arguments) -> None:
    for given in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        scope.add(given.arg, Parameter(given.arg, given.annotation))
    for rest in filter(None, (arguments.vararg, arguments.kwarg)):
        scope.add(rest.arg, Unknown())


def _names_in(target: ast.expr) -> Iterable[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load))


class _Binder(ast.NodeVisitor):
    """Adds the names that statements bind to their scope; what is nested in them binds its own."""

    def __init__(self, scope: Scope, *, outer: Scope | None = None) -> None:
        self._scope = scope
        self._outer = outer or scope  # whose names the functions written here see: those of a class see not its names
        self._foreign: set[str] = set()  # declared global or nonlocal

    def bind(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def _add(self, name: str | None, binding: Binding) -> None:
        if name and name not in self._foreign:
            self._scope.add(name, binding)

    def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name) and value is not None:
            self._add(target.id, Value(value))
            return
        for name in _names_in(target):
            self._add(name, Unknown())

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self._foreign.update(node.names)

    visit_Nonlocal = visit_Global

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._add(node.name, Function(node, self._outer, self._scope.within(node.name)))

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        inner = Scope(self._scope.project, self._scope.module, self._scope, self._scope.within(node.name))
        _Binder(inner, outer=self._scope).bind(node.body)
        self._add(node.name, Class(inner))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            first = alias.name.partition(".")[0]
            self._add(alias.asname or first, Imported(alias.name if alias.asname else first))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = self._scope.module.absolute(node.module, node.level)
        for alias in node.names:
            if alias.name == "*":
                self._scope.stars.append(module)
            else:
                self._add(alias.asname or alias.name, Imported(f"{module}.{alias.name}"))

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._assign(node.target, node.value)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._assign(node.target, node.value)
        self.visit(node.value)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._assign(node.target, None)
        self.generic_visit(node)

    visit_AsyncFor = visit_For

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self._assign(node.optional_vars, node.context_expr)
        self.visit(node.context_expr)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._add(node.name, Unknown())
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self._add(node.name, Unknown())
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """It binds its own names, as do comprehensions."""

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        """See visit_Lambda."""

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp
