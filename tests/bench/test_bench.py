"""The bench computes what it says, and its harness runs our engine. No time is judged here."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import report, workloads
from bench.engines import ENGINES
from bench.ledger import Ledger, Note, read_ledger
from bench.measure import MemoryTrace, cpu_seconds, most_at_once, percentile, resident_megabytes
from bench.postgres import NoPostgres, Postgres, running
from bench.processes import EngineFailed, stage
from bench.raw import Limits

LIMITS = Limits(
    fsync_ms=0.1,
    commit_ms=0.25,
    commits_per_second=4_000,
    commit_cpu_us=80,
    rows_per_second_by_100=40_000,
    rows_per_second_by_1000=80_000,
    wal_bytes_per_row=350,
    read_seconds=0.02,
    bare_steps_per_second=200_000,
    bare_step_us=5,
)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (0.1, 1)])
def test_percentile_is_the_smallest_value_that_so_many_do_not_exceed(percent: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.5], 99) == 7.5


def test_spans_that_only_touch_do_not_overlap() -> None:
    assert most_at_once([(0, 5), (5, 9), (6, 8)]) == 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [(14_321.0, "14,300"), (123.4, "123"), (0.4821, "0.482"), (1.9, "1.9"), (0, "0"), (-0.5, "-0.5"), (99.96, "100")],
)
def test_numbers_are_shown_with_three_digits(value: float, shown: str) -> None:
    assert report.number(value) == shown


def test_table_divides_the_first_engine_by_its_limit_and_leaves_gaps() -> None:
    results = {"stepwell": {"sequential": {"ms_per_step": 0.5}}, "absurd": {"latency": {"p50_ms": 53.0}}}

    lines = report.measures_table(results, LIMITS)

    assert lines[2:] == [
        "| one execution alone: ms per step | 0.5 | 2x 0.25, a commit |  | 0.5 |",
        "| start to result, idle worker: p50, ms |  |  | 53 | 4 |",
    ]


def test_every_limit_that_a_measure_names_exists_and_has_its_labels() -> None:
    limits = {field.name for field in dataclasses.fields(Limits)}

    assert {measure.limit for measure in report.MEASURES if measure.limit} == set(report.SHORT_LABELS)
    assert set(report.LIMIT_LABELS) == limits >= set(report.SHORT_LABELS)
    assert {measure.workload for measure in report.MEASURES} == set(workloads.WORKLOADS)


def test_a_lasting_ledger_is_on_disk_before_the_step_returns(tmp_path: Path) -> None:
    lasting, quick = Ledger(str(tmp_path / "a"), lasting=True), Ledger(str(tmp_path / "b"), lasting=False)

    returned = lasting.step(4, 2)
    quick.step(4, 2)

    assert returned["line"] == 2
    assert [note[:3] for note in read_ledger(tmp_path / "a")] == [("step", 4, 2)]
    assert read_ledger(tmp_path / "b") == []
    quick.close()
    assert [note[:3] for note in read_ledger(tmp_path / "b")] == [("step", 4, 2)]


def test_a_kill_is_charged_with_every_step_that_ran_twice() -> None:
    before = [Note("step", 1, 0, 10.0), Note("step", 1, 1, 11.0), Note("step", 2, 0, 12.0)]
    after = [Note("step", 1, 0, 20.0), Note("step", 1, 1, 20.5), Note("step", 2, 1, 21.0)]

    figures = workloads.after_kill(before + after, killed_at=13.0, finished=22.0, total=5)

    assert figures == {
        "extra_seconds": 22.0 - 13.0 - 2 / (3 / 3.0),
        "steps_repeated": 2,
        "checkpointed_steps_repeated": 1,  # 1/0 was: 1/1 had begun. 1/1 itself may have been cut
        "steps_lost": 1,
    }


def test_a_process_is_charged_with_its_own_cpu_and_memory() -> None:
    began, until = cpu_seconds(os.getpid()), time.process_time() + 0.1
    while time.process_time() < until:
        pass

    assert cpu_seconds(os.getpid()) - began >= 0.08
    assert resident_megabytes(os.getpid()) > 10


def test_memory_growth_counts_only_what_was_gained_before_the_moment() -> None:
    with MemoryTrace(os.getpid()) as memory:
        held = bytearray(b"x" * 40_000_000)

    assert memory.growth_until(time.time()) > len(held) / 2**20 / 2
    assert memory.growth_until(0) == 0


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    try:
        with running() as server:
            yield server
    except NoPostgres as missing:
        pytest.skip(str(missing))


def test_a_run_of_our_engine_gives_every_figure_of_its_rows(server: Postgres) -> None:
    figures = workloads.throughput(ENGINES["stepwell"], server, workloads.QUICK)

    wanted = {measure.figure for measure in report.MEASURES if measure.workload == "throughput"}
    assert wanted <= set(figures)
    assert figures["steps_per_second"] > 0
    assert figures["wal_bytes_per_step"] > 200  # each step stores a value of about that size


@pytest.mark.parametrize("workload", ["events", "children", "stampede"])
def test_a_run_that_waits_gives_every_figure_of_its_rows(server: Postgres, workload: str) -> None:
    figures = workloads.WORKLOADS[workload](ENGINES["stepwell"], server, workloads.QUICK)

    assert set(figures) == {measure.figure for measure in report.MEASURES if measure.workload == workload}
    figures.pop("most_running", None)  # of few executions a look may meet none
    assert min(figures.values()) > 0


def test_a_killed_worker_repeats_no_checkpointed_step_and_loses_none(server: Postgres) -> None:
    figures = workloads.killed(ENGINES["stepwell"], server, workloads.QUICK)

    assert figures["checkpointed_steps_repeated"] == 0
    assert figures["steps_lost"] == 0


def test_a_run_whose_process_fails_says_what_it_said(server: Postgres) -> None:
    broken = dataclasses.replace(ENGINES["stepwell"], name="no_such_engine")

    with pytest.raises(EngineFailed, match="No module named"), stage(broken, server):
        pass
