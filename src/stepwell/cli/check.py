"""`stepwell check`: find code in workflows that would go wrong on a replay, and executions that would not fit it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepwell.cli.exits import FAILED
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import Cell, clean, note, show_json, show_table
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.cli.against import Judged, Outcome
    from stepwell.lint.findings import Finding

EMBEDDED = "embedded"  # --against this: the database in .stepwell/


@click.command("check")
@click.argument("flows")
@click.option("--against", metavar="URL", help="Also replay all that is in flight in this database.")
@click.option("--workflow", "workflows", multiple=True, metavar="NAME", help="... of this one only; can be repeated.")
@output_options()
@database_options
def command(flows: str, target: Target, against: str | None, workflows: Sequence[str], as_json: bool) -> None:
    """Find code in workflows that would go wrong on a replay.

    FLOWS is a file (flows.py) or a module (package.flows) with an App; flows.py:app says which of several. It is
    imported; no step runs, and nothing is written anywhere. `--against embedded` means the database in .stepwell/.
    """
    if against is None and workflows:
        raise InvalidOption("--workflow says which executions are replayed; give --against, too")
    if against is not None and not against.strip():
        raise InvalidOption("--against is empty; leave it out, or give a URL (is a shell variable unset?)")
    app = target.open_flows(flows)
    findings = _lint(app, flows)
    outcome = None if against is None else _replay(app, against, target.schema_name, workflows)
    if as_json:
        show_json(_document(app, findings, outcome))
    else:
        _show(app, findings, outcome)
    if not _is_well(findings, outcome):
        click.get_current_context().exit(FAILED)


def _lint(app: App, flows: str) -> Sequence[Finding]:
    from stepwell.cli.flows import locate
    from stepwell.cli.sources import project_of, refusal, targets_of
    from stepwell.lint.check import check

    targets = targets_of(app.registry)
    checked = check(project_of(targets, locate(flows).root), targets, refusal)
    for missed in checked.missed:
        note(f"not checked: the source of workflow '{targets[missed]}' is not found")
    return checked.findings


def _replay(app: App, against: str, schema: str, workflows: Sequence[str]) -> Outcome:
    import asyncio

    from stepwell.cli.against import replay_in_flight

    with _running(against) as url:
        return asyncio.run(replay_in_flight(app.registry, url, schema, workflows))


@contextmanager
def _running(against: str) -> Iterator[str]:
    """The URL of the database; the embedded one, which has none that could be given, runs meanwhile."""
    from stepwell.app.settings import embedded_folder
    from stepwell.store.embedded import start_embedded

    if against != EMBEDDED:
        yield against
        return
    with start_embedded(embedded_folder()) as server:
        yield server.url


def _is_well(findings: Sequence[Finding], outcome: Outcome | None) -> bool:
    judged = outcome.judged if outcome else ()
    return all(finding.is_hint for finding in findings) and all(one.verdict.is_warning for one in judged)


# --- for programs -------------------------------------------------------------------------------------------------


def _document(app: App, findings: Sequence[Finding], outcome: Outcome | None) -> dict[str, object]:
    document: dict[str, object] = {
        "ok": _is_well(findings, outcome),
        "workflows": app.registry.names,
        "findings": [{**finding._asdict(), "is_hint": finding.is_hint} for finding in findings],
    }
    if outcome is not None:
        document |= {"executions": outcome.executions, "verdicts": [_verdict_document(one) for one in outcome.judged]}
    return document


def _verdict_document(one: Judged) -> dict[str, object]:
    place = one.verdict.place
    return {
        "execution": one.execution.id,
        "workflow": one.execution.workflow,
        "fault": one.verdict.fault,
        "step": one.verdict.step,
        "file": _relative(place.file) if place else None,
        "line": place.line if place else None,
        "message": one.verdict.message,
        "is_warning": one.verdict.is_warning,
    }


# --- for people ---------------------------------------------------------------------------------------------------


def _show(app: App, findings: Sequence[Finding], outcome: Outcome | None) -> None:
    for finding in findings:
        kind = "hint: " if finding.is_hint else ""
        place = f"{finding.file}:{finding.line}:{finding.column}"  # as compilers write it: editors find it
        click.echo(clean(f"{place}: {finding.code} {kind}{finding.message}"))
    if outcome is not None and outcome.judged:
        show_table(["EXECUTION", "WORKFLOW", "FAULT", "STEP", "LINE", "WHY"], [_row(one) for one in outcome.judged])
    note(_summary(findings, len(app.registry.names)))
    if outcome is not None:
        note(_summary_of_replays(outcome))


def _row(one: Judged) -> list[str | Cell]:
    fault, step, place, message = one.verdict
    line = f"{_relative(place.file)}:{place.line}" if place else "-"
    style = "yellow" if one.verdict.is_warning else "red"
    return [str(one.execution.id), one.execution.workflow, Cell(fault, style), step or "-", line, message]


def _relative(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _summary(findings: Sequence[Finding], workflows: int) -> str:
    hints = sum(finding.is_hint for finding in findings)
    return f"{_count(workflows, 'workflow')}: {_count(len(findings) - hints, 'finding')}, {_count(hints, 'hint')}"


def _summary_of_replays(outcome: Outcome) -> str:
    warnings = sum(one.verdict.is_warning for one in outcome.judged)
    stopped = len(outcome.judged) - warnings
    seen = _count(outcome.executions, "execution")
    return f"{seen} in flight: {stopped:,} would not go on, {_count(warnings, 'warning')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
