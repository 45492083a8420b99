"""`stepwell check`: find code in workflows that would go wrong on a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from stepwell.cli.exits import FAILED
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import clean, note, show_json

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.lint.findings import Finding


@click.command("check")
@click.argument("flows")
@output_options()
@database_options
def command(flows: str, target: Target, as_json: bool) -> None:
    """Find code in workflows that would go wrong on a replay.

    FLOWS is a file (flows.py) or a module (package.flows) with an App; flows.py:app says which of several. It is
    imported; no workflow and no step runs.
    """
    app = target.open_flows(flows)
    findings = _lint(app, flows)
    if as_json:
        show_json(
            {"ok": _is_well(findings), "workflows": app.registry.names, "findings": list(map(document, findings))}
        )
    else:
        for finding in findings:
            click.echo(clean(line(finding)))
        note(summary(findings, len(app.registry.names)))
    if not _is_well(findings):
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


def _is_well(findings: Sequence[Finding]) -> bool:
    return all(finding.is_hint for finding in findings)


def line(finding: Finding) -> str:
    """As compilers write it, so that editors find the place."""
    kind = "hint: " if finding.is_hint else ""
    return f"{finding.file}:{finding.line}:{finding.column}: {finding.code} {kind}{finding.message}"


def document(finding: Finding) -> dict[str, object]:
    """The same for programs."""
    return {**finding._asdict(), "is_hint": finding.is_hint}


def summary(findings: Sequence[Finding], workflows: int) -> str:
    """What it comes to."""
    hints = sum(finding.is_hint for finding in findings)
    return f"{_count(workflows, 'workflow')}: {_count(len(findings) - hints, 'finding')}, {_count(hints, 'hint')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
