"""Copy a work item to ClickUp while the worker is killed at every step; then count what was done twice.

    python -m examples.copy_to_clickup.demo [--out DIRECTORY]

Uses STEPWELL_DATABASE_URL, or else the embedded PostgreSQL. Exits with 1 when a count is not what it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

from rich.console import Console

from examples.copy_to_clickup.people import Approver, Reporter
from examples.program import Count, run, table_of
from examples.stage import Processes, free_port
from stepwell import App, Execution, Status
from stepwell.connectors import AzureDevOps

HERE = Path(__file__).resolve().parent
PROJECT, LIST, PAT, TOKEN = "Invoices", "901", "pat-of-the-demo", "pk_of_the_demo"
ITEM = "Pay the invoice"
HOOK_USER = "stepwell"
BODIES = 4  # of steps that do something outside: each one is cut once, after it has done it
LIMIT_SECONDS = 120.0
LOOK_SECONDS = 0.05


class Demo:
    """One work item on its way, watched from outside."""

    def __init__(self, app: App, processes: Processes, say: Callable[[str], None], *, port: int) -> None:
        self._app, self._processes, self._say, self._port = app, processes, say, port
        self._password = uuid4().hex
        self._kills = 0

    async def run(self) -> list[Count]:
        """From empty vendors to the counts. Raises RuntimeError when they cannot be had."""
        azure_url = self._processes.vendor("azure-devops", tokens=[PAT], projects=[PROJECT], first_id=int(time.time()))
        clickup_url = self._processes.vendor("clickup", tokens=[TOKEN], lists={LIST: "Work"})
        self._processes.server(self._port)
        await self._connect(azure_url, clickup_url)
        reporter, approver = Reporter(azure_url, PAT), Approver(clickup_url, TOKEN)
        approver.turn("drop_after_commit", times=1)
        began = await self._newest()
        item = reporter.create_work_item(ITEM, project=PROJECT)
        self._say(f"work item {item} is there; Azure DevOps posts it to /hooks/azure-devops/acme-devops")
        await self._kill_until(lambda: self._has_status(began, Status.WAITING))
        link = approver.link(LIST)
        answers = [approver.answer(link, name) for name in ("Ada", "Bob")]
        self._say(f"Ada has approved it ({answers[0]}); Bob was too late ({answers[1]})")
        await self._kill_until(lambda: self._has_status(began, Status.COMPLETED))
        executions = await self._since(began)
        return [
            Count("workers killed after a step's effect", BODIES, self._kills),
            Count("executions", 1, len(executions)),
            Count("completed", 1, sum(one.status is Status.COMPLETED for one in executions)),
            Count("tasks in ClickUp", 1, approver.done("task created")),
            Count("comments in ClickUp", 1, approver.done("comment created")),
            Count("answers that counted", 1, sum(status < 300 for status in answers)),
            Count("comments on the work item", 1, reporter.done("work item commented")),
        ]

    async def _connect(self, azure_url: str, clickup_url: str) -> None:
        """Store both connections, and subscribe to new work items."""
        known = {one.name for one in await self._app.connections.list()}
        for name in known & {"acme-devops", "acme-clickup"}:
            await self._app.connections.remove(name)
        await self._app.connections.add(
            "acme-devops",
            "azure-devops",
            settings={"organization": "fabrikam", "project": PROJECT, "base_url": f"{azure_url}/fabrikam"},
            secrets={"pat": PAT},
            hook_secrets=[f"{HOOK_USER}:{self._password}"],
        )
        await self._app.connections.add(
            "acme-clickup", "clickup", settings={"base_url": f"{clickup_url}/api/v2"}, secrets={"token": TOKEN}
        )
        url = f"http://127.0.0.1:{self._port}/hooks/azure-devops/acme-devops"
        async with self._app.connected():
            azure = AzureDevOps("acme-devops")
            await azure.create_subscription("workitem.created", url, user=HOOK_USER, password=self._password)

    async def _kill_until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Start worker after worker: each repeats the body after which the last one died, and dies after the next."""
        limit = time.monotonic() + LIMIT_SECONDS
        worker = self._processes.worker(dies_after=1)
        while not await is_so():
            if worker.poll() is not None:
                self._kills += 1
                self._say(f"kill -9 {worker.pid}: it had done its work at the vendor, and nothing of that was stored")
                worker = self._processes.worker(dies_after=2)
            if time.monotonic() > limit:
                raise RuntimeError(f"this has taken longer than {LIMIT_SECONDS:.0f} seconds; see the logs in out/")
            await asyncio.sleep(LOOK_SECONDS)
        self._processes.kill("worker")

    async def _has_status(self, began: str | None, wanted: Status) -> bool:
        return any(one.status is wanted for one in await self._since(began))

    async def _newest(self) -> str | None:
        return next((str(one.id) for one in await self._app.list(workflow="copy-to-clickup", limit=1)), None)

    async def _since(self, began: str | None) -> list[Execution]:
        """The executions that this run has started."""
        return [one for one in await self._app.list(workflow="copy-to-clickup") if began is None or str(one.id) > began]


async def demonstrate(*, out: Path, console: Console) -> bool:
    """Run the demo and print what came of it. Whether every count is what it must be."""
    began, port = time.monotonic(), free_port()
    environment = {
        "STEPWELL_EGRESS_ALLOW": "127.0.0.1",  # where the fakes are
        "STEPWELL_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "COOLDOWN": "1s",
    }
    os.environ.update(environment)  # of this process too, which subscribes
    with Processes(out, HERE / "flows.py") as processes:
        async with App() as app:
            counts = await Demo(app, processes, console.print, port=port).run()
    console.print(table_of(counts))
    is_right = all(count.is_right for count in counts)
    console.print("Nothing was lost and nothing was done twice." if is_right else "WRONG")
    console.print(f"{time.monotonic() - began:.0f} seconds")
    return is_right


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Copy a work item to ClickUp while the worker is killed at every step."
    )
    parser.add_argument("--out", type=Path, default=HERE / "out", help="where the logs go")
    arguments = parser.parse_args()
    out: Path = arguments.out.absolute()
    return run(lambda console: demonstrate(out=out, console=console), out=out)


if __name__ == "__main__":
    sys.exit(main())
