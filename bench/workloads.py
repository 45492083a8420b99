"""The workloads: each runs one engine on a fresh database and returns named figures. What they mean: README.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil

from bench.engines import EngineSpec
from bench.intake import take
from bench.ledger import Note
from bench.measure import MemoryTrace, most_at_once, percentile, resident_megabytes
from bench.postgres import Postgres
from bench.processes import SETTLE_SECONDS, EngineFailed, Stage, orders, stage
from bench.search import look_up

Figures = dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """How much of everything. The defaults are what the published figures are made with."""

    sequential_steps: int = 1_000
    executions: int = 2_000
    steps: int = 10
    latency_starts: int = 200
    latency_pause_seconds: float = 0.05
    latency_budget_seconds: float = 40
    sleepers: int = 5_000
    sleep_seconds: float = 5
    replay_steps: int = 5_000
    replay_nap_seconds: float = 10  # longer than a killed worker's lease
    stampede: int = 100_000
    stampede_rest_seconds: float = 5  # between the last that fell asleep and the second at which all wake
    stampede_asleep_per_second: float = 1_000  # how many, at the least, fall asleep in a second
    events: int = 1_000
    children: int = 1_000
    parents: int = 100  # of a tenth as many children each
    submits: int = 2_000
    submits_at_once: int = 10_000
    idle_seconds: float = 60  # as the upkeep comes once a minute
    deliveries: int = 15_000
    deliveries_a_second: int = 1_000
    deliveries_paced_seconds: float = 10
    search_executions: int = 1_000_000
    search_questions: int = 100  # of each kind


QUICK = Sizes(
    sequential_steps=50,
    executions=20,
    steps=2,
    latency_starts=5,
    sleepers=20,
    sleep_seconds=1,
    replay_steps=50,
    stampede=200,
    stampede_rest_seconds=2,
    events=20,
    children=20,
    parents=4,
    submits=20,
    submits_at_once=100,
    idle_seconds=3,
    deliveries=200,
    deliveries_a_second=100,
    deliveries_paced_seconds=1,
    search_executions=2_000,
    search_questions=3,
)


def sequential(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """One execution alone: what a step costs when nothing else shares its commit."""
    with stage(engine, postgres) as on:
        figures = _run(on, postgres, executions=1, steps=sizes.sequential_steps, workers=1, at_once=False)
    return {"ms_per_step": 1e3 / figures["steps_per_second_running"], "cpu_us_per_step": figures["cpu_us_per_step"]}


def throughput(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """Many short executions, started by one call."""
    with stage(engine, postgres) as on:
        return _run(on, postgres, executions=sizes.executions, steps=sizes.steps, workers=1, at_once=True)


def one_by_one(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """The same as `throughput`, each start awaited before the next."""
    with stage(engine, postgres) as on:
        return _run(on, postgres, executions=sizes.executions, steps=sizes.steps, workers=1, at_once=False)


def two_workers(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """The same as `throughput`, with two worker processes."""
    with stage(engine, postgres) as on:
        return _run(on, postgres, executions=sizes.executions, steps=sizes.steps, workers=2, at_once=True)


def _run(on: Stage, postgres: Postgres, *, executions: int, steps: int, workers: int, at_once: bool) -> Figures:
    on.start_warm_workers(workers)
    cpu, wal = on.cpu_seconds(), postgres.wal_bytes()
    submitted = on.submitter.ask("submit", orders=orders(executions, steps=steps), at_once=at_once)
    finished = on.submitter.ask("finish")["finished"]
    cpu, wal = on.cpu_seconds() - cpu, postgres.wal_bytes() - wal
    on.stop_workers()
    ran = [note.at for note in on.notes() if note.kind == "step"]
    total = executions * steps
    if len(ran) != total:
        raise EngineFailed(f"{len(ran)} steps ran, {total} were due: with no failure each must run once")
    return {
        "steps_per_second": total / (finished - submitted["began"]),
        "steps_per_second_running": (total - 1) / (ran[-1] - ran[0]),
        "cpu_us_per_step": cpu / total * 1e6,
        "wal_bytes_per_step": wal / total,
    }


def latency(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """From before `start` to the result of an execution with one step, in a process that is not the idle worker's."""
    with stage(engine, postgres) as on:
        on.start_warm_workers(1)
        answer = on.submitter.ask(
            "latency",
            count=sizes.latency_starts,
            pause_seconds=sizes.latency_pause_seconds,
            budget_seconds=sizes.latency_budget_seconds,
        )
    milliseconds = [seconds * 1e3 for seconds in answer["seconds"]]
    return {
        "p50_ms": percentile(milliseconds, 50),
        "p99_ms": percentile(milliseconds, 99),
        "starts": len(milliseconds),
    }


