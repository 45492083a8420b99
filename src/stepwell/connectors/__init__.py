"""Connectors: code for one external system each, as classes bound to the name of a stored connection.

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.connectors.azure_devops import AzureDevOps as AzureDevOps
    from stepwell.connectors.base import ActionInfo as ActionInfo
    from stepwell.connectors.base import Connector as Connector
    from stepwell.connectors.base import Repeat as Repeat
    from stepwell.connectors.base import Setting as Setting
    from stepwell.connectors.base import action as action
    from stepwell.connectors.base import action_key as action_key
    from stepwell.connectors.base import may_be_a_repeat as may_be_a_repeat
    from stepwell.connectors.clickup import ClickUp as ClickUp
    from stepwell.connectors.errors import VendorBusy as VendorBusy
    from stepwell.connectors.errors import VendorError as VendorError
    from stepwell.connectors.errors import VendorRejected as VendorRejected
    from stepwell.connectors.github import GitHub as GitHub
    from stepwell.connectors.http import HttpConnector as HttpConnector
    from stepwell.connectors.http_api import HTTP as HTTP
    from stepwell.connectors.outcome import Answer as Answer
    from stepwell.connectors.shopify import Shopify as Shopify
    from stepwell.connectors.sql import SQL as SQL

_HOMES = {
    "ActionInfo": "stepwell.connectors.base",
    "Answer": "stepwell.connectors.outcome",
    "AzureDevOps": "stepwell.connectors.azure_devops",
    "ClickUp": "stepwell.connectors.clickup",
    "Connector": "stepwell.connectors.base",
    "GitHub": "stepwell.connectors.github",
    "HTTP": "stepwell.connectors.http_api",
    "HttpConnector": "stepwell.connectors.http",
    "Repeat": "stepwell.connectors.base",
    "SQL": "stepwell.connectors.sql",
    "Setting": "stepwell.connectors.base",
    "Shopify": "stepwell.connectors.shopify",
    "VendorBusy": "stepwell.connectors.errors",
    "VendorError": "stepwell.connectors.errors",
    "VendorRejected": "stepwell.connectors.errors",
    "action": "stepwell.connectors.base",
    "action_key": "stepwell.connectors.base",
    "may_be_a_repeat": "stepwell.connectors.base",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepwell.connectors' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
