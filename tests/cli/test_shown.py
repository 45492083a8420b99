"""What people see of stored outcomes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stepwell.cli.shown import preview, standing
from stepwell.core.model import Kind, StepRecord
from stepwell.core.status import Status

EVENT = b'{"name":"approval","address":"x","number":7,"sent_at":"2030-01-01T00:00:00Z"}'
NONE = b"null"


def taken(event: bytes, payload: bytes, label: bytes = NONE) -> bytes:
    return b'{"event":%b,"payload":%b,"label":%b}' % (event, payload, label)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (Kind.WAIT, taken(EVENT, b'{"by":"Ann"}'), '{"by":"Ann"}'),
        (Kind.WAIT, taken(EVENT, NONE), "null"),
        (Kind.WAIT, taken(NONE, NONE), "timed out"),
        (Kind.FIRST, taken(EVENT, b"7", b'"yes"'), "yes: 7"),
        (Kind.FIRST, taken(NONE, b"8", b'"child"'), "child: 8"),
        (Kind.FIRST, taken(NONE, NONE, b'"late"'), "late"),
        (Kind.SLEEP, b'"2030-01-01T00:00:00Z"', "until 2030-01-01T00:00:00Z"),
        (Kind.STEP, b'{"a":1}', '{"a":1}'),
    ],
)
def test_wait_is_shown_by_what_ended_it(kind: Kind, value: bytes, shown: str) -> None:
    assert preview(StepRecord("call", kind, False, 1, datetime.now(UTC), None, value)) == shown


@pytest.mark.parametrize(
    ("status", "why", "shown"),
    [
        (Status.PENDING, "no worker has this workflow", "pending: no worker has this workflow"),
        (Status.RUNNING, "running on host:7", "running on host:7"),
        (Status.RUNNING, "being cancelled by host:7", "running: being cancelled by host:7"),
        (Status.COMPLETED, None, "completed"),
    ],
)
def test_where_an_execution_stands_is_said_once(status: Status, why: str | None, shown: str) -> None:
    assert standing(status, why) == shown
