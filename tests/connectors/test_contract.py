"""What every connector promises: a walk through all of them."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import pytest

from stepwell import connectors
from stepwell.codec import unstorable_type
from stepwell.connectors import Connector, Repeat
from stepwell.connectors.events import ConnectorEvent
from stepwell.core.dispatching import matches
from stepwell.core.triggers import WebhookTrigger
from stepwell.core.webhooks import WebhookEvent
from stepwell.sources import SOURCES
from stepwell.sources.samples import sample, sample_types
from stepwell.sources.source import Sent
from stepwell.testing import vendors
from tests.connectors.deliveries import event_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SAMPLE_ID = UUID(int=7)
BASES = {"Connector", "HttpConnector"}
FILES = {"__init__.py", "README.md", "actions.py", "types.py"}
FILES_WITH_TRIGGERS = FILES | {"protocol.py", "triggers.py", "reconcile.py"}


def all_connectors() -> list[type[Connector]]:
    named = [getattr(connectors, name) for name in connectors.__all__ if name not in BASES]
    return [one for one in named if inspect.isclass(one) and issubclass(one, Connector)]


CONNECTORS = all_connectors()
ACTIONS = [(one, info.name) for one in CONNECTORS for info in one.actions()]
TRIGGERS = [(one, name) for one in CONNECTORS for name in one.triggers()]


def folder(connector: type[Connector]) -> Path:
    return Path(inspect.getfile(connector)).parent


def readme(connector: type[Connector]) -> str:
    return (folder(connector) / "README.md").read_text()


def summary(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def trigger_of(connector: type[Connector], name: str) -> WebhookTrigger:
    """The trigger that a method makes, with texts for what it cannot do without."""
    method = getattr(connector("acme"), name)
    parameters = inspect.signature(method).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    trigger = method(*("star" for _ in needed))
    assert isinstance(trigger, WebhookTrigger)
    return trigger


def event_class(connector: type[Connector], name: str) -> Any:
    """The event that the trigger's docstring names, as its last word in backticks."""
    named = re.findall(r"`(\w+)`", summary(getattr(connector, name)))[-1]
    return WebhookEvent if named == "WebhookEvent" else getattr(connector, named)


def test_all_connectors_are_walked() -> None:
    assert {one.__name__ for one in CONNECTORS} >= {"AzureDevOps", "ClickUp", "GitHub", "HTTP", "SQL"}
    assert len({one.name for one in CONNECTORS}) == len(CONNECTORS)


@pytest.mark.parametrize("connector", CONNECTORS)
def test_connector_is_one_folder_with_the_same_files(connector: type[Connector]) -> None:
    there = {path.name for path in folder(connector).iterdir()}

    assert there >= (FILES_WITH_TRIGGERS if connector.triggers() else FILES)


@pytest.mark.parametrize("connector", CONNECTORS)
def test_connector_says_what_it_is_and_who_it_is_at_the_vendor(connector: type[Connector]) -> None:
    check = getattr(connector, "check", None)

    assert connector.name
    assert connector.title
    assert summary(connector)
    assert inspect.iscoroutinefunction(check)
    assert get_type_hints(check)["return"] is str


@pytest.mark.parametrize("connector", CONNECTORS)
def test_settings_are_documented(connector: type[Connector]) -> None:
    text = readme(connector)

    for setting in connector.settings:
        assert f"`{setting.name}`" in text, setting.name
        assert setting.meaning


@pytest.mark.parametrize("connector", CONNECTORS)
def test_readme_is_a_program_that_runs(connector: type[Connector]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", readme(connector), re.DOTALL)

    assert blocks
    for block in blocks:
        exec(compile(block, f"{connector.name}/README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize(("connector", "name"), ACTIONS)
def test_action_says_what_it_does_and_what_a_repeat_does(connector: type[Connector], name: str) -> None:
    method = getattr(connector, name)
    told = readme(connector)

    assert inspect.iscoroutinefunction(method)
    assert summary(method)
    assert re.search(rf"`{name}\b", told), f"README does not list {name}"
    lines = [line for line in told.splitlines() if re.search(rf"`{name}\b", line) and line.startswith("|")]
    [info] = [one for one in connector.actions() if one.name == name]
    assert any(re.search(rf"\b{info.repeat}\b", line) for line in lines), f"README does not say {info.repeat}"
    assert info.repeat in Repeat


@pytest.mark.parametrize(("connector", "name"), ACTIONS)
def test_action_is_typed_and_its_result_can_be_stored(connector: type[Connector], name: str) -> None:
    method = getattr(connector, name)
    hints = get_type_hints(method)

    assert set(inspect.signature(method).parameters) - {"self"} == set(hints) - {"return"}
    assert unstorable_type(hints["return"]) is None


@pytest.mark.parametrize(("connector", "name"), TRIGGERS)
def test_trigger_is_for_a_source_and_names_its_event(connector: type[Connector], name: str) -> None:
    trigger = trigger_of(connector, name)
    kind = event_class(connector, name)

    assert trigger.source == connector.name
    assert trigger.source in SOURCES
    assert trigger.connection == "acme"
    assert issubclass(kind, WebhookEvent)
    assert f"`{kind.__name__}`" in readme(connector)
    assert re.search(rf"`{name}\b", readme(connector))


@pytest.mark.parametrize(("connector", "name"), TRIGGERS)
def test_triggers_event_reads_every_sample_of_its_types(connector: type[Connector], name: str) -> None:
    trigger, kind = trigger_of(connector, name), event_class(connector, name)
    types = [one for one in sample_types(trigger.source) if any(matches(pattern, one) for pattern in trigger.types)]

    for type in types:
        body = sample(trigger.source, type, id=SAMPLE_ID, now=NOW)
        event = event_of(
            kind, trigger.source, body, SOURCES[trigger.source].headers(Sent(type, str(SAMPLE_ID), "acme"))
        )
        if isinstance(event, ConnectorEvent):
            assert event.payload is not None


def test_public_names_are_these() -> None:
    assert set(connectors.__all__) >= {one.__name__ for one in CONNECTORS} | BASES | {
        "action",
        "Setting",
        "VendorError",
    }
    for name in vendors.__all__:
        assert summary(getattr(vendors, name)), name


@pytest.mark.parametrize("connector", [one for one in CONNECTORS if one.triggers()])
def test_connector_with_triggers_has_a_fake(connector: type[Connector]) -> None:
    fakes = [getattr(vendors, name) for name in vendors.__all__ if name.startswith("Fake") and name != "FakeVendor"]
    served = import_module("stepwell.testing.vendors.__main__").FAKES

    assert connector.name in {fake.name for fake in fakes}
    assert connector.name in served
