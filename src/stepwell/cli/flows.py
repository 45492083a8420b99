"""FLOWS on the command line: a file or a module, and the one App in it."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App

_FLOWS = re.compile(r"(?P<place>.+?)(?::(?P<attribute>[^\W\d]\w*))?", re.DOTALL)


class Flows(NamedTuple):
    """Where an App is. `root` is the folder from which `module` is imported, and the one `dev` watches."""

    root: Path
    module: str
    file: Path | None  # None when a module was named
    attribute: str | None
    shown: str


def locate(flows: str) -> Flows:
    """Where `flows.py`, `folder/flows.py`, `package.flows`, each with or without `:app`, is. Raises InvalidOption."""
    match = _FLOWS.fullmatch(flows)
    if match is None:
        raise InvalidOption("FLOWS is empty; name a file such as flows.py or a module such as package.flows")
    place, attribute = match["place"], match["attribute"]
    if not place.endswith(".py") and "/" not in place and os.sep not in place:
        return Flows(Path.cwd(), place, None, attribute, place)
    file = Path(place).absolute()
    if os.path.isdir(file):  # unlike Path.is_dir it has an answer for every name
        raise InvalidOption(f"{place} is a folder; name the file in it that has the App")
    if not os.path.isfile(file):
        raise InvalidOption(f"there is no file {place!r:.300}; `stepwell init DIR` writes one to begin with")
    root, names = file.parent, [] if file.stem == "__init__" else [file.stem]
    while (root / "__init__.py").exists():  # a file of a package is imported as such, so that its relative imports work
        root, names = root.parent, [root.name, *names]
    if any("." in name for name in names):
        raise InvalidOption(f"{place} cannot be imported: rename it, the name of a module has no dot")
    return Flows(root, ".".join(names), file, attribute, place)


def load(flows: str) -> App:
    """Import it and find the App. Raises InvalidOption: not there, raises on import, no App, several."""
    found = locate(flows)
    sys.path.insert(0, str(found.root))
    module = _imported(found)
    if found.file is not None and not _is_from(module, found.file):
        elsewhere = getattr(module, "__file__", None) or "Python itself"
        raise InvalidOption(
            f"{found.shown} is hidden by another module called '{found.module}' ({elsewhere}); rename the file"
        )
    return _app_in(module, found)


def _imported(found: Flows) -> ModuleType:
    try:
        return importlib.import_module(found.module)
    except ModuleNotFoundError as error:
        if error.name and f"{found.module}.".startswith(f"{error.name}."):
            raise InvalidOption(
                f"there is no module {found.module!r:.300} in {found.root} or among what is installed"
            ) from error
        raise _unloadable(found, error) from error
    except SystemExit as error:
        raise InvalidOption(
            f"{found.shown} ends the program while it is imported;"
            " put what only a script does behind `if __name__ == '__main__':`"
        ) from error
    except Exception as error:
        raise _unloadable(found, error) from error


def _unloadable(found: Flows, error: Exception) -> InvalidOption:
    message = (str(error).splitlines() or [""])[0]
    if isinstance(error, SyntaxError):
        file, line, message = error.filename or found.shown, error.lineno or 1, error.msg
    else:
        file, line = _raised_at(error, found.root)
    return InvalidOption(f"{_relative(file)}, line {line}: {type(error).__name__}: {message}")


def _raised_at(error: Exception, root: Path) -> tuple[str, int]:
    """The last line of the user's own code that the error went through."""
    frames = [(frame.filename, frame.lineno or 1) for frame in traceback.extract_tb(error.__traceback__)]
    own = [place for place in frames if Path(place[0]).is_relative_to(root) and "site-packages" not in place[0]]
    return (own or frames)[-1]


def _relative(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _is_from(module: ModuleType, file: Path) -> bool:
    own = getattr(module, "__file__", None)
    return own is not None and Path(own).exists() and Path(own).samefile(file)


def _app_in(module: ModuleType, found: Flows) -> App:
    from stepwell.app.application import App

    apps = {name: value for name, value in vars(module).items() if isinstance(value, App)}
    if found.attribute is not None:
        if found.attribute in apps:
            return apps[found.attribute]
        there = f"it has: {', '.join(apps)}" if apps else "it has none"
        raise InvalidOption(f"{found.shown} has no App called '{found.attribute}'; {there}")
    if not apps:
        raise InvalidOption(f"{found.shown} has no App; it needs a line such as `app = App()`")
    if len({id(app) for app in apps.values()}) > 1:
        raise InvalidOption(f"{found.shown} has several Apps; say which: {found.shown}:{next(iter(apps))}")
    return next(iter(apps.values()))
