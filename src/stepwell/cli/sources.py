"""What the lint looks at: the source of the workflows and of the user's own modules, and what of it can be stored."""

from __future__ import annotations

import inspect
import sys
import tokenize
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from stepwell.codec import result_codec, unstorable_type
from stepwell.errors import InvalidOption
from stepwell.lint.check import Target
from stepwell.lint.project import Project, Source
from stepwell.runtime.registry import Registry, Workflow


def targets_of(registry: Registry) -> dict[Target, str]:
    """Where the function of each workflow is, and the workflow's id."""
    functions = {name: inspect.unwrap(registry[name].function) for name in registry.names}
    return {
        Target(function.__module__, function.__qualname__): name
        for name, function in functions.items()
        if not function.__module__.startswith("stepwell.")  # workflows of the engine's own
    }


def project_of(targets: Iterable[Target], root: Path) -> Project:
    """The modules of the workflows, and whatever was imported from the folder of FLOWS."""
    named = {target.module for target in targets}
    return Project({name: source for name, module in _modules(named, root) if (source := _source(module)) is not None})


def _modules(named: set[str], root: Path) -> Iterator[tuple[str, ModuleType]]:
    for name, module in sys.modules.copy().items():
        file = Path(getattr(module, "__file__", None) or sys.executable)
        is_own = file.is_relative_to(root) and "site-packages" not in file.parts
        if name in named or (is_own and file.suffix == ".py"):
            yield name, module


def _source(module: ModuleType) -> Source | None:
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return None
    with tokenize.open(file) as stream:
        return Source(_relative(Path(file)), stream.read(), is_package=hasattr(module, "__path__"))


def _relative(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def refusal(module: str, qualname: str) -> str | None:
    """Why what a function returns cannot be stored; None if it can, or if only a run could tell."""
    try:
        function: Any = attrgetter(qualname)(sys.modules[module])
    except (KeyError, AttributeError):  # `<locals>`: it is made when the function around it runs
        return None
    if isinstance(function, Workflow):
        function = function.function
    try:
        return unstorable_type(result_codec(function).annotation)
    except InvalidOption as error:
        return str(error)
