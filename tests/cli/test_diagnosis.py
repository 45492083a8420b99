"""What the doctor makes of each fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from stepwell.cli import diagnosis
from stepwell.cli.diagnosis import (
    Backlog,
    Disk,
    Finding,
    Installation,
    RefusedConnection,
    Role,
    Server,
    State,
    Stranded,
    Table,
    Undecided,
    Work,
)

GOOD_SERVER = Server(
    version_number=180006,
    version="18.6",
    encoding="UTF8",
    has_fsync=True,
    has_full_page_writes=True,
    synchronous_commit="on",
    has_autovacuum=True,
    ahead_for=timedelta(milliseconds=-40),
)
GOOD_WORK = Work(
    live_workers=2,
    expired_workers=0,
    stranded=(),
    late_for=None,
    oldest_transaction_for=None,
    tables=[Table("x", 10, 5)],
)
INSTALLATION = Installation("3.11.7", "0.1.0", "3.3.9", "binary", has_uvloop=True)
GIGABYTE = 1024**3


def of_server(**changes: object) -> list[Finding]:
    return [finding for finding in diagnosis.of_server(replace(GOOD_SERVER, **changes)) if finding.state != "ok"]  # type: ignore[arg-type]


def of_work(*, has_autovacuum: bool = True, **changes: object) -> list[Finding]:
    work = replace(GOOD_WORK, **changes)  # type: ignore[arg-type]
    return [finding for finding in diagnosis.of_work(work, has_autovacuum=has_autovacuum) if finding.state != "ok"]


def test_a_good_server_with_good_work_has_nothing_to_complain_of() -> None:
    findings = [*diagnosis.of_server(GOOD_SERVER), *diagnosis.of_work(GOOD_WORK, has_autovacuum=True)]

    assert {finding.state for finding in findings} == {State.OK}
    assert [finding.fact for finding in findings] == [
        "PostgreSQL 18.6",
        "UTF8",
        "a commit that was acknowledged survives a power cut",
        "the server's clock is 0.0 s behind this machine's",
        "2 alive",
        "nothing that a worker could run is due",
        "every execution that has ended is in the index of words",
        "no execution has ended",
        "none has been open for long",
        "5 dead rows",
    ]


def test_the_driver_without_its_compiled_part_is_a_warning() -> None:
    assert [finding.fact for finding in diagnosis.of_installation(INSTALLATION)] == [
        "3.11.7, uvloop",
        "0.1.0",
        "psycopg 3.3.9 (binary)",
    ]
    slow = list(diagnosis.of_installation(replace(INSTALLATION, driver="python", has_uvloop=False)))
    assert slow[0].fact == "3.11.7, asyncio's own loop (uvloop is not installed)"
    assert slow[2] == Finding(
        "driver",
        State.WARN,
        "psycopg 3.3.9 runs without its compiled part, which costs speed",
        "run `pip install 'psycopg[binary]'`",
    )


@pytest.mark.parametrize(("version", "is_refused"), [(130022, True), (140000, False)])
def test_a_server_before_14_is_refused(version: int, is_refused: bool) -> None:
    found = of_server(version_number=version, version="x")

    refused = Finding("server", State.FAIL, "PostgreSQL x", "use version 14 or later: upgrade it")
    assert found == [refused] * is_refused


def test_an_encoding_that_cannot_hold_every_text_is_refused() -> None:
    assert of_server(encoding="LATIN1") == [
        Finding("encoding", State.FAIL, "LATIN1 cannot hold every text", "create the database with encoding UTF8")
    ]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"has_fsync": False}, "fsync"),
        ({"has_full_page_writes": False}, "full_page_writes"),
        ({"synchronous_commit": "off"}, "synchronous_commit"),
        ({"has_fsync": False, "synchronous_commit": "off"}, "fsync and synchronous_commit"),
    ],
)
def test_relaxed_durability_is_a_warning_that_names_the_setting(changes: dict[str, object], names: str) -> None:
    """F30"""
    assert of_server(**changes) == [
        Finding(
            "durability",
            State.WARN,
            f"{names} off: a power cut can lose work that was acknowledged",
            "turn it on where that matters",
        )
    ]


@pytest.mark.parametrize("commit", ["on", "local", "remote_write", "remote_apply"])
def test_any_other_synchronous_commit_keeps_what_was_acknowledged(commit: str) -> None:
    assert of_server(synchronous_commit=commit) == []


@pytest.mark.parametrize(("seconds", "shown"), [(2.5, "2.5 s ahead of"), (-3600, "3600.0 s behind")])
def test_clocks_that_differ_are_a_warning(seconds: float, shown: str) -> None:
    (found,) = of_server(ahead_for=timedelta(seconds=seconds))

    assert (found.check, found.state) == ("clock", State.WARN)
    assert found.fact == f"the server's clock is {shown} this machine's"
    assert "timers keep to the server's" in found.way_out


def test_a_full_disk_is_a_warning_before_it_is_full() -> None:
    assert diagnosis.of_disk(Disk("/d", 39 * 1024**2, 5 * GIGABYTE)) == Finding(
        "disk", State.OK, "/d holds 39 MB, 5,120 MB are free there"
    )
    assert diagnosis.of_disk(Disk("/d", 0, GIGABYTE - 1)).state is State.WARN


def test_a_pooler_is_told() -> None:
    assert diagnosis.of_pooling(is_pooled=False).fact == "direct"
    assert diagnosis.of_pooling(is_pooled=True).fact.startswith("through a pooler")


def test_a_role_is_told_what_it_lacks_and_whether_it_may_change_the_schema() -> None:
    assert diagnosis.of_role(Role("app", may_change_schema=True)).fact == (
        "app may do all it needs, and bring the schema to new versions"
    )
    assert diagnosis.of_role(Role("app", may_change_schema=False)).fact == (
        "app may do all it needs, but not bring the schema to new versions: its owner runs `stepwell migrate` for that"
    )
    assert diagnosis.of_role(Role("app", may_change_schema=True, lacking=("a", "b"))) == Finding(
        "role", State.FAIL, "app lacks: a, b", "have the owner of the schema grant it"
    )


def test_no_living_worker_is_a_warning() -> None:
    assert of_work(live_workers=0, expired_workers=3) == [
        Finding("workers", State.WARN, "none is alive, 3 expired and not yet cleaned up", "run `stepwell worker FLOWS`")
    ]


def test_every_workflow_that_nobody_can_run_is_named() -> None:
    found = of_work(stranded=[Stranded("pay", "default", 1_200), Stranded("ship", "crm", 1)])

    assert [finding.fact for finding in found] == [
        "1,200 of workflow 'pay' wait, and no living worker has it",
        "1 of workflow 'ship' in queue 'crm' wait, and no living worker has it",
    ]
    assert {finding.way_out for finding in found} == {"start a worker that has it, or cancel them"}


@pytest.mark.parametrize(("seconds", "is_late"), [(60, False), (61, True), (7_200, True)])
def test_an_execution_that_has_been_due_for_long_is_a_warning(seconds: int, is_late: bool) -> None:
    late = Finding(
        "lateness",
        State.WARN,
        f"the oldest execution that is due waits for {seconds:,} s",
        "add workers, or raise their --concurrency",
    )
    assert of_work(late_for=timedelta(seconds=seconds)) == [late] * is_late


def test_a_transaction_that_stays_open_is_a_warning() -> None:
    """F36"""
    assert of_work(oldest_transaction_for=timedelta(minutes=5)) == []
    (found,) = of_work(oldest_transaction_for=timedelta(minutes=90))
    assert found.fact == "one has been open for 90 min, so dead rows cannot be removed"


@pytest.mark.parametrize(
    ("live", "dead", "is_bloated"),
    [(0, 10_000, False), (0, 10_001, True), (60_000, 15_000, False), (40_000, 15_000, True)],
)
def test_many_dead_rows_beside_few_live_ones_are_a_warning(live: int, dead: int, is_bloated: bool) -> None:
    found = of_work(tables=[Table("worker", 1, 0), Table("execution", live, dead)])

    assert [finding.fact for finding in found] == [
        f"table execution has {dead:,} dead rows beside {live:,} live ones"
    ] * is_bloated


def test_no_autovacuum_is_a_warning() -> None:
    assert of_work(has_autovacuum=False) == [
        Finding("vacuum", State.WARN, "autovacuum is off: tables grow without end", "turn autovacuum on")
    ]


def test_a_connection_that_is_refused_is_named_with_why_and_what_waits() -> None:
    (finding,) = of_work(refused=[RefusedConnection("acme", "invalid_grant", 2)])

    assert (finding.check, finding.fact) == (
        "connections",
        "'acme' needs re-authorisation (2 executions waiting): invalid_grant",
    )
    assert "stepwell connections connect acme" in finding.way_out


def test_a_trigger_that_cannot_decide_is_named_with_what_it_raised() -> None:
    (finding,) = of_work(undecided=[Undecided("big-order", 2, "TypeError: no")])

    assert (finding.check, finding.fact) == ("triggers", "'big-order' cannot decide about 2 events: TypeError: no")


@pytest.mark.parametrize(("minutes", "is_bad"), [(9, False), (11, True)])
def test_an_index_of_words_that_lags_behind_is_a_warning(minutes: int, is_bad: bool) -> None:
    found = of_work(backlog=Backlog(unindexed=1, unindexed_for=timedelta(minutes=minutes)))

    assert [finding.fact for finding in found] == (
        ["1 ended execution not yet in the index of words, the earliest ended 11 min ago: searches are slow"]
        if is_bad
        else []
    )


@pytest.mark.parametrize(("leftovers", "is_bad"), [(100_000, False), (100_001, True)])
def test_much_that_is_left_of_removed_executions_is_a_warning(leftovers: int, is_bad: bool) -> None:
    found = of_work(backlog=Backlog(leftovers=leftovers, oldest_for=timedelta(days=40)))

    assert [finding.fact for finding in found] == (
        ["the earliest that is kept ended 40 days ago; 100,001 are removed whose steps are still to go"]
        if is_bad
        else []
    )
