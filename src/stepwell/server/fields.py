"""What the API takes, as types: what the parts of several bodies and queries may be."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stepwell.core.status import Status
from stepwell.core.texts import MAX_KEY_LENGTH, MAX_TAGS

MAX_PAGE = 1_000
DEFAULT_PAGE = 100

Text = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_LENGTH, pattern=r"^[^\x00]*$")]
Tag = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_LENGTH, pattern=r"^[^\x00\n]*$")]
Tags = Annotated[list[Tag], Meta(max_length=MAX_TAGS)]
Moment = Annotated[datetime, Meta(tz=True)]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="How many at most.")]
Cursor = Annotated[str, Meta(max_length=4_000, description="`next` of the page before.")]
Duration = Annotated[
    str, Meta(pattern=r"^(\d{1,9}(\.\d{1,9})?(ms|s|m|h|d|w))+$", max_length=100, examples=["30s", "10m", "24h", "7d"])
]


class Which(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which executions are meant: all that is given must hold. Times are from `after` on and earlier than `before`."""

    status: Annotated[list[Status], Meta(min_length=1)] | UnsetType = UNSET
    workflow: Text | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(min_length=1, max_length=MAX_TAGS)] | UnsetType = UNSET
    parent: UUID | UnsetType = UNSET
    created_after: Moment | UnsetType = UNSET
    created_before: Moment | UnsetType = UNSET
    finished_after: Moment | UnsetType = UNSET
    finished_before: Moment | UnsetType = UNSET
    text: Text | UnsetType = UNSET
