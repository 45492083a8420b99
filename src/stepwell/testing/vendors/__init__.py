"""Fakes of vendors: stateful ASGI applications for tests and examples without a network.

Names are loaded when they are first used. `python -m stepwell.testing.vendors azure-devops` serves one as a process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.testing.vendors.azure_devops import FakeAzureDevOps as FakeAzureDevOps
    from stepwell.testing.vendors.clickup import FakeClickUp as FakeClickUp
    from stepwell.testing.vendors.delivered import delivered as delivered
    from stepwell.testing.vendors.fake import FakeVendor as FakeVendor
    from stepwell.testing.vendors.github import FakeGitHub as FakeGitHub
    from stepwell.testing.vendors.ledger import Effect as Effect
    from stepwell.testing.vendors.ledger import Ledger as Ledger
    from stepwell.testing.vendors.outgoing import Outgoing as Outgoing
    from stepwell.testing.vendors.sender import Deliveries as Deliveries
    from stepwell.testing.vendors.shopify import FakeShopify as FakeShopify
    from stepwell.testing.vendors.switches import Switches as Switches

_HOMES = {
    "Deliveries": "sender",
    "Effect": "ledger",
    "FakeAzureDevOps": "azure_devops",
    "FakeClickUp": "clickup",
    "FakeGitHub": "github",
    "FakeShopify": "shopify",
    "FakeVendor": "fake",
    "Ledger": "ledger",
    "Outgoing": "outgoing",
    "Switches": "switches",
    "delivered": "delivered",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepwell.testing.vendors' has no attribute '{name}'")
    try:
        value = globals()[name] = getattr(import_module(f"stepwell.testing.vendors.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "graphql":
            raise
        raise ImportError(f"{name} needs graphql-core: pip install 'stepwell[fakes]'", name=error.name) from error
    return value
