"""Starting on a connection that somebody else made, long before and for other things."""

from __future__ import annotations

import subprocess
import sys

import pytest

OLDER_THAN_THE_IMPORT = """
import asyncio, sys, psycopg

async def main(url):
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("select %s", ["used"])
        from stepwell import App
        handle = await App(url).start("import", {}, connection=connection)
    with psycopg.connect(url) as looking:
        print(looking.execute("select count(*) from stepwell.execution where id = %s", [handle.id]).fetchone()[0])

def main_sync(url):
    with psycopg.connect(url) as connection:
        connection.execute("select %s", ["used"])
        from stepwell import App
        handle = App(url).sync.start("import", {}, connection=connection)
    with psycopg.connect(url) as looking:
        print(looking.execute("select count(*) from stepwell.execution where id = %s", [handle.id]).fetchone()[0])

main_sync(sys.argv[1]) if sys.argv[2] == "sync" else asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("form", ["sync", "async"])
def test_connection_may_have_been_used_before_the_package_was_imported(database_url: str, form: str) -> None:
    command = [sys.executable, "-c", OLDER_THAN_THE_IMPORT, database_url, form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (done.stdout, done.stderr) == ("1\n", "")
