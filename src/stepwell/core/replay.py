"""History + the next durable call → what it is answered. No clock, no waiting."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from stepwell.core.model import Checkpoint, Kind, NewCheckpoint, Tried
from stepwell.errors import Diverged, HistoryTooLarge, InvalidOption

MAX_NAME_LENGTH = 200
MAX_KEY_BYTES = 1_000  # an index entry of PostgreSQL holds 2,704 bytes
MAX_HISTORY_BYTES = 64 * 1024 * 1024  # of one execution, beside the items of its maps: every pass reads all of it
CHECKPOINT_BYTES = 400  # what a checkpoint takes in a worker's memory beside its value

_UNUSABLE = re.compile(r"[#/\x00-\x1f\x7f\ud800-\udfff]")


class Scope:
    """Gives each durable call of one branch its key: a name used again gets an ordinal (fetch, fetch#2)."""

    __slots__ = ("_counts", "prefix")

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._counts: dict[str, int] = {}

    def key(self, name: str) -> str:
        """The key of the next call of this name."""
        count = self._counts.get(name, 0) + 1
        self._counts[name] = count
        return self.key_of(name, count)

    def key_of(self, name: str, ordinal: int) -> str:
        """The key of the call with this ordinal."""
        return f"{self.prefix}{name}" if ordinal == 1 else f"{self.prefix}{name}#{ordinal}"

    def renamed(self, key: str, name: str, earlier: str) -> str:
        """The key that a call would have had under an earlier name."""
        return self.prefix + earlier + key[len(self.prefix) + len(name) :]


def intent_key(key: str, number: int) -> str:
    """Of the n-th time that an effect was intended."""
    return f"{key}/#intent{number}"


def failed_key(key: str, number: int) -> str:
    """Of its failure, when it raised."""
    return f"{key}/#failed{number}"


def verify_key(key: str) -> str:
    """Of what looks whether an effect has happened. Nothing is stored under it."""
    return f"{key}/#verify"


def patch_key(name: str) -> str:
    """Of the decision about a patch. No call has such a key."""
    return f"#patch/{name}"


def is_patch_key(key: str) -> bool:
    """Whether it is that of a decision about a patch."""
    return key.startswith("#patch/")


def call_of(key: str) -> str:
    """The key of the call that stored this: `each` of the item `each/#3`. No call's own name has a `#`."""
    call, mark, part = key.rpartition("/#")
    return call if mark and "/" not in part else key


def versioned(workflow: str, version: int | None) -> str:
    """How a worker says which version of a workflow it has: pay@2."""
    return workflow if version is None else f"{workflow}@{version}"


def checked_name(name: object, of: str = "a step") -> str:
    """The name, if it can be that of such a thing. Raises InvalidOption."""
    if not isinstance(name, str) or not name or len(name) > MAX_NAME_LENGTH or _UNUSABLE.search(name):
        raise InvalidOption(
            f"{name!r:.300} cannot name {of}: use 1 to {MAX_NAME_LENGTH} characters,"
            " none of them '#', '/' or a control character"
        )
    return name


def checked_key(key: str) -> str:
    """The key, if the database can index it. Raises InvalidOption."""
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidOption(f"step '{key:.80}...' is nested too deeply in parallel branches; use shorter names")
    return key


class Replay:
    """What one execution's history answers to each durable call of a pass."""

    __slots__ = ("_size_bytes", "checkpoints", "retries")

    def __init__(self, checkpoints: Mapping[str, Checkpoint], retries: Mapping[str, Tried]) -> None:
        self.checkpoints, self.retries = checkpoints, retries
        self._size_bytes = sum(CHECKPOINT_BYTES + len(one.value) for one in checkpoints.values())

    def grow(self, row: NewCheckpoint) -> None:
        """One more is stored. Items of maps are read in pages: they do not count."""
        if row.kind is not Kind.ITEM:
            self._size_bytes += CHECKPOINT_BYTES + len(row.value)

    def check_size(self, key: str) -> None:
        """Raise HistoryTooLarge when no more may be begun."""
        if self._size_bytes > MAX_HISTORY_BYTES:
            raise HistoryTooLarge(step=key, size_bytes=self._size_bytes, limit_bytes=MAX_HISTORY_BYTES)

    def stored(self, key: str, kind: Kind) -> Checkpoint | None:
        """The stored outcome under this key. Raises Diverged when something else made it."""
        found = self.checkpoints.get(key)
        if found is None:
            if kind is not Kind.EFFECT and self.checkpoints and intent_key(key, 1) in self.checkpoints:
                raise Diverged(step=key, expected="an effect that was begun", met=f"a {kind}")
            return None
        if found.kind != kind:
            raise Diverged(step=key, expected=f"a {found.kind}", met=f"a {kind}")
        return found

    def knows(self, key: str) -> bool:
        """Whether anything is stored under this key."""
        return key in self.checkpoints or key in self.retries

    def attempt(self, key: str) -> int:
        """The number of the next attempt, counted from 1."""
        tried = self.retries.get(key)
        return tried.attempts + 1 if tried else 1

    def retry_at(self, key: str) -> datetime | None:
        """Not to be tried before; None if it has not failed yet."""
        tried = self.retries.get(key)
        return tried.retry_at if tried else None


_OTHER_ARGUMENTS = (
    "restore the step, give it another name, start a new execution, or, where they depend on which task is done first,"
    " let step.first decide"
)


def check_arguments(key: str, stored: int, met: int) -> None:
    """Raise Diverged when a completed call was made with other arguments than this one."""
    if stored != met:
        raise Diverged(step=key, expected="called with other arguments", met="with these", way_out=_OTHER_ARGUMENTS)


def idempotency_key(execution_id: UUID, key: str) -> str:
    """The same for every attempt of a step, different for every other step: 32 hexadecimal digits."""
    return _hash(execution_id, key, "idempotency").hexdigest()


def derived_uuid(execution_id: UUID, key: str) -> UUID:
    """A version 4 UUID that depends on the execution and the key alone."""
    return UUID(bytes=_hash(execution_id, key, "uuid").digest(), version=4)


def derived_random(execution_id: UUID, key: str) -> float:
    """A float in [0, 1) that depends on the execution and the key alone."""
    return (int.from_bytes(_hash(execution_id, key, "random").digest()[:7], "big") >> 3) / (1 << 53)


def _hash(execution_id: UUID, key: str, purpose: str) -> hashlib.blake2b:
    return hashlib.blake2b(execution_id.bytes + key.encode(), digest_size=16, person=purpose.encode())