def sleepers(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """Many executions that sleep: how late each goes on, and what they hold in the worker while they sleep."""
    nap = sizes.sleep_seconds
    with stage(engine, postgres, lasting=True) as on:
        on.start_warm_workers(1, executions=sizes.sleepers)  # or the growth would be that of running so many at a time
        with MemoryTrace(on.workers[0].pid) as memory:
            on.submitter.ask("submit", orders=orders(sizes.sleepers, nap_seconds=nap), at_once=True)
            on.submitter.ask("finish")
        asleep, awake = _first(on.notes(), "asleep"), _first(on.notes(), "awake")
    late = [(awake[execution] - began - nap) * 1e3 for execution, began in asleep.items()]
    return {
        "late_p50_ms": percentile(late, 50),
        "late_p99_ms": percentile(late, 99),
        "together": most_at_once([(began, began + nap) for began in asleep.values()]),
        "memory_growth_mb": memory.growth_until(min(asleep.values()) + nap),
    }


def stampede(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """All of them sleep until the same second: how soon each goes on, and how many a worker takes meanwhile."""
    count = sizes.stampede
    with stage(engine, postgres, lasting=True) as on:
        on.start_warm_workers(1)
        until = ceil(time.time() + count / sizes.stampede_asleep_per_second + sizes.stampede_rest_seconds)
        on.submitter.ask("submit", orders=orders(count, until=until), at_once=True)
        most_running = on.submitter.ask("finish", poll_seconds=0.5)["most_running"]
        asleep, awake = _first(on.notes(), "asleep"), _first(on.notes(), "awake")
    if max(asleep.values()) > until:
        raise EngineFailed(f"some fell asleep {max(asleep.values()) - until:.1f} s after all were to wake")
    if min(awake.values()) < until:
        raise EngineFailed(f"one woke {(until - min(awake.values())) * 1e3:.1f} ms early")
    return {
        "woken_per_second": count / (max(awake.values()) - until),
        "first_late_ms": (min(awake.values()) - until) * 1e3,
        "most_running": most_running,
    }


def events(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """Many executions wait, each gets its event, one sent after the other: from before the send to the stored end."""
    with stage(engine, postgres, lasting=True) as on:
        on.start_warm_workers(1)
        on.submitter.ask("submit", orders=orders(sizes.events, is_told=True), at_once=True)
        while len(_first(on.notes(), "waits")) < sizes.events:
            time.sleep(0.05)
        time.sleep(SETTLE_SECONDS)  # they are parked
        sent = on.submitter.ask("tell")
        on.submitter.ask("finish")
        milliseconds = [seconds * 1e3 for seconds in on.submitter.ask("told")["seconds"]]
    return {
        "p50_ms": percentile(milliseconds, 50),
        "p99_ms": percentile(milliseconds, 99),
        "sent_per_second": sizes.events / (sent["ended"] - sent["began"]),
    }


def children(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """Executions that call others: one calls many together, then many call a few each."""
    few = sizes.children // 10
    return {
        "of_one_per_second": _children(engine, postgres, parents=1, children=sizes.children),
        "of_many_per_second": _children(engine, postgres, parents=sizes.parents, children=few),
    }


def _children(engine: EngineSpec, postgres: Postgres, *, parents: int, children: int) -> float:
    with stage(engine, postgres) as on:
        on.start_warm_workers(1)
        submitted = on.submitter.ask("submit", orders=orders(parents, children=children), at_once=True)
        finished: float = on.submitter.ask("finish")["finished"]
        began: float = submitted["began"]
    return parents * children / (finished - began)


def killed(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """kill -9 of the only worker when half of the steps ran; a new one is started at once, under the same name."""
    total = sizes.executions * sizes.steps
    with stage(engine, postgres, lasting=True) as on:
        on.start_warm_workers(1)
        on.submitter.ask("submit", orders=orders(sizes.executions, steps=sizes.steps), at_once=True)
        while on.steps_so_far() < total / 2:
            time.sleep(0.005)
        on.workers.pop().kill()
        killed_at = time.time()
        on.start_worker()
        finished = on.submitter.ask("finish")["finished"]
        ran = [note for note in on.notes() if note.kind == "step"]
    return after_kill(ran, killed_at=killed_at, finished=finished, total=total)


def after_kill(ran: list[Note], *, killed_at: float, finished: float, total: int) -> Figures:
    """What a kill cost, read from the steps that ran before and after it."""
    before = [note for note in ran if note.at <= killed_at]
    after = [note for note in ran if note.at > killed_at]
    rate = len(before) / (killed_at - before[0].at)
    return {
        "extra_seconds": finished - killed_at - (total - len(before)) / rate,
        "steps_repeated": len(ran) - len(_places(ran)),
        "checkpointed_steps_repeated": len(_checkpointed(before) & _places(after)),
        "steps_lost": total - len(_places(ran)),
    }


def replay(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """An execution with many checkpoints goes on in a new process: the pass that finds them all, and nothing else."""
    nap = sizes.replay_nap_seconds
    with stage(engine, postgres, lasting=True) as on:
        on.start_worker()
        on.submitter.ask("submit", orders=orders(1, steps=sizes.replay_steps, nap_seconds=nap), at_once=False)
        while not (asleep := _first(on.notes(), "asleep")):
            time.sleep(0.05)
        time.sleep(SETTLE_SECONDS)  # the sleep is stored
        on.workers.pop().kill()
        on.start_worker()
        on.submitter.ask("finish")
        notes = on.notes()
    entered = [note.at for note in notes if note.kind == "enter"]
    replayed = [note.at for note in notes if note.kind == "asleep"]
    awake = [note.at for note in notes if note.kind == "awake"]
    if len(entered) < 2:
        raise EngineFailed("the execution went on without a replay")
    return {
        "replay_seconds": replayed[-1] - entered[-1],
        "resumed_late_seconds": awake[-1] - asleep[0] - nap,
    }


def submits(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """Starting executions while no worker runs."""
    with stage(engine, postgres) as on:
        one = on.submitter.ask("submit", orders=orders(sizes.submits, steps=1), at_once=False)
        many = on.submitter.ask("submit", orders=orders(sizes.submits_at_once, steps=1), at_once=True)
    return {
        "one_by_one_per_second": sizes.submits / (one["ended"] - one["began"]),
        "at_once_per_second": sizes.submits_at_once / (many["ended"] - many["began"]),
    }


def idle(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """A worker with nothing to do: what it asks the database all the same, and the memory that it holds."""
    with stage(engine, postgres) as on:
        postgres.track_statements(on.database)
        on.start_warm_workers(1)
        on.submitter.stop()
        before = postgres.statements(on.database)
        time.sleep(sizes.idle_seconds)
        asked = postgres.statements(on.database) - before
        return {
            "statements_per_minute": asked * 60 / sizes.idle_seconds,
            "memory_mb": resident_megabytes(on.workers[0].pid),
        }


def search(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """Listings by each filter among executions that have ended. The other engines have nothing to compare it with."""
    return look_up(engine, postgres, executions=sizes.search_executions, questions=sizes.search_questions)


def intake(engine: EngineSpec, postgres: Postgres, sizes: Sizes) -> Figures:
    """Deliveries of webhooks to one server process. The other engines take none."""
    pace, seconds = sizes.deliveries_a_second, sizes.deliveries_paced_seconds
    return take(engine, postgres, deliveries=sizes.deliveries, pace=pace, paced_seconds=seconds)


WORKLOADS: dict[str, Callable[[EngineSpec, Postgres, Sizes], Figures]] = {
    "sequential": sequential,
    "throughput": throughput,
    "one-by-one": one_by_one,
    "two-workers": two_workers,
    "latency": latency,
    "sleepers": sleepers,
    "stampede": stampede,
    "events": events,
    "children": children,
    "killed": killed,
    "replay": replay,
    "submits": submits,
    "idle": idle,
    "intake": intake,
    "search": search,
}


def _first(notes: Iterable[Note], kind: str) -> dict[int, float]:
    """When each execution came by this place for the first time."""
    first: dict[int, float] = {}
    for note in notes:
        if note.kind == kind:
            first.setdefault(note.execution, note.at)
    return first


def _places(notes: Iterable[Note]) -> set[tuple[int, int]]:
    return {(note.execution, note.step) for note in notes}


def _checkpointed(notes: Iterable[Note]) -> set[tuple[int, int]]:
    """The steps whose checkpoint was acknowledged, seen from outside: the execution had begun its next step."""
    return {(execution, step - 1) for execution, step in _places(notes) if step > 0}
