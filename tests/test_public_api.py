"""What users import is a promise: these names, no others, each with its docstring."""

from __future__ import annotations

import inspect
import subprocess
import sys
from enum import Enum
from importlib.resources import files

import pytest

import stepwell

NAMES = {
    "Callback",
    "CallbackAnswered",
    "CallbackClosed",
    "CallbackInfo",
    "InvalidAnswer",
    "UnknownCallback",
    "App",
    "ApplicationInfo",
    "AuditRecord",
    "AuthorisationFailed",
    "Bulk",
    "Cancelled",
    "ChildFailed",
    "ConnectionInfo",
    "ConnectionUnusable",
    "Consent",
    "DatabaseError",
    "DatabaseNotReady",
    "DatabaseUnavailable",
    "EmbeddedUnavailable",
    "Delivery",
    "EventInfo",
    "HookSpec",
    "EventRecord",
    "EventTrigger",
    "Execution",
    "ExecutionCancelled",
    "ExecutionFailed",
    "First",
    "Handle",
    "HistoryTooLarge",
    "InvalidInput",
    "InvalidOption",
    "InvalidValue",
    "IssuedToken",
    "KeyConflict",
    "KeyInfo",
    "NeedsReauthorisation",
    "NotAllowed",
    "NotYet",
    "Page",
    "PayloadTooLarge",
    "Permanent",
    "REPEAT",
    "Repeat",
    "ResultTimeout",
    "Retry",
    "RetryAfter",
    "Schedule",
    "Scope",
    "Sent",
    "Status",
    "Step",
    "StepContext",
    "StepFailed",
    "StepRecord",
    "StepTimeout",
    "StepwellError",
    "SyncStep",
    "Tick",
    "Token",
    "UnknownApplication",
    "UnknownConnection",
    "UnknownExecution",
    "UnknownDelivery",
    "UnknownSchedule",
    "UnknownStep",
    "UnknownToken",
    "UnknownWorkflow",
    "Unsealable",
    "WaitRecord",
    "WebhookEvent",
    "WorkerRecord",
    "Workflow",
    "cron",
    "current_step",
    "every",
    "on_event",
    "poll",
    "step",
    "webhook",
}

HEAVY = ("msgspec", "psycopg", "asyncio")


def test_public_names_are_these() -> None:
    assert set(stepwell.__all__) == NAMES
    assert len(stepwell.__all__) == len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(stepwell, name)

    assert (value.name if isinstance(value, Enum) else value.__name__) == name
    assert (inspect.getdoc(value) or "").strip()
    assert inspect.getdoc(value) != inspect.getdoc(Exception)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_methods_of_a_public_class_are_documented(name: str) -> None:
    value = getattr(stepwell, name)
    if not inspect.isclass(value) or issubclass(value, Enum):
        return
    for attribute, member in vars(value).items():
        if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            assert inspect.getdoc(member), f"{name}.{attribute} has no docstring"


def test_unknown_name_is_told_as_python_tells_it() -> None:
    with pytest.raises(AttributeError, match="module 'stepwell' has no attribute 'flow'"):
        _ = stepwell.flow


def test_importing_the_package_imports_nothing_heavy() -> None:
    """`stepwell --help` is quick because names are loaded when they are first used."""
    code = "import stepwell, sys; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not set(HEAVY) & set(done.stdout.split())


def test_package_says_that_it_is_typed() -> None:
    assert files("stepwell").joinpath("py.typed").is_file()
