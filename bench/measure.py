"""Reading a process from outside, and summing up what was read."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values to take a percentile of")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """How many of the spans (begin, end) overlap at the busiest moment."""
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def cpu_seconds(pid: int) -> float:
    """Processor time of the process so far, its own and the kernel's on its behalf, to 10 ms."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():  # macOS
        *hours, minutes, seconds = _ps(pid, "time").split(":")
        return float(seconds) + 60 * int(minutes) + 3600 * int(hours[0] if hours else 0)
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]  # proc(5): fields 14 and 15; the name has blanks
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """Memory of the process that is in RAM, shared pages included."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # macOS
        return int(_ps(pid, "rss")) / 1024
    resident = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024


def _ps(pid: int, field: str) -> str:
    return subprocess.run(["ps", "-o", f"{field}=", "-p", str(pid)], check=True, capture_output=True, text=True).stdout


class MemoryTrace:
    """Samples a process's memory ten times a second while it is entered."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-trace", daemon=True)

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()
        self._sample()

    def growth_until(self, moment: float) -> float:
        """Megabytes gained from the first sample to the last one before the moment (seconds of the epoch)."""
        before = [megabytes for at, megabytes in self._samples if at <= moment]
        return before[-1] - before[0] if before else 0.0

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._sample()

    def _sample(self) -> None:
        self._samples.append((time.time(), resident_megabytes(self._pid)))
