"""A place for a fault test: a database that is watched, a ledger, worker processes, and what was asked of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from stepwell import App, Handle, NotAllowed
from tests.faults import flows, voyages
from tests.faults.evidence import STUCK, Evidence, Promise, gather
from tests.faults.invariants import violations
from tests.faults.ledger import BELL, PATH, Ledger, Line
from tests.faults.processes import SECONDS, WorkerProcess

T = TypeVar("T")

PACE, REST = 0.005, 0.02
RECONNECT_SECONDS = 0.05
CALM_SECONDS = 20.0  # for what looks stuck to go on

_AUDIT = (Path(__file__).parent / "audit.sql").read_bytes()


class Site:
    """One database, and all that happens to it in one test."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.app = App(url)
        self.ledger = Ledger(folder / "ledger")
        self.workers: list[WorkerProcess] = []
        self.promises: dict[UUID, Promise] = {}
        self._ears, self._mouth = os.pipe()
        self._rung = asyncio.Event()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._asking = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, folder: Path) -> AsyncIterator[Site]:
        """Be there for as long as the test goes on; leave no process behind."""
        site = cls(url, folder)
        site._listen()
        try:
            yield site
        finally:
            await site._close()

    async def watch(self) -> None:
        """Have the database, which must be migrated, note what happens in it."""
        async with await self.connect() as connection:
            await connection.execute(_AUDIT)

    # --- workers --------------------------------------------------------------------------------------------------

    def worker(self, *, points: str = "", url: str | None = None, **options: Any) -> WorkerProcess:
        """Start a worker process with these failpoints; `options` as in tests.faults.worker."""
        name = f"worker-{len(self.workers) + 1}"
        environment = {
            "STEPWELL_DATABASE_URL": make_conninfo(url or self.url, application_name=name),
            "STEPWELL_FAILPOINTS": points,
            PATH: str(self.ledger.path),
            BELL: str(self._mouth),
        }
        worker = WorkerProcess(
            options, environment, log=self.folder / f"{name}.log", pipe=self._mouth, bell=self._rung.set
        )
        self.workers.append(worker)
        return worker

    # --- executions -----------------------------------------------------------------------------------------------

    async def start_journeys(self, count: int, *, pace: float = PACE, rest: float = REST) -> None:
        """Start journeys, every fourth one as a plain function."""
        first = len(self.promises)
        plain = [number for number in range(first, first + count) if number % 4 == 3]
        others = [number for number in range(first, first + count) if number % 4 != 3]
        for workflow, numbers in (("journey", others), ("plain-journey", plain)):
            inputs = [{"number": number, "pace": pace, "rest": rest} for number in numbers]
            results = [flows.journey_result(number) for number in numbers]
            await self.start(workflow, inputs, results, steps=flows.JOURNEY_STEPS)

    async def start_errands(self, count: int) -> None:
        """Start workflows of one short step."""
        inputs = [{"number": number} for number in range(count)]
        await self.start("errand", inputs, [number + 1 for number in range(count)], steps={"fetch"})

    async def start_purchase(self) -> None:
        """Start a workflow of one transaction."""
        await self.start("purchase", [{"number": 1}], [5], steps={"book"})

    async def start_hog(self, way: str, *, seconds: float) -> None:
        """Start a workflow of one step that starves its process in this way."""
        await self.start("hog", [{"way": way, "seconds": seconds}], [0], steps={"hog"})

    async def start(
        self, workflow: str, inputs: Sequence[Mapping[str, Any]], results: Sequence[Any], *, steps: Set[str]
    ) -> None:
        """Start executions, and note what must come of them."""
        handles: list[Handle[Any]] = await self.app.start_many(workflow, inputs)
        for handle, result in zip(handles, results, strict=True):
            self.promise(handle.id, result, steps=steps)

    def promise(self, execution_id: UUID, result: Any, *, steps: Set[str], status: str = "completed") -> None:
        """Note that a start was accepted, and what must come of it."""
        self.promises[execution_id] = Promise(result, steps, status)

    async def start_voyages(self, count: int, *, rest: float = REST) -> list[int]:
        """Start voyages, whose numbers are the answer: each waits to be let go."""
        numbers = range(len(self.promises), len(self.promises) + count)
        handles = await self.app.start_many("voyage", [{"number": number, "rest": rest} for number in numbers])
        for handle, number in zip(handles, numbers, strict=True):
            self.promises[handle.id] = voyages.voyage_promise(number)
        return list(numbers)

    async def let_go(self, numbers: Iterable[int]) -> None:
        """Send these voyages what they wait for, all of it twice."""
        for number in numbers:
            for payload in voyages.went(number):
                for _ in range(2):
                    await self.app.send_event("go", payload, key=f"port {number}", id=str(payload))

    async def start_replies(
        self, count: int, *, timeout: float | None = None, key: str | None = None, payload: Any = None
    ) -> list[str]:
        """Start workflows that wait for a `word`: each by a key of its own, or all by this one. Their keys."""
        first = len(self.promises)
        keys = [key or f"reply {number}" for number in range(first, first + count)]
        results = [[payload or key, None] for key in keys]
        await self.start("reply", [{"key": key, "timeout": timeout} for key in keys], results, steps={"fetch"})
        return keys

    async def start_parents(self, count: int) -> None:
        """Start workflows that call a child which ends at once."""
        handles = await self.app.start_many("parent", [{}] * count)
        self.promises |= {handle.id: voyages.CALLED for handle in handles}

    async def start_sieges(self, count: int) -> list[UUID]:
        """Start sieges, which somebody has to cancel."""
        handles = await self.app.start_many("siege", [{"number": number} for number in range(count)])
        self.promises |= {handle.id: voyages.BESIEGED for handle in handles}
        return [handle.id for handle in handles]

    async def cancel(self, identity: UUID) -> None:
        """Cancel it if it has not ended; by the answer it is noted what must come of it."""
        with suppress(NotAllowed):
            await self.app.cancel(identity)
            self.promises[identity] = self.promises[identity].cancelled()

    async def finished(self, *, seconds: float = SECONDS) -> None:
        """Return once every execution has ended."""
        steps = sum(len(promise.steps) for promise in self.promises.values() if not promise.at_will)

        async def is_finished() -> bool:
            return self.ledger.count("end") >= steps and not await self.unfinished()

        await self.until(is_finished, seconds=seconds)

    async def waiting(self, count: int) -> None:
        """Return once so many executions wait for an event or a child."""

        async def are_enough() -> bool:
            rows = await self.query("select count(*) from stepwell.execution where status = 'waiting'")
            return bool(rows[0][0] >= count)

        await self.until(are_enough)

    async def unfinished(self) -> int:
        """How many executions have not ended."""
        rows = await self.query("select count(*) from stepwell.execution where finished_at is null")
        return int(rows[0][0])

    # --- signals --------------------------------------------------------------------------------------------------

    async def until(self, holds: Callable[[], Awaitable[T]], *, seconds: float = SECONDS) -> T:
        """The first answer that is true. Asked again whenever a step, an execution, a session or a process changes.

        One such wait at a time.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._rung.clear()
                    with suppress(psycopg.OperationalError):  # the database is away
                        if answer := await holds():
                            return answer
                    await self._rung.wait()
        except TimeoutError:
            raise AssertionError(
                f"waited {seconds} s in vain for {holds.__qualname__}; {await self._scene()}"
            ) from None

    async def shows(self, text: str, *rows: tuple[Any, ...]) -> None:
        """Return once the database answers this. For what nothing tells of: it is asked again and again."""
        async with asyncio.timeout(SECONDS):
            while await self.query(text) != list(rows):
                await self.query("select pg_sleep(0.05)")  # what is waited for needs the processors more than this

    async def begun(self, count: int, *, by: WorkerProcess | None = None) -> None:
        """Return once so many bodies have begun, in all or in one process."""

        async def are_enough() -> bool:
            return (self.ledger.count("begin") if by is None else len(self.lines("begin", pid=by.pid))) >= count

        await self.until(are_enough)

    async def ready(self, *workers: WorkerProcess) -> None:
        """Return once these workers have opened their sessions."""

        async def all_are() -> bool:
            return {worker.pid for worker in workers} <= {line.pid for line in self.lines("ready")}

        await self.until(all_are)

    async def sessions(self, worker: WorkerProcess, *, at_least: int) -> None:
        """Return once this worker has opened so many sessions."""

        async def are_enough() -> bool:
            rows = await self.query("select count(*) from audit.session where pid = %s", worker.pid)
            return bool(rows[0][0] >= at_least)

        await self.until(are_enough)

    def lines(self, what: str, *, pid: int | None = None) -> list[Line]:
        """The lines of one kind: all, or those of one process."""
        return [line for line in self.ledger.lines() if line.what == what and pid in (None, line.pid)]

    # --- the database ---------------------------------------------------------------------------------------------

    async def connect(self) -> psycopg.AsyncConnection[Any]:
        """A connection of the test's own, by another name than the engine's."""
        return await psycopg.AsyncConnection.connect(
            make_conninfo(self.url, application_name="audit"), autocommit=True, prepare_threshold=None
        )

    async def query(self, text: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        async with self._asking:
            if self._connection is None or self._connection.closed:
                self._connection = await self.connect()
            cursor = await self._connection.execute(text.encode(), values or None)
            return await cursor.fetchall() if cursor.description else []

    async def contents(self) -> dict[str, Sequence[tuple[Any, ...]]]:
        """Every row that a worker could write, to be compared with a later look."""
        found = {}
        for table in ("stepwell.execution", "stepwell.checkpoint", "stepwell.attempt", "booking"):
            name = sql.Identifier(*table.split("."))
            text = sql.SQL("select t::text from {} t order by 1").format(name).as_string()
            found[table] = await self.query(text)
        return found

    # --- judging --------------------------------------------------------------------------------------------------

    async def evidence(self) -> Evidence:
        """All that is known of what happened."""
        async with await self.connect() as connection:
            return await gather(connection, self.promises, self.ledger.lines())

    async def check(self) -> Evidence:
        """Fail unless every invariant holds and every worker ended as it should, if it has."""
        await self._calm()
        evidence = await self.evidence()
        found = violations(evidence)
        found += [complaint for worker in self.workers for complaint in worker.complaints()]
        assert not found, "\n".join([*found[:20], await self._scene()])
        return evidence

    async def _calm(self) -> None:
        """Wait until nothing is stuck: who was cut off lets go of its transactions when it gets to know."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CALM_SECONDS):
                while await self.query(STUCK):
                    await self.query("select pg_sleep(0.05)")

    async def _scene(self) -> str:
        """Where to look when something went wrong: what has not ended and why, and the last words of every worker."""
        waiting = await self.query(
            "select count(*), workflow, status, crashes, why from stepwell.executions"
            " where finished_at is null group by 2, 3, 4, 5 limit 20"
        )
        words = [f"{worker.pid} ({worker.code}): {worker.said()[-600:]}" for worker in self.workers]
        return "\n".join([f"see {self.folder}", *map(str, waiting), *words])

    # --- listening ------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for end in (self._ears, self._mouth):
            os.set_blocking(end, False)
        asyncio.get_running_loop().add_reader(self._ears, self._hear)
        self._listening = asyncio.create_task(self._listen_to_database())

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._ears, 65_536)
        self._rung.set()

    async def _listen_to_database(self) -> None:
        """Ring at every notice. A lost connection is replaced, and rings as well: something may have been missed."""
        while True:
            with suppress(psycopg.OperationalError):
                async with await self.connect() as connection:
                    await connection.execute("listen audit")
                    self._rung.set()
                    async for _ in connection.notifies():
                        self._rung.set()
            self._rung.set()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _close(self) -> None:
        for worker in self.workers:
            await worker.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if self._connection is not None:
            await self._connection.close()
        await self.app.close()
        asyncio.get_running_loop().remove_reader(self._ears)
        os.close(self._ears)
        os.close(self._mouth)
