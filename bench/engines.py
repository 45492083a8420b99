"""The engines that can be measured, what each needs installed, and how it was set up."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class EngineSpec:
    name: str
    packages: tuple[str, ...]  # of an environment of its own; none: it runs in this one
    note: str

    @property
    def module(self) -> str:
        return f"bench.adapters.{self.name}"

    @property
    def environment(self) -> Path:
        return HERE / ".venvs" / self.name

    @property
    def interpreter(self) -> Path:
        return self.environment / "bin" / "python" if self.packages else Path(sys.executable)

    @property
    def is_installed(self) -> bool:
        return self.interpreter.exists()


ENGINES = {
    spec.name: spec
    for spec in (
        EngineSpec("stepwell", (), "one worker process, 1,000 executions at a time; everything else as it comes"),
        EngineSpec(
            "dbos",
            ("dbos==3.4.0",),
            "synchronous workflows, no limit on the queue (its default), the queue polled every 50 ms (default 1 s); "
            "after a kill the new process has the old executor id, without which nothing would be recovered",
        ),
        EngineSpec(
            "absurd",
            ("absurd-sdk==0.5.1", "absurdctl==0.5.1"),
            "asynchronous, 8 clients in one process with 10 tasks each, polling every 50 ms (default 250 ms), "
            "a claim lasts 15 s (default 120 s); children in a queue and with 8 clients of their own",
        ),
    )
}
