"""Tests of workflows, in milliseconds: an app in memory whose time passes when nothing else can, and crashes anywhere.

It needs no pytest. Names are loaded when they are first used: the pytest plugin costs nothing where nobody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.testing.connections import connection as connection
    from stepwell.testing.connections import lent_connections as lent_connections
    from stepwell.testing.crashes import CrashPoint as CrashPoint
    from stepwell.testing.durability import Durability as Durability
    from stepwell.testing.durability import assert_durable as assert_durable
    from stepwell.testing.effects import Effects as Effects
    from stepwell.testing.fakes import Fake as Fake
    from stepwell.testing.histories import Replayed as Replayed
    from stepwell.testing.histories import replay as replay
    from stepwell.testing.lab import Lab as Lab
    from stepwell.testing.running import running as running
    from stepwell.testing.serving import served as served
    from stepwell.testing.sync import SyncLab as SyncLab
    from stepwell.testing.timekeeper import Standstill as Standstill

_HOMES = {
    "CrashPoint": "crashes",
    "Durability": "durability",
    "Effects": "effects",
    "Fake": "fakes",
    "Lab": "lab",
    "Replayed": "histories",
    "Standstill": "timekeeper",
    "SyncLab": "sync",
    "assert_durable": "durability",
    "connection": "connections",
    "lent_connections": "connections",
    "replay": "histories",
    "running": "running",
    "served": "serving",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepwell.testing' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"stepwell.testing.{_HOMES[name]}"), name)
    return value
