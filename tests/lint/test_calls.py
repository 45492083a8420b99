"""Calls that have no place between durable calls are found, however they are written, and no others."""

from __future__ import annotations

import pytest

from tests.lint.snippets import codes, found, in_workflow

REFUSED = [
    ("SW101", "import time", "time.time()"),
    ("SW101", "import time as t", "t.monotonic()"),
    ("SW101", "from time import perf_counter", "perf_counter()"),
    ("SW101", "from time import time as wall", "now = wall\nnow()"),
    ("SW101", "import time", "time.strftime('%H')"),
    ("SW101", "from datetime import datetime as dt", "dt.now().isoformat()"),
    ("SW101", "import datetime", "datetime.datetime.utcnow()"),
    ("SW101", "from datetime import date, UTC", "date.today()"),
    ("SW101", "", "from datetime import datetime\ndatetime.now()"),
    ("SW101", "", "asyncio.get_running_loop().time()"),
    ("SW101", "from datetime import datetime", "await step.run('a', fetch, datetime.now())"),
    ("SW102", "import random", "random.choice([1, 2])"),
    ("SW102", "from random import randint", "randint(1, 2)"),
    ("SW102", "import random", "random.Random()"),
    ("SW102", "import random", "random.SystemRandom().random()"),
    ("SW102", "import secrets", "secrets.token_hex()"),
    ("SW102", "from uuid import uuid4", "await step.run(f'fetch {uuid4()}', fetch)"),
    ("SW102", "import uuid", "uuid.uuid1()"),
    ("SW102", "import os", "os.urandom(8)"),
    ("SW102", "import numpy as np", "np.random.rand()"),
    ("SW102", "import random", "sorted([1, 2], key=lambda one: random.random())"),
    ("SW103", "", "open('a.txt')"),
    ("SW103", "", "with open('a.txt') as file:\n    file.read()"),
    ("SW103", "from pathlib import Path", "Path('a').read_text()"),
    ("SW103", "from pathlib import Path", "folder = Path('a')\n(folder / 'b').unlink()"),
    ("SW103", "from pathlib import Path", "Path.cwd().exists()"),
    ("SW103", "", "n.write_text('x')"),
    ("SW103", "import os", "os.listdir('.')"),
    ("SW103", "import os.path", "os.path.exists('a')"),
    ("SW103", "import requests", "requests.get('https://example.com').json()"),
    ("SW103", "import httpx", "async with httpx.AsyncClient() as client:\n    await client.get('https://example.com')"),
    ("SW103", "from urllib.request import urlopen", "urlopen('https://example.com')"),
    ("SW103", "import subprocess", "subprocess.run(['ls'])"),
    ("SW103", "import subprocess", "subprocess.Popen(['ls'])"),
    ("SW103", "import socket", "socket.create_connection(('a', 1))"),
    ("SW103", "import psycopg", "psycopg.connect('')"),
    ("SW103", "", "await app.start('other')"),
    ("SW103", "", "await app.send_event('paid')"),
    ("SW104", "import os", "if os.environ['MODE'] == 'x':\n    await step.run('a', fetch)"),
    ("SW104", "from os import environ", "environ.get('MODE')"),
    ("SW104", "from os import getenv", "getenv('MODE')"),
    ("SW104", "import socket", "socket.gethostname()"),
    ("SW105", "", "await asyncio.sleep(5)"),
    ("SW105", "from time import sleep", "sleep(5)"),
    ("SW106", "", "await asyncio.wait([asyncio.create_task(step.run('a', fetch))])"),
    ("SW106", "", "for one in asyncio.as_completed([step.run('a', fetch)]):\n    await one"),
    ("SW106", "", "await asyncio.wait_for(step.run('a', fetch), 5)"),
    ("SW107", "", "await asyncio.to_thread(fetch)"),
    ("SW107", "from concurrent.futures import ThreadPoolExecutor", "ThreadPoolExecutor()"),
    ("SW107", "import threading", "threading.Thread(target=fetch).start()"),
    ("SW107", "", "await asyncio.get_running_loop().run_in_executor(None, fetch)"),
    ("SW107", "import multiprocessing", "multiprocessing.Pool()"),
]

