"""What the guides show works as they say: web applications, scripts, other people's transactions."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.docs.conftest import Shown


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


# --- web applications and scripts ---------------------------------------------------------------------------------


async def test_worker_in_a_fastapi_lifespan_runs_what_the_handlers_start(shown: Shown) -> None:
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(shown("web").api, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/greetings"

        accepted = await asyncio.to_thread(asked, f"{url}?name=Ada", "POST")
        answer = await asyncio.to_thread(asked, f"{url}/{accepted['id']}", "GET")
        server.should_exit = True
        await serving

    assert answer == {"greeting": "Hello Ada"}


def asked(url: str, method: str) -> dict[str, str]:
    """What the server answers."""
    with urlopen(Request(url, method=method), timeout=30) as response:
        answer: dict[str, str] = json.load(response)
        return answer


def test_script_starts_what_a_worker_runs(shown: Shown, tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-m", "stepwell", "worker", "invoices.py"], cwd=tmp_path)
    try:
        script = subprocess.run(
            [sys.executable, "send_invoices.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
    finally:
        worker.terminate()
        worker.wait(30)

    assert (script.stdout, script.stderr) == ("invoice 3 to Ada\ninvoice 5 to Grace\n", "")


def test_flask_starts_and_looks(shown: Shown) -> None:
    pytest.importorskip("flask")
    module = shown("flask_invoices")
    http = module.web.test_client()
    try:
        accepted = http.post("/invoices/Ada").json
        again = http.post("/invoices/Ada").json
        answer = http.get(f"/invoices/{accepted['id']}").json
    finally:
        module.app.sync.close()

    assert again == accepted
    assert answer == {"status": "pending", "why": "no worker has this workflow"}


def test_django_starts(shown: Shown, database_url: str) -> None:
    configure_django(database_url)
    requests = pytest.importorskip("django.test").RequestFactory()
    module = shown("django_invoices")
    try:
        answer = module.begin(requests.post("/"), "Ada")
    finally:
        module.app.sync.close()

    assert answer.status_code == 202
    assert rows(database_url, "select workflow, key from stepwell.executions") == [("invoice", "invoice-Ada")]


# --- other people's transactions ----------------------------------------------------------------------------------


@pytest.fixture
def orders(database_url: str) -> str:
    """The database with the table that the guide's functions write to."""
    with psycopg.connect(database_url) as connection:
        connection.execute("create table orders (number int primary key)")
    return database_url


def both(url: str) -> tuple[list[int], list[str]]:
    """The stored orders, and the inputs of the executions."""
    numbers = rows(url, "select number from orders order by number")
    inputs = rows(url, "select input from stepwell.executions order by input")
    return [number for (number,) in numbers], [given for (given,) in inputs]


def test_sqlalchemy_session_commits_order_and_execution_together(shown: Shown, orders: str) -> None:
    sqlalchemy, orm = pytest.importorskip("sqlalchemy"), pytest.importorskip("sqlalchemy.orm")
    engine = sqlalchemy.create_engine("postgresql+psycopg://", connect_args=conninfo_to_dict(orders))
    shown("orders_sqlalchemy").app.sync.list()  # the schema is there before the first start

    for number, end in ((1, "commit"), (2, "rollback")):
        with orm.Session(engine) as session:
            shown("orders_sqlalchemy").place_order(session, number)
            getattr(session, end)()
    engine.dispose()
    shown("orders_sqlalchemy").app.sync.close()

    assert both(orders) == ([1], ['{"number":1}'])


async def test_async_sqlalchemy_session_commits_order_and_execution_together(shown: Shown, orders: str) -> None:
    asyncio_ = pytest.importorskip("sqlalchemy.ext.asyncio")
    engine = asyncio_.create_async_engine("postgresql+psycopg://", connect_args=conninfo_to_dict(orders))

    for number, end in ((1, "commit"), (2, "rollback")):
        async with asyncio_.AsyncSession(engine) as session:
            await shown("orders_sqlalchemy").place_order_async(session, number)
            await getattr(session, end)()
    await engine.dispose()

    assert both(orders) == ([1], ['{"number":1}'])


def test_django_transaction_commits_order_and_execution_together(shown: Shown, orders: str) -> None:
    configure_django(orders)
    db = pytest.importorskip("django.db")
    module = shown("orders_django")

    module.place_order(1)
    with db.transaction.atomic():
        module.place_order(2)
        db.transaction.set_rollback(True)
    db.connections.close_all()

    assert both(orders) == ([1], ['{"number":1}'])


def configure_django(url: str) -> None:
    """Django is set up once in a process; its database is whichever this test has."""
    django, conf = pytest.importorskip("django"), pytest.importorskip("django.conf")
    engine = {"ENGINE": "django.db.backends.postgresql"}
    parts = conninfo_to_dict(url)
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    database = engine | {names[part]: value for part, value in parts.items() if part in names}
    if not conf.settings.configured:
        conf.settings.configure(DATABASES={"default": database}, ALLOWED_HOSTS=["*"])
        django.setup()
    connection = pytest.importorskip("django.db").connections["default"]
    connection.close()
    connection.settings_dict.update(database)
