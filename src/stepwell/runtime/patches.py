"""Code that differs between executions that went past it before it was there, and all others."""

from __future__ import annotations

from stepwell.core.model import Kind, NewCheckpoint
from stepwell.core.replay import call_of, checked_name, is_patch_key, patch_key
from stepwell.runtime.passes import Pass

_DECISIONS = {b"true": True, b"false": False}


def patched(pass_: Pass, name: str) -> bool:
    """Decided once for the execution. It neither waits nor takes a name, so that the calls around it keep theirs.

    The row is not waited for: whatever is stored later is stored after it.
    """
    pass_.check_place(checked_name(name, "a patch"))
    key = patch_key(name)
    if (stored := pass_.replay.checkpoints.get(key)) is not None:
        return _DECISIONS[stored.value]
    if key not in pass_.patches:
        pass_.patches[key] = not _has_gone_past(pass_)
        value = b"true" if pass_.patches[key] else b"false"
        pass_.note(NewCheckpoint(pass_.id, key, Kind.PATCH, 0, value))
    return pass_.patches[key]


def _has_gone_past(pass_: Pass) -> bool:
    """Whether anything is stored that this pass has not come to yet."""
    history = pass_.replay
    stored = (*history.checkpoints, *history.retries)
    return any(call_of(key) not in pass_.met and not is_patch_key(key) for key in stored)
