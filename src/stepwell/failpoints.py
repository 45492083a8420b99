"""Points at which a test makes a process stop or die, named by STEPWELL_FAILPOINTS; free when that is unset.

`STEPWELL_FAILPOINTS="after_claim=kill,before_complete=kill@3,in_heartbeat=pause"`: `kill` is SIGKILL to the process,
`pause` is SIGSTOP (the test sends SIGCONT), `@3` means the third time the point is passed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

POINTS = (
    "after_claim",
    "before_step",
    "after_step_body",
    "before_step_commit",
    "after_step_commit",
    "before_wait_check",
    "between_wait_check_and_park",
    "before_complete",
    "after_complete_before_notify",
    "before_child_start",
    "in_heartbeat",
    "in_sweep",
    "in_schedule_tick",
    "before_webhook_commit",
    "before_webhook_answer",
    "in_migration",
    "after_token_answer",
    "in_key_rotation",
    "before_callback_commit",
    "after_callback_commit",
)

_SIGNALS = {"kill": "SIGKILL", "pause": "SIGSTOP"}


def _free(point: str) -> None:
    """What a failpoint is when none is set."""


def _armed(text: str) -> Callable[[str], None]:
    left: dict[str, tuple[int, int]] = {}
    for part in text.split(","):
        point, _, action = part.strip().partition("=")
        action, _, count = action.partition("@")
        if point not in POINTS or action not in _SIGNALS:
            raise ValueError(
                f"STEPWELL_FAILPOINTS: {part!r} is no point=kill or point=pause; points: {', '.join(POINTS)}"
            )
        left[point] = (getattr(signal, _SIGNALS[action]), int(count or 1))

    def fail(point: str) -> None:
        if point not in left:
            return
        number, count = left[point]
        left[point] = (number, count - 1)
        if count == 1:
            os.kill(os.getpid(), number)

    return fail


_setting = os.environ.get("STEPWELL_FAILPOINTS", "")

failpoint: Callable[[str], None] = _armed(_setting) if _setting else _free
