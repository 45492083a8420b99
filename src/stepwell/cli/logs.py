"""What workers write to standard error: one line per notable thing."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

import click

from stepwell.cli.output import clean

level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What to log.",
)

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def configure(level: str, *, as_json: bool) -> None:
    """Send all logs, those of the user's code included, to standard error."""
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(JsonLines() if as_json else Lines(_FORMAT, datefmt="%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[to_stderr], force=True)


class Lines(logging.Formatter):
    """A line per record. Further lines of a message are indented, so that no message can pass for another record."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).expandtabs().splitlines()
        return "\n    ".join(map(clean, lines))


class JsonLines(logging.Formatter):
    """A JSON object per record: time (UTC), level, logger, message, and traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document)