ALLOWED = [
    ("import time", "await step.run('a', time.time)"),
    ("import time", "await step.run('a', lambda: time.time())"),
    ("import time", "read = lambda: time.time()\nawait step.run('a', read)"),
    ("import time", "def read() -> float:\n    return time.time()\nawait step.run('a', read)"),
    ("import time\nfrom functools import partial", "await step.run('a', partial(lambda n: time.time(), 1))"),
    ("import time", "await step.map('a', lambda one: time.time(), [1])"),
    ("import time", "await step.transaction('a', lambda c: c.execute(time.time()))"),
    ("import time", "await step.effect('a', lambda: time.time(), verify=lambda key: time.time())"),
    ("import time", "await step(timeout='5s').run('a', lambda: time.time())"),
    ("import time", "time.gmtime(0), time.strftime('%H', n)"),
    ("from datetime import datetime, UTC", "datetime.fromtimestamp(n, UTC), datetime(2020, 1, 1)"),
    ("", "await step.now(), step.uuid(), step.random()"),
    ("import random", "random.Random(n).choice([1, 2])"),
    ("import uuid", "uuid.uuid5(uuid.NAMESPACE_URL, 'a')"),
    ("import os", "os.path.join('a', 'b'), os.path.basename('a')"),
    ("from pathlib import Path", "Path('a').name, Path('a') / 'b', Path('a').with_suffix('.b')"),
    ("import httpx", "client = httpx.AsyncClient()\nawait step.run('a', fetch, client)"),
    ("from urllib.parse import quote", "quote('a')"),
    ("", "await asyncio.sleep(0)"),
    ("", "await asyncio.gather(step.run('a', fetch), step.run('b', fetch))"),
    ("", "async with asyncio.timeout(5):\n    await step.run('a', fetch)"),
    ("", "async with asyncio.TaskGroup() as group:\n    group.create_task(step.run('a', fetch))"),
    ("", "time = n\ntime.time()"),
    ("import time", "def shown(time: str) -> None:\n    time.time()\nshown('a')"),
    ("import time", "[time.time() for time in n]"),
    ("", "app.registry"),
    ("import datetime", "def on_error() -> None:\n    datetime.datetime.now()\nawait step.run('a', fetch)"),
]


@pytest.mark.parametrize(("code", "imports", "body"), REFUSED)
def test_call_that_differs_from_pass_to_pass_is_found(code: str, imports: str, body: str) -> None:
    assert in_workflow(body, imports=imports) == [code]


@pytest.mark.parametrize(("imports", "body"), ALLOWED)
def test_call_that_does_no_harm_is_left_alone(imports: str, body: str) -> None:
    assert in_workflow(body, imports=imports) == []


def test_call_is_found_with_its_place_and_the_way_out() -> None:
    (finding,) = found("""\
    import time
    async def flow(step: Step) -> None:
        ключ = "é"; time.time()
    """)

    assert (finding.file, finding.line, finding.column, finding.code) == ("flows.py", 8, 17, "SW101")
    assert finding.message == "time.time tells another time on every pass; use step.now(), or read the clock in a step"


def test_workflow_that_is_a_plain_function_is_looked_at_as_well() -> None:
    assert codes("""\
    import time
    def flow(step: SyncStep) -> None:
        step.run("a", time.time)
        time.sleep(1)
    """) == ["SW105"]


def test_function_that_no_workflow_reaches_is_left_alone() -> None:
    assert (
        codes("""\
    import time
    def other() -> None:
        time.sleep(1)
    async def flow(step: Step) -> None:
        await step.run("a", other)
    """)
        == []
    )


@pytest.mark.parametrize(
    "imports",
    [
        "from shop.tools import stamp",
        "from shop import tools\nstamp = tools.stamp",
        "import shop.tools\nstamp = shop.tools.stamp",
        "from shop.api import stamp",
        "from shop.tools import Clock\nstamp = Clock.stamp",
        "from shop.tools import Clock\nstamp = Clock().stamp",
        "from shop.tools import *",
    ],
)
def test_function_of_another_module_is_followed(imports: str) -> None:
    findings = found(
        f"{imports}\nasync def flow(step: Step) -> None:\n    stamp()\n",
        shop="",
        shop__api="from .tools import stamp",
        shop__tools="""\
        import time
        def stamp() -> float:
            return inner()
        def inner() -> float:
            return time.time()
        class Clock:
            def stamp(self) -> float:
                return inner()
        """,
    )

    assert [(finding.file, finding.line, finding.code) for finding in findings] == [("shop.tools.py", 5, "SW101")]


def test_function_that_calls_itself_is_looked_at_once() -> None:
    assert codes("""\
    import time
    async def again(step: Step) -> None:
        time.time()
        await again(step)
    async def flow(step: Step) -> None:
        await again(step)
    """) == ["SW101"]


def test_function_between_durable_calls_and_in_a_step_is_found_once() -> None:
    assert codes("""\
    import time
    def stamp() -> float:
        return time.time()
    async def flow(step: Step) -> float:
        return await step.run("a", stamp) + stamp()
    """) == ["SW101"]


# --- silence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("# stepwell: ignore[SW101]", []),
        ("# why not  # stepwell:ignore[SW105, SW101]", []),
        ("# stepwell: ignore[SW102]", ["SW101"]),
        ("# stepwell: ignore", ["SW101"]),
        ("; x = '# stepwell: ignore[SW101]'", ["SW101"]),
    ],
)
def test_comment_silences_the_codes_that_it_names_on_its_line(comment: str, expected: list[str]) -> None:
    assert in_workflow(f"time.time() {comment}", imports="import time") == expected
