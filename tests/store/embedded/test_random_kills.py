"""Random kill -9 of servers and of writers, for as long as `make soak` takes."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import pytest

from stepwell.store.embedded import start_embedded
from stepwell.store.embedded.postmaster import is_server_of, pid_file
from tests.store.embedded.processes import User, query, server_pid, wait_for_exit

pytestmark = pytest.mark.soak

# Inserts numbers, and says each one that the server has acknowledged.
WRITER = """
import os, sys
from pathlib import Path
import psycopg
from stepwell.store.embedded import start_embedded
server, number = start_embedded(Path(sys.argv[1])), 0
while True:
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            while True:
                connection.execute("INSERT INTO written VALUES (%s, %s)", (os.getpid(), number))
                print(number, flush=True)
                number += 1
    except psycopg.Error:
        server.ensure_running()
"""


@pytest.mark.parametrize("seed", range(20))
def test_random_kills_lose_nothing_acknowledged_and_leave_no_server(folder: Path, seed: int) -> None:
    random = Random(seed)
    with start_embedded(folder) as server:
        query(server.url, "CREATE TABLE written (pid int, number int, PRIMARY KEY (pid, number))")

    with ExitStack() as stack:
        writers = [stack.enter_context(User(folder, script=WRITER)) for _ in range(4)]
        said = {writer.process.pid: [int(writer.says())] for writer in writers}
        for _ in range(12):
            writer = random.choice(writers)
            said[writer.process.pid] += [int(writer.says()) for _ in range(random.randrange(1, 40))]
            if random.random() < 0.7:
                kill_server(folder)
            else:
                writer.process.kill()
                writers.remove(writer)
                writers.append(stack.enter_context(User(folder, script=WRITER)))
                said[writers[-1].process.pid] = [int(writers[-1].says())]

    with start_embedded(folder) as server:
        pid = server_pid(folder)
        for writer_pid, numbers in said.items():
            kept = query(
                server.url, f"SELECT count(*) FROM written WHERE pid = {writer_pid} AND number <= {numbers[-1]}"
            )
            assert kept == len(numbers)
    wait_for_exit(pid)


def kill_server(folder: Path) -> None:
    with suppress(FileNotFoundError, IndexError, ProcessLookupError):  # down, or just starting
        pid = int(pid_file(folder).read_text().split()[0])
        if is_server_of(folder, pid):
            os.kill(pid, signal.SIGKILL)
            wait_for_exit(pid)
