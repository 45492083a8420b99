"""Running a demo as `make` does, with a folder and an embedded database of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_demo(module: str, *arguments: str, folder: Path, within: float) -> subprocess.CompletedProcess[str]:
    """What came of it. Raises subprocess.TimeoutExpired; then nothing of it is left running either."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEPWELL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--out", str(folder / "out"), *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=within)
    finally:
        if process.poll() is None:
            process.terminate()  # it stops what it started
            process.communicate(timeout=within)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
