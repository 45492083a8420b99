"""`stepwell doctor`: check the installation, the database and the work in it."""

from __future__ import annotations

import click

from stepwell.cli.exits import FAILED
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.output import Cell, show_json, show_table

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command("doctor")
@output_options()
@database_options
def command(target: Target, as_json: bool) -> None:
    """Check the installation, the database and the work in it.

    One line per check: ok, warn or fail, with the way out. It changes nothing. The exit code is 1 when a check fails.
    """
    from stepwell.cli.diagnosis import State
    from stepwell.cli.examine import examine

    findings = list(examine(target))
    is_well = all(finding.state is not State.FAIL for finding in findings)
    if as_json:
        show_json({"ok": is_well, "checks": [finding._asdict() for finding in findings]})
    else:
        rows: list[list[str | Cell]] = [
            [Cell(finding.state, STYLES[finding.state]), finding.check, "; ".join(filter(None, finding[2:]))]
            for finding in findings
        ]
        show_table(["STATE", "CHECK", "FINDING"], rows)
    if not is_well:
        click.get_current_context().exit(FAILED)
