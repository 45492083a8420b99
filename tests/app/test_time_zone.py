"""Where the process thinks it is must not matter: part of the suite again, in Kathmandu (UTC+5:45)."""

from __future__ import annotations

import os
import subprocess
import sys

PART = [
    "tests/runtime/test_replay.py",
    "tests/runtime/test_timeouts.py",
    "tests/runtime/test_plain_workflows.py::test_plain_workflow_does_what_an_async_one_does",
    "tests/app/test_start.py::test_input_is_the_same_on_every_attempt_and_pass",
    "tests/app/test_start.py::test_delay_of_two_hundred_years_is_accepted",
    "tests/app/test_executions.py::test_execution_says_why_it_does_not_move",
    "tests/app/test_executions.py::test_short_retries_stay_in_one_pass_and_long_ones_do_not",
]


def test_local_time_zone_changes_nothing(server_url: str) -> None:
    """F76."""
    zone = {"TZ": "Asia/Kathmandu", "PGTZ": "America/St_Johns", "STEPWELL_TEST_DATABASE_URL": server_url}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *PART]

    done = subprocess.run(command, env={**os.environ, **zone}, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 0, done.stdout[-3_000:]
    assert "passed" in done.stdout
