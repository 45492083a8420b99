"""Noticing that nothing moves any more, so that the demo can say why instead of saying nothing."""

from __future__ import annotations


class Standstill:
    """Watches how far something has come."""

    def __init__(self, *, after_seconds: float) -> None:
        self._after_seconds = after_seconds
        self._progress: object = None
        self._since = 0.0

    def is_due(self, progress: object, *, now: float) -> bool:
        """Whether the progress has been the same for that long; while it lasts, true once in each such time."""
        if progress != self._progress:
            self._progress, self._since = progress, now
        if now - self._since < self._after_seconds:
            return False
        self._since = now
        return True
