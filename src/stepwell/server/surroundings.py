"""What every endpoint of a server shares."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from stepwell.app.application import App
from stepwell.server.access import Access


@dataclass(frozen=True)
class Surroundings:
    """`callback` is the URL to which vendors send browsers back.

    `stopping` is set when the server is about to end: what waits or streams ends then."""

    app: App
    access: Access
    callback: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    streams: set[object] = field(default_factory=set)  # that are open
