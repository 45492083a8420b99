"""The calls of an app for code without an event loop."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, sys, threading
from stepwell import App, ResultTimeout

app = App(sys.argv[1])
try:
    app.sync.start("nobody-has-it", {}).result(timeout="50ms")
except ResultTimeout:
    print("not yet")
app.sync.close()
for thread in threading.enumerate():
    if thread.name == "stepwell-sync":
        thread.join(10)
gc.collect()
"""


def test_script_that_closes_its_app_ends_without_a_word(database_url: str) -> None:
    command = [sys.executable, "-c", SCRIPT, database_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (done.stdout, done.stderr) == ("not yet\n", "")
