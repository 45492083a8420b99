"""From the workflows to all code that they reach."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from stepwell.lint.findings import Finding, Rule
from stepwell.lint.project import Project
from stepwell.lint.scopes import AnyFunction, Class, Function, Scope, function_scope, module_scope
from stepwell.lint.step_code import lacks_annotation, look_at_step
from stepwell.lint.workflow_code import Place, WorkflowCode

Refusal = Callable[[str, str], str | None]  # (module, function) → why what it returns cannot be stored


class Target(NamedTuple):
    """A registered workflow's function: its module, and its qualified name there."""

    module: str
    qualname: str


class Checked(NamedTuple):
    """What was found, in the order of the source, and the workflows whose source was not."""

    findings: Sequence[Finding]
    missed: Sequence[Target]


def check(project: Project, workflows: Iterable[Target], refusal: Refusal) -> Checked:
    """Look at the workflows, at the steps that they run, and at the user's own functions that either call."""
    found = {target: list(_functions(project, target)) for target in workflows}
    roots = [function for functions in found.values() for function in functions]
    walk = _Walk(refusal, frozenset(function.node for function in roots))
    for function in roots:
        walk.follow(function, as_step=False)
        walk.check_result(function)
    walk.run()
    return Checked(sorted(walk.findings), [target for target, functions in found.items() if not functions])


def _functions(project: Project, target: Target) -> Iterable[Function]:
    """The functions of that name: a module may define it in both branches of an `if`."""
    if target.module not in project:
        return
    scopes = [module_scope(project, target.module)]
    *outer, name = target.qualname.replace(".<locals>.", ".").split(".")
    for part in outer:
        holders = [binding for scope in scopes for binding in scope.bindings.get(part, ())]
        scopes = [
            holder.scope if isinstance(holder, Class) else function_scope(holder)
            for holder in holders
            if isinstance(holder, Class | Function)
        ]
    for scope in scopes:
        yield from (binding for binding in scope.bindings.get(name, ()) if isinstance(binding, Function))


class _Walk:
    """Goes through each function once as code between durable calls, and once as a step's, if it is reached so."""

    def __init__(self, refusal: Refusal, workflows: frozenset[AnyFunction]) -> None:
        self.findings: set[Finding] = set()
        self._refusal, self._workflows = refusal, workflows
        self._reached: set[tuple[AnyFunction, bool]] = set()
        self._waiting: list[tuple[Function, bool]] = []

    def run(self) -> None:
        """Look at what was reached, and at what is reached from there."""
        while self._waiting:
            function, as_step = self._waiting.pop()
            if as_step:
                look_at_step(function, self)
            else:
                WorkflowCode(function, self).look()

    def follow(self, function: Function, *, as_step: bool) -> None:
        if (function.node, as_step) not in self._reached:
            self._reached.add((function.node, as_step))
            self._waiting.append((function, as_step))

    def follow_step(self, function: Function) -> None:
        """The function is itself what a step runs: its result is stored."""
        self.follow(function, as_step=True)
        self.check_result(function)

    def is_workflow(self, function: Function) -> bool:
        return function.node in self._workflows

    def report(self, scope: Scope, node: Place, rule: Rule, message: str) -> None:
        module = scope.module
        if rule not in module.silenced.get(node.lineno, ()):
            self.findings.add(Finding(module.file, node.lineno, module.column(node), rule, message))

    def check_result(self, function: Function) -> None:
        """What a step or workflow returns is stored: it must be of a type that can be."""
        node, scope = function.node, function.scope
        if isinstance(node, ast.Lambda):
            return
        if reason := self._refusal(scope.module.name, function.qualname):
            message = f"what {node.name} returns cannot be stored: {reason}"
            self.report(scope, node, Rule.UNSTORABLE, message)
        elif lacks_annotation(function) and not self.is_workflow(function):
            message = f"{node.name} runs as a step and does not say what it returns: it is kept as plain JSON values;"
            self.report(scope, node, Rule.UNANNOTATED, f"{message} annotate it")
