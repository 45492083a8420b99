"""The reference knows every call, parameter, setting and error, and no others. (Commands: tests/cli.)"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, get_overloads

import pytest

import stepwell
from stepwell import errors
from stepwell.app.sync import SyncApp
from stepwell.core import payload
from stepwell.runtime.shift import DEFAULTS
from tests.docs.pages import ROOT, page

API = page("docs/reference/api.md")
ERRORS = page("docs/reference/errors.md")
SETTINGS = page("docs/reference/settings.md")

ERROR_CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind)
    and issubclass(kind, (errors.StepwellError, errors.Cancelled))
    and kind is not errors.StepwellError
}
PUBLIC = {
    name: getattr(stepwell, name) for name in stepwell.__all__ if name != "StepwellError" and name not in ERROR_CLASSES
}
CLASSES = {name: kind for name, kind in PUBLIC.items() if inspect.isclass(kind)} | {"SyncApp": SyncApp}

Shape = list[tuple[str, str, bool]]


def shape(function: Callable[..., Any]) -> Shape:
    """Each parameter's name, kind, and whether it has a default; without `self`."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind.name, p.default is not p.empty) for p in parameters if p.name != "self"]


def written_shape(signature: str) -> Shape:
    """The same of a signature as a page writes it: `start(workflow, input=..., *, key=None)`."""
    names: dict[str, Any] = {}
    exec(f"from datetime import timedelta\ndef {signature}: ...", names)
    return shape(names[signature.partition("(")[0]])


def shapes(function: Any) -> list[Shape]:
    """The shapes in which a call may be written: that of each overload, and of the function itself."""
    return [shape(form) for form in [*get_overloads(function), inspect.unwrap(function)]]


def members(kind: type[Any]) -> set[str]:
    """Its public methods and properties."""
    ours = [base for base in kind.__mro__ if base.__module__.startswith("stepwell.")]
    found = [item for base in ours for item in vars(base).items()]
    return {name for name, value in found if name[0] != "_" and (inspect.isfunction(value) or is_property(value))}


def is_property(value: object) -> bool:
    return isinstance(value, property | cached_property)


def headings(name: str) -> list[str]:
    return re.findall(r"^### `(.+)`$", API.section(f"## {name}"), re.MULTILINE)


def test_every_public_name_has_a_section() -> None:
    assert set(re.findall(r"^## (\w+)$", API.text, re.MULTILINE)) == PUBLIC.keys() | CLASSES.keys()


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_member_is_listed_and_no_other(name: str) -> None:
    assert {heading.partition("(")[0] for heading in headings(name)} == members(CLASSES[name])


@pytest.mark.parametrize("name", CLASSES)
def test_every_signature_is_that_of_the_code(name: str) -> None:
    for heading in headings(name):
        member = inspect.getattr_static(CLASSES[name], heading.partition("(")[0])
        if is_property(member):
            assert "(" not in heading
        else:
            assert written_shape(heading) in shapes(member), heading


@pytest.mark.parametrize("name", ["App", "Retry", "cron", "current_step", "every", "on_event", "poll", "step"])
def test_signature_of_what_is_called_by_its_own_name_is_that_of_the_code(name: str) -> None:
    written = re.search(rf"`({name}\(.*?\))`", API.section(f"## {name}"))

    assert written is not None
    assert written_shape(written[1]) == shape(PUBLIC[name])


@pytest.mark.parametrize("name", [name for name, kind in CLASSES.items() if dataclasses.is_dataclass(kind)])
def test_every_field_is_named(name: str) -> None:
    section = API.section(f"## {name}")
    fields = vars(CLASSES[name])["__dataclass_fields__"]

    assert [field for field in fields if f"`{field}`" not in section and f"{field}=" not in section] == []


@pytest.mark.parametrize("name", ERROR_CLASSES)
def test_every_error_is_documented_with_its_facts(name: str) -> None:
    row = re.search(rf"^\| `{name}`.*$|^All are a `{name}`.$", ERRORS.text, re.MULTILINE)
    own = vars(ERROR_CLASSES[name]).get("__init__")
    facts = [] if own is None else [fact for fact, _, _ in shape(own)]
    shared = (
        {"where"}
        if name == "PayloadTooLarge"
        else {"message", "way_out"}
        if name in ("RetryAfter", "Diverged")
        else set()
    )

    assert row is not None
    assert [fact for fact in facts if fact not in shared and f"`{fact}`" not in row[0]] == []


def test_every_environment_variable_is_documented_and_no_other() -> None:
    used = {name for path in (ROOT / "src").rglob("*.py") for name in re.findall(r"STEPWELL_[A-Z_]+", path.read_text())}
    written = re.findall(r"^\| `(STEPWELL_[A-Z_]+)`", SETTINGS.section("## Environment variables"), re.MULTILINE)

    assert set(written) == used


@pytest.mark.parametrize(
    ("section", "function"),
    [
        ("## `App(...)`", stepwell.App),
        ("## `@app.workflow(...)`", stepwell.App.workflow),
        ("## `step(...)` and `@stepwell.step(...)`", stepwell.step),
        ("## `app.worker(...)`", stepwell.App.worker),
    ],
)
def test_every_option_is_documented_and_no_other(section: str, function: Callable[..., Any]) -> None:
    written = re.findall(r"^\| `(\w+)` \|", SETTINGS.section(section), re.MULTILINE)

    assert set(written) == {name for name, _, has_default in shape(function) if has_default} - {"function"}


def test_defaults_of_a_worker_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", SETTINGS.section("## `app.worker(...)`"), re.MULTILINE))
    guide = page("docs/guides/workers-and-deploys.md").text

    assert rows["concurrency"] == str(DEFAULTS.concurrency)
    assert rows["step_threads"] == str(DEFAULTS.step_threads)
    assert rows["grace"] == f"{DEFAULTS.grace.total_seconds():g} seconds"
    assert f"At most {DEFAULTS.workflow_threads} workflows" in guide
    assert f"ends {DEFAULTS.lease_for.total_seconds():g} seconds after its last heartbeat" in guide
    assert f"within {DEFAULTS.lease_for.total_seconds() / 3:g} seconds" in guide
    assert f"`crashed {DEFAULTS.max_crashes} workers`" in guide
    assert f"up to {DEFAULTS.short_wait.total_seconds():g} seconds" in page("docs/concepts.md").text


def test_limits_are_those_of_the_code() -> None:
    limits = SETTINGS.section("## Limits")

    assert f"{payload.PAYLOAD_LIMIT_BYTES // 2**20} MiB" in limits
    assert f"above {payload.COMPRESS_ABOVE_BYTES // 2**10} KiB" in limits
    assert f"above {payload.TEXT_LIMIT_BYTES // 2**20} MiB" in limits
    assert f"| {payload.MAX_DEPTH} levels |" in limits
