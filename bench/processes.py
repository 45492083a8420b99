"""The processes of an engine under measurement, and the database that they share."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.adapters.base import Order, Settings, new_order
from bench.engines import HERE, EngineSpec
from bench.ledger import Note, read_ledger
from bench.measure import cpu_seconds
from bench.postgres import Postgres

START_SECONDS = 60
RUN_SECONDS = 300  # a run that takes longer has failed
WARM_UPS = 500  # executions before the clock starts: connections, prepared statements, imports
SETTLE_SECONDS = 1.0  # after them, so that the worker is idle when the run begins

_numbers = itertools.count(1)


class EngineFailed(RuntimeError):
    """A process of an engine ended, failed or hung; the message ends with its last words."""


class Process:
    """An adapter's process. Each line written to it is a command, each line read the answer."""

    def __init__(self, engine: EngineSpec, role: str, settings: Settings, errors: Path) -> None:
        self.name, self._errors = f"{engine.name} {role}", errors
        command = [str(engine.interpreter), "-m", engine.module, role, json.dumps(asdict(settings))]
        with errors.open("a") as stderr:
            self._process = subprocess.Popen(
                command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        self._answer(START_SECONDS)  # ready

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer(RUN_SECONDS)

    def stop(self) -> None:
        """End it as an operator would; what its ledger holds is on disk then."""
        self._process.terminate()
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise EngineFailed(f"{self.name} ignored SIGTERM for {START_SECONDS} s{self._last_words()}") from None
        self._close()

    def kill(self) -> None:
        """kill -9."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close()

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(seconds, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise EngineFailed(f"{self.name} gave no answer{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        words = self._errors.read_text(errors="replace").strip()
        return f":\n{words[-3000:]}" if words else ""

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Stage:
    """One engine on one fresh database: a process that submits, and workers as they are asked for."""

    def __init__(self, engine: EngineSpec, postgres: Postgres, database: str, folder: Path, *, lasting: bool) -> None:
        self._engine, self._folder, self.database = engine, folder, database
        self.ledger_path = folder / "ledger"
        self.ledger_path.touch()
        self._settings = Settings(postgres.url(database), str(self.ledger_path), lasting=lasting, worker="")
        self.workers: list[Process] = []
        self.submitter = self._process("submit", "submitter")

    def start_worker(self, name: str = "worker-1") -> Process:
        worker = self._process("work", name)
        self.workers.append(worker)
        return worker

    def start_warm_workers(self, count: int, *, executions: int = WARM_UPS) -> None:
        """Workers that have already run so many executions and are idle."""
        for number in range(1, count + 1):
            self.start_worker(f"worker-{number}")
        self.submitter.ask("submit", orders=orders(executions, steps=2, first=-executions), at_once=True)
        self.submitter.ask("finish")
        time.sleep(SETTLE_SECONDS)

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(worker.pid) for worker in self.workers)

    def stop_workers(self) -> None:
        while self.workers:
            self.workers.pop().stop()

    def steps_so_far(self) -> int:
        """How many steps of the run a lasting ledger holds; quick enough to be asked all the time."""
        text = self.ledger_path.read_bytes()
        return text.count(b"step ") - text.count(b"step -")  # the warm-up's executions have negative numbers

    def notes(self) -> list[Note]:
        """What the ledger holds of the run itself, oldest first."""
        return [note for note in read_ledger(self.ledger_path) if note.execution >= 0]

    def close(self) -> None:
        for process in [*self.workers, self.submitter]:
            process.kill()

    def _process(self, role: str, name: str) -> Process:
        errors = self._folder / f"{name}.log"
        return Process(self._engine, role, replace(self._settings, worker=name), errors)


@contextmanager
def stage(engine: EngineSpec, postgres: Postgres, *, lasting: bool = False) -> Iterator[Stage]:
    """A stage whose processes and database are gone afterwards."""
    database = f"bench_{engine.name}_{next(_numbers)}"
    with (
        postgres.database(database),
        tempfile.TemporaryDirectory(prefix="stepwell-bench-") as folder,
    ):
        made = Stage(engine, postgres, database, Path(folder), lasting=lasting)
        try:
            yield made
        finally:
            made.close()


def orders(count: int, *, first: int = 0, **what: Any) -> list[Order]:
    return [new_order(first + number, **what) for number in range(count)]
