"""Where webhooks come from: one table of senders, and what is done with it. Pure: bytes, secrets and the time go in.

`SOURCES` is the table, `operations` what is done with a row of it, `samples` what each of them sends, `subjects` the
identities that webhooks and polls share.
"""

from __future__ import annotations

from stepwell.sources.operations import (
    check_secret,
    check_settings,
    classify,
    handshake,
    sign,
    stored_headers,
    verify,
)
from stepwell.sources.request import Request
from stepwell.sources.source import Retries, Setting, Settings, Source
from stepwell.sources.table import SOURCES, source_named
from stepwell.sources.verdicts import Answer, Refused, Verified

__all__ = [
    "SOURCES",
    "Answer",
    "Refused",
    "Request",
    "Retries",
    "Setting",
    "Settings",
    "Source",
    "Verified",
    "check_secret",
    "check_settings",
    "classify",
    "handshake",
    "sign",
    "source_named",
    "stored_headers",
    "verify",
]
