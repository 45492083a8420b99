"""The code between durable calls: it runs again on every pass, and has to do the same each time."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Protocol

from stepwell.lint import outside
from stepwell.lint.durable import RUNNING, body_of, durable_method, makes_durable_calls, nodes_in
from stepwell.lint.findings import Rule
from stepwell.lint.meanings import External, Special, lookup, meaning_of, own
from stepwell.lint.scopes import Class, Function, Scope, comprehension_scope, function_scope

_CALLING_BACK = ("builtins.", "functools.", "itertools.")  # these call the lambdas that they are given
_SAFE_FOR_SETS = frozenset(f"builtins.{name}" for name in ("sorted", "len", "min", "max", "sum", "any", "all", "bool"))

_PER_PROCESS = frozenset({"builtins.id", "builtins.hash"})

Place = ast.expr | ast.stmt | ast.excepthandler
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Following(Protocol):
    """Takes what is found, and the functions that are reached."""

    def report(self, scope: Scope, node: Place, rule: Rule, message: str) -> None:
        """There is something at this place."""

    def follow(self, function: Function, *, as_step: bool) -> None:
        """This function is called too: between durable calls, or within a step."""

    def follow_step(self, function: Function) -> None:
        """A step runs this function, and stores what it returns."""

    def is_workflow(self, function: Function) -> bool:
        """Whether the function is a registered workflow."""


class WorkflowCode(ast.NodeVisitor):
    """Looks at one function that runs between durable calls."""

    def __init__(self, function: Function, following: Following) -> None:
        self._scope, self._following = function_scope(function), following
        self._body = body_of(function)

    def look(self) -> None:
        """Report what is in the function's own body."""
        for node in self._body:
            self.visit(node)

    def _report(self, node: Place, rule: Rule, message: str) -> None:
        self._following.report(self._scope, node, rule, message)

    def _offend(self, node: Place, offence: outside.Offence | None) -> None:
        if offence is not None:
            self._report(node, *offence)

    # --- calls ----------------------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        if method := durable_method(node, self._scope):
            self._durable(node, method)
            return
        match meaning_of(node.func, self._scope):
            case Function() as called:
                self._following.follow(called, as_step=False)
            case Class() as made if isinstance(init := own(made.scope, "__init__"), Function):
                self._following.follow(init, as_step=False)
            case External(name):
                self._offend(node, outside.offence_of(name, node))
                if name.startswith(_CALLING_BACK):
                    self._follow_lambdas(node)
            case None if isinstance(node.func, ast.Attribute):
                self._offend(node, outside.file_method(node.func.attr))
        self.generic_visit(node)

    def _follow_lambdas(self, node: ast.Call) -> None:
        for given in _given(node):
            if isinstance(given, ast.Lambda) and isinstance(called := meaning_of(given, self._scope), Function):
                self._following.follow(called, as_step=False)

    def _durable(self, node: ast.Call, method: str) -> None:
        name = node.args[0] if node.args else None
        for given in _given(node):
            if not (method in RUNNING and self._runs(given)):
                self.visit(given)
                self._check_argument(given, is_name=given is name)
        if method == "map" and len(node.args) > 2 and meaning_of(node.args[2], self._scope) is Special.SET:
            self._unordered(node.args[2])

    def _runs(self, given: ast.expr) -> bool:
        """Whether this is a function that runs as a step, which is then followed as such."""
        match meaning_of(given, self._scope):
            case Function() as body:
                if not self._following.is_workflow(body):
                    self._following.follow_step(body)
                return True
        if not isinstance(given, ast.Call) or not given.args:
            return False
        if meaning_of(given.func, self._scope) != External("functools.partial") or not self._runs(given.args[0]):
            return False
        for bound in _given(given)[1:]:
            self.visit(bound)
            self._check_argument(bound, is_name=False)
        return True

    def _check_argument(self, given: ast.expr, *, is_name: bool) -> None:
        """What a durable call is named and given is compared with what is stored."""
        harmless: set[ast.AST] = set()
        for node in nodes_in([given]):
            called = meaning_of(node.func, self._scope) if isinstance(node, ast.Call) else None
            name = called.name if isinstance(called, External) else ""
            if name in _SAFE_FOR_SETS and isinstance(node, ast.Call):
                harmless.update(nodes_in(node.args))
            if name in _PER_PROCESS:
                self._unstable(given, f"{name.removeprefix('builtins.')}()")
            elif is_name and node not in harmless and self._is_set(node):
                self._unstable(given, "a set")

    def _is_set(self, node: ast.AST) -> bool:
        return isinstance(node, ast.expr) and meaning_of(node, self._scope) is Special.SET

    def _unstable(self, node: ast.expr, what: str) -> None:
        message = f"{what} differs from process to process, so this call would not be found again; use something stored"
        self._report(node, Rule.UNSTABLE_ARGUMENT, message)

    # --- what is looked at ----------------------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> None:
        found = meaning_of(node, self._scope)
        if isinstance(found, External) and (offence := outside.surroundings(found.name)):
            self._report(node, *offence)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        found = lookup(self._scope, node.id) if isinstance(node.ctx, ast.Load) else None
        if isinstance(found, External):
            self._offend(node, outside.surroundings(found.name))

    # --- the order of durable calls -------------------------------------------------------------------------------

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        if meaning_of(node.iter, self._scope) is Special.SET and makes_durable_calls(node.body, self._scope):
            self._unordered(node.iter)
        self.generic_visit(node)

    visit_AsyncFor = visit_For

    def visit_ListComp(self, node: Comprehension) -> None:
        before, self._scope = self._scope, comprehension_scope(self._scope, node.generators)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for generator in node.generators:
            if meaning_of(generator.iter, self._scope) is Special.SET and makes_durable_calls(parts, self._scope):
                self._unordered(generator.iter)
        self.generic_visit(node)
        self._scope = before

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _unordered(self, node: ast.expr) -> None:
        message = "durable calls are made in the order of a set, which is another in every process; use sorted(...)"
        self._report(node, Rule.UNORDERED, message)

    def visit_While(self, node: ast.While) -> None:
        is_endless = isinstance(node.test, ast.Constant) and bool(node.test.value) and not _may_leave(node.body)
        if is_endless and makes_durable_calls(node.body, self._scope):
            message = "each round adds to the history, which every pass reads; return after some rounds, and start the"
            self._report(node, Rule.ENDLESS, f"{message} next execution with step.start, or use a schedule")
        self.generic_visit(node)

    # --- the suspension -------------------------------------------------------------------------------------------

    def visit_Try(self, node: ast.Try) -> None:
        self._look_at_handlers(node)
        self.generic_visit(node)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self._look_at_handlers(node)
        self.generic_visit(node)

    def _look_at_handlers(self, node: ast.Try | ast.TryStar) -> None:
        if makes_durable_calls(node.body, self._scope):
            for handler in node.handlers:
                if self._takes_everything(handler.type) and not _raises(handler.body):
                    self._swallows(handler)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and meaning_of(call.func, self._scope) == External("contextlib.suppress"):
                is_all = any(self._takes_everything(kind) for kind in call.args)
                if is_all and makes_durable_calls(node.body, self._scope):
                    self._swallows(call)
        self.generic_visit(node)

    def _takes_everything(self, kind: ast.expr | None) -> bool:
        if isinstance(kind, ast.Tuple):
            return any(self._takes_everything(one) for one in kind.elts)
        return kind is None or meaning_of(kind, self._scope) == External("builtins.BaseException")

    def _swallows(self, node: Place) -> None:
        message = (
            "this also catches the suspension of the workflow, each time it waits; catch Exception, or raise again"
        )
        self._report(node, Rule.SWALLOWED, message)

    # --- what is only defined here --------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outer in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(outer)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """It is looked at where something calls it."""

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """See visit_Lambda."""


def _given(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _raises(nodes: Sequence[ast.AST]) -> bool:
    return any(isinstance(node, ast.Raise) for node in nodes_in(nodes))


def _may_leave(body: Sequence[ast.stmt]) -> bool:
    """Whether a loop has a way out: its own break, a return, or an error."""
    return any(isinstance(node, ast.Return | ast.Raise) for node in nodes_in(body)) or any(map(_may_break, body))


def _may_break(node: ast.AST) -> bool:
    if isinstance(node, ast.For | ast.AsyncFor | ast.While):  # its breaks are its own, but for those of its `else`
        return any(map(_may_break, node.orelse))
    return isinstance(node, ast.Break) or any(map(_may_break, ast.iter_child_nodes(node)))
