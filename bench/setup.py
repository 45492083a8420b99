"""Makes an environment for each peer, so that no peer's dependencies touch ours: `python bench/setup.py [NAME ...]`."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.engines import ENGINES


def main(names: list[str]) -> None:
    """Create what is missing. What is there is brought to the pinned versions."""
    for spec in ENGINES.values():
        if spec.packages and (not names or spec.name in names):
            print(f"{spec.name}: {' '.join(spec.packages)}")
            if not spec.is_installed:
                venv.create(spec.environment, with_pip=True)
            subprocess.run([str(spec.interpreter), "-m", "pip", "install", "--quiet", *spec.packages], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
