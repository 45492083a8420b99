"""The demo itself, on fewer airports: real processes, a real database, real kills."""

from __future__ import annotations

import csv
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

import data
from ledger import read_ledger
from tests.store.embedded.processes import server_pid, wait_for_exit

DEMO = Path(data.__file__).with_name("demo.py")
AIRPORTS = 3_000  # enough that storing them lasts until the second kill
PATIENCE_SECONDS = 100

pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


class Began(NamedTuple):
    """What the first line of the demo's output says."""

    vendor_port: int
    worker: int


@contextmanager
def running_demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo as `make demo` starts it, but with a database and an output folder of the test's own."""
    process = subprocess.Popen(
        [sys.executable, str(DEMO), "--out", str(folder / "out"), "--airports", str(AIRPORTS)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("STEPWELL_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # it stops what it started
        process.communicate(timeout=PATIENCE_SECONDS)


def began(process: subprocess.Popen[str]) -> Began:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"vendor at http://127\.0\.0\.1:(\d+), worker (\d+)", line)
    assert found, line + process.stdout.read()
    return Began(int(found[1]), int(found[2]))


def wait_for(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(pattern, line):
            return
    raise AssertionError(f"the demo ended without a line like {pattern!r}")


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_two_kills_lose_nothing_and_repeat_nothing_also_when_an_earlier_demo_was_interrupted(tmp_path: Path) -> None:
    with running_demo(tmp_path) as interrupted:
        of_interrupted = began(interrupted)
        wait_for(interrupted, r"enriched [1-9]")
        interrupted.send_signal(signal.SIGINT)
        interrupted.communicate(timeout=PATIENCE_SECONDS)

    assert interrupted.returncode == 130
    assert not is_running(of_interrupted.worker)
    assert not is_listening(of_interrupted.vendor_port)

    with running_demo(tmp_path) as process:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0, output
    assert "Nothing was lost and nothing was done twice." in output
    assert output.count("kill -9") == 2
    with (tmp_path / "out" / "airports.csv").open(newline="") as file:
        assert len({row["icao"] for row in csv.DictReader(file)}) == AIRPORTS
    assert (tmp_path / "out" / "airports.svg").read_text().count("h0") == AIRPORTS
    assert len({entry.airport for entry in read_ledger(tmp_path / "out" / "ledger.jsonl")}) == AIRPORTS


def test_killing_the_demo_itself_leaves_nothing_running(tmp_path: Path) -> None:
    with running_demo(tmp_path) as process:
        of_killed = began(process)
        wait_for(process, r"enriched [1-9]")
        server = server_pid(tmp_path / ".stepwell")
        with socket.create_connection(("127.0.0.1", of_killed.vendor_port), timeout=PATIENCE_SECONDS) as connection:
            process.kill()
            assert connection.recv(1) == b""  # the vendor has let go of it

        wait_for_exit(of_killed.worker)
        wait_for_exit(server)


def test_a_worker_that_dies_unbidden_fails_the_demo(tmp_path: Path) -> None:
    with running_demo(tmp_path) as process:
        os.kill(began(process).worker, signal.SIGKILL)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    assert "the worker ended with status -9" in output
