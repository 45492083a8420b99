"""All kinds of senders, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stepwell.errors import InvalidOption
from stepwell.sources.source import Source
from stepwell.sources.vendors.azure_devops import AZURE_DEVOPS
from stepwell.sources.vendors.clickup import CLICKUP
from stepwell.sources.vendors.cloudevents import CLOUDEVENTS
from stepwell.sources.vendors.generic import GENERIC
from stepwell.sources.vendors.github import GITHUB
from stepwell.sources.vendors.shopify import SHOPIFY
from stepwell.sources.vendors.slack import SLACK
from stepwell.sources.vendors.standard_webhooks import STANDARD_WEBHOOKS
from stepwell.sources.vendors.stripe import STRIPE

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.name: source
        for source in (
            AZURE_DEVOPS,
            CLICKUP,
            SHOPIFY,
            GITHUB,
            STRIPE,
            SLACK,
            STANDARD_WEBHOOKS,
            CLOUDEVENTS,
            GENERIC,
        )
    }
)


def source_named(name: str) -> Source:
    """The source of that name. Raises InvalidOption, naming all."""
    if name not in SOURCES:
        raise InvalidOption(f"no source of webhooks is called {name!r:.100}; there are: {', '.join(SOURCES)}")
    return SOURCES[name]
