"""Orders of a shop into a warehouse, while webhooks get lost and processes are killed; then compare both, row by row.

    python -m examples.shopify_orders.demo [--orders 60] [--out DIRECTORY]

Uses STEPWELL_DATABASE_URL, or else the embedded PostgreSQL. Exits with 1 when a count is not what it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console
from rich.table import Table

from examples.program import Count, run, table_of
from examples.stage import Processes, free_port
from stepwell import App, StepwellError

HERE = Path(__file__).resolve().parent
CONNECTION, TOKEN = "acme-shop", "token-of-the-demo"
SCHEDULES = ("store-order.reconcile", "order-updates.reconcile")
LOOK_SECONDS = 0.2
LIMIT_SECONDS = 120.0
KILLS = 2


class Demo:
    """A day in the shop, watched from outside."""

    def __init__(self, app: App, processes: Processes, console: Console, *, orders: int) -> None:
        self._app, self._processes, self._console, self._orders = app, processes, console, orders
        self._port, self._vendor_port, self._secret = free_port(), free_port(), uuid4().hex

    async def run(self) -> list[Count]:
        """From an empty warehouse to the counts. Raises RuntimeError when they cannot be had."""
        await self._connect()
        self._processes.worker()
        await self._look_for_what_was_lost()  # nothing yet: it begins here
        truth = await self._sell()
        await self._settle()
        before = len(await self._rows("select id from warehouse.customer_order"))
        self._console.print(f"webhooks have brought {before} of {self._orders} orders; now the nightly look")
        await self._look_for_what_was_lost()
        await self._settle()
        return await self._counts(truth)

    async def _connect(self) -> None:
        """Make the tables, store the connection, start the server and the shop."""
        async with await psycopg.AsyncConnection.connect(await self._app.database_url(), autocommit=True) as connection:
            await connection.execute((HERE / "tables.sql").read_bytes())
        if CONNECTION in {one.name for one in await self._app.connections.list()}:
            await self._app.connections.remove(CONNECTION)
        await self._app.connections.add(
            CONNECTION,
            "shopify",
            settings={"shop": "acme", "points_per_second": "1000", "base_url": f"http://127.0.0.1:{self._vendor_port}"},
            secrets={"token": TOKEN},
            hook_secrets=[self._secret],
        )
        self._processes.server(self._port)
        given = ["--port", str(self._vendor_port), "--token", TOKEN, "--secret", self._secret]
        self._shop = self._processes.talking("shop", ["-m", "examples.shopify_orders.vendor", *given])

    async def _sell(self) -> dict[str, Any]:
        """Let people buy, and kill processes meanwhile; what the shop has in the end."""
        assert self._shop.stdin is not None
        hook = f"http://127.0.0.1:{self._port}/hooks/shopify/{CONNECTION}"
        self._shop.stdin.write(json.dumps({"hook": hook, "orders": self._orders}) + "\n")
        self._shop.stdin.flush()
        selling = asyncio.create_task(asyncio.to_thread(self._processes.heard_from, "shop", self._shop))
        for kill in range(1, KILLS + 1):
            await self._wait_for(self._orders * kill // (KILLS + 2))
            self._processes.kill("worker")
            self._console.print("kill -9: the worker, in the middle of its steps")
            self._processes.worker()
        self._processes.kill("server")
        self._console.print("kill -9: the server; Shopify tries again until somebody answers")
        self._processes.server(self._port)
        truth: dict[str, Any] = json.loads(await selling)
        return truth

    async def _look_for_what_was_lost(self) -> None:
        for schedule in SCHEDULES:
            handle = await self._declared(schedule)
            lost = await handle.result(timeout="60s")
            if lost:
                self._console.print(f"{schedule}: {lost} lost events were found")

    async def _declared(self, schedule: str) -> Any:
        """Run the schedule now; a worker that has just started declares it."""
        limit = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                return await self._app.run_schedule(schedule)
            except StepwellError:
                if time.monotonic() > limit:
                    raise
            await asyncio.sleep(LOOK_SECONDS)

    async def _wait_for(self, orders: int) -> None:
        """Until so many orders are stored."""
        limit = time.monotonic() + LIMIT_SECONDS
        while len(await self._rows("select id from warehouse.customer_order")) < orders:
            if time.monotonic() > limit:
                raise RuntimeError(f"nothing moves; see the logs in {HERE / 'out'}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _settle(self) -> None:
        """Until every execution has ended."""
        limit = time.monotonic() + LIMIT_SECONDS
        while await self._app.list(workflow="store-order", status=("pending", "running", "waiting"), limit=1):
            if time.monotonic() > limit:
                raise RuntimeError(f"executions do not end; see the logs in {HERE / 'out'}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _rows(self, query: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(await self._app.database_url()) as connection:
            found = await connection.execute(query.encode())
            return await found.fetchall()

    async def samples(self) -> Table:
        """Which delivery wrote this row? One join says it: some rows that came by a webhook, some that were found."""
        table = Table("order", "delivery", "received", "found by asking", "execution", title="warehouse.provenance")
        for found in (False, True):
            rows = await self._rows(
                "select name, type, to_char(received_at, 'HH24:MI:SS'), is_reconciled, execution_id"
                f" from warehouse.provenance where is_reconciled = {found} order by name limit 3"
            )
            for row in rows:
                table.add_row(*map(str, row))
        return table

    async def _counts(self, truth: dict[str, Any]) -> list[Count]:
        """The warehouse beside the shop."""
        stored = await self._rows("select id, updated_at, total from warehouse.customer_order")
        right = {id: (datetime.fromisoformat(at), float(total)) for id, (at, total) in truth.items()}
        same = sum(right.get(id) == (at, float(total)) for id, at, total in stored)
        joined = await self._rows("select count(*), count(*) filter (where is_reconciled) from warehouse.provenance")
        ((of_lines, lines),) = await self._rows(
            "select count(distinct (order_id, title)), count(*) from warehouse.order_line"
        )
        failed = await self._app.list(workflow="store-order", status="failed")
        return [
            Count("orders in the shop, in the warehouse", len(right), len(stored)),
            Count("rows as the shop has them now", len(right), same),
            Count("rows whose delivery and execution are known", len(right), joined[0][0]),
            Count("order lines, without repeats", of_lines, lines),
            Count("executions that failed", 0, len(failed)),
        ]


async def demonstrate(*, orders: int, out: Path, console: Console) -> bool:
    """Run the demo and print what came of it. Whether every count is what it must be."""
    began = time.monotonic()
    os.environ["STEPWELL_EGRESS_ALLOW"] = "127.0.0.1"  # where the shop is
    with Processes(out, HERE / "flows.py") as processes:
        async with App() as app:
            demo = Demo(app, processes, console, orders=orders)
            counts = await demo.run()
            samples = await demo.samples()
    console.print(table_of(counts))
    console.print(samples)
    is_right = all(count.is_right for count in counts)
    console.print("The warehouse is what the shop is." if is_right else "WRONG")
    console.print(f"{time.monotonic() - began:.0f} seconds")
    return is_right


def main() -> int:
    parser = argparse.ArgumentParser(description="Orders of a shop into a warehouse, while processes are killed.")
    parser.add_argument("--orders", type=int, default=60, help="how many (default: 60)")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="where the logs go")
    given = parser.parse_args()
    out: Path = given.out.absolute()
    return run(lambda console: demonstrate(orders=given.orders, out=out, console=console), out=out)


if __name__ == "__main__":
    sys.exit(main())
