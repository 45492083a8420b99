"""SQL: any database that SQLAlchemy knows."""

from __future__ import annotations

from typing import ClassVar

from stepwell.connectors.base import Setting
from stepwell.connectors.sql.actions import SqlActions


class SQL(SqlActions):
    """Any database: `warehouse = SQL("warehouse")`, `await step.run("load", warehouse.upsert, "orders", rows, ["id"])`.

    It needs `stepwell[sql]` and the database's own driver. For the engine's own database use `step.transaction`, whose
    writes and checkpoint commit together.
    """

    name: ClassVar[str] = "sql"
    title: ClassVar[str] = "SQL"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "SQLAlchemy's URL: postgresql+psycopg://user:password@host/database", is_secret=True),
    )
