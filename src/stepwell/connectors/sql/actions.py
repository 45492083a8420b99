"""Queries and upserts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from stepwell.connectors.base import Connector, action
from stepwell.connectors.errors import VendorError, VendorRejected
from stepwell.connectors.http import check_egress
from stepwell.connectors.sql.types import Row, plain_row
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    import sqlalchemy
    from sqlalchemy import Table

T = TypeVar("T")

MAX_ROWS = 10_000  # of one query: a result is held in memory and stored as one value
ROWS_AT_ONCE = 500  # of one statement: databases limit its parameters, some to 2,100
POOL_SIZE = 5


class SqlActions(Connector):
    """What can be done to tables."""

    @action(repeat="safe")
    async def query(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a SELECT, at most 10,000; its parameters are `:name` in the text.

        Dates, decimals and UUIDs come as text. Raises VendorRejected when there are more rows, or the database refuses.
        """

        def ask(connection: sqlalchemy.Connection) -> list[Row]:
            import sqlalchemy

            found = connection.execute(sqlalchemy.text(statement), dict(parameters or {}))
            rows = found.mappings().fetchmany(MAX_ROWS + 1)
            if len(rows) > MAX_ROWS:
                raise InvalidOption(f"more than {MAX_ROWS:,} rows; read them in pages, ordered by a key")
            return [plain_row(dict(row)) for row in rows]

        return await self._within_transaction("query", ask)

    @action(repeat="safe")
    async def upsert(self, table: str, rows: Sequence[Mapping[str, Any]], key: Sequence[str]) -> int:
        """Let the table have these rows, found by the columns of `key`; how many they are. All of them, or none.

        The other columns of a row that is there are overwritten, so a repeat changes nothing. `table` may name its
        schema ("warehouse.orders"). Raises InvalidOption, VendorRejected.
        """
        if not rows:
            return 0
        _check_columns(rows, key)

        def write(connection: sqlalchemy.Connection) -> int:
            target = _table(connection, table)
            for start in range(0, len(rows), ROWS_AT_ONCE):
                _upsert(connection, target, [dict(row) for row in rows[start : start + ROWS_AT_ONCE]], list(key))
            return len(rows)

        return await self._within_transaction("upsert", write)

    async def check(self) -> str:
        """Ask the database for nothing but an answer. Raises as `query` does."""
        await self.query("select 1 as one")
        return "the database answers"

    async def _within_transaction(self, operation: str, work: Callable[[sqlalchemy.Connection], T]) -> T:
        stored = await self.connection()
        url = stored.secrets["url"].reveal()
        try:
            return await asyncio.to_thread(_transaction, url, work)
        except InvalidOption as error:
            raise self._rejected(stored.name, operation, str(error)) from None
        except Exception as error:  # a driver's own, of any kind; its text may hold values, so only the first line
            if not _is_databases(error):
                raise
            told = f"{type(error).__name__}: {_first_line(error)}"
            if _is_temporary(error):
                raise VendorError(
                    connector=self.name, connection=stored.name, operation=operation, reason=told
                ) from None
            raise self._rejected(stored.name, operation, told) from None

    def _rejected(self, connection: str, operation: str, reason: str) -> VendorRejected:
        return VendorRejected(connector=self.name, connection=connection, operation=operation, reason=reason)


_engines: dict[str, sqlalchemy.Engine] = {}


def _transaction(url: str, work: Callable[[sqlalchemy.Connection], T]) -> T:
    engine = _engine(url)
    for host in _hosts(engine.url):
        check_egress(host)
    with engine.begin() as connection:
        return work(connection)


def _hosts(url: sqlalchemy.URL) -> list[str]:
    """Where the database is, by names; none for a file or a socket of this machine; libpq takes several."""
    asked = url.query.get("host", ())
    named = [url.host or "", *([asked] if isinstance(asked, str) else asked)]
    return [host for one in named for host in one.split(",") if host and not host.startswith("/")]


def _engine(url: str) -> sqlalchemy.Engine:
    """One pool of connections for each URL. Those that the database has closed meanwhile are not used."""
    try:
        import sqlalchemy
    except ImportError:
        raise InvalidOption(
            "SQLAlchemy is not installed: pip install 'stepwell[sql]', and the database's driver"
        ) from None
    engine = _engines.get(url)
    if engine is None:
        try:
            engine = sqlalchemy.create_engine(url, pool_size=POOL_SIZE, pool_pre_ping=True, hide_parameters=True)
        except (sqlalchemy.exc.ArgumentError, ImportError) as error:
            raise InvalidOption(f"the connection's url cannot be used: {type(error).__name__}") from None
        engine = _engines.setdefault(url, engine)
    return engine


def _table(connection: sqlalchemy.Connection, name: str) -> Table:
    """The table as the database has it. Raises InvalidOption when there is none."""
    import sqlalchemy

    schema, _, plain_name = name.rpartition(".")
    try:
        return sqlalchemy.Table(plain_name, sqlalchemy.MetaData(), schema=schema or None, autoload_with=connection)
    except sqlalchemy.exc.NoSuchTableError:
        raise InvalidOption(f"there is no table '{name}'") from None


def _check_columns(rows: Sequence[Mapping[str, Any]], key: Sequence[str]) -> None:
    columns = set(rows[0])
    if not key or not set(key) <= columns:
        raise InvalidOption(f"key is {list(key)}, which the rows' columns {sorted(columns)} do not have")
    odd = next((index for index, row in enumerate(rows) if set(row) != columns), None)
    if odd is not None:
        raise InvalidOption(f"row {odd} has other columns than row 0: {sorted(set(rows[odd]) ^ columns)}")


def _upsert(connection: sqlalchemy.Connection, table: Table, rows: list[dict[str, Any]], key: list[str]) -> None:
    unknown = sorted(set(rows[0]) - set(table.columns.keys()))
    if unknown:
        raise InvalidOption(f"table '{table.name}' has no columns {unknown}")
    others = [name for name in rows[0] if name not in key]
    unique = list({tuple(row[name] for name in key): row for row in rows}.values())  # of equal keys the last counts
    match connection.dialect.name:
        case "postgresql" | "sqlite":
            _on_conflict(connection, table, unique, key, others)
        case "mysql" | "mariadb":
            _on_duplicate_key(connection, table, unique, others)
        case _:
            _one_by_one(connection, table, unique, key, others)


def _on_conflict(
    connection: sqlalchemy.Connection, table: Table, rows: list[dict[str, Any]], key: list[str], others: list[str]
) -> None:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    statement = insert(table).values(rows)
    if others:
        changed = {name: statement.excluded[name] for name in others}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))
    else:
        connection.execute(statement.on_conflict_do_nothing(index_elements=key))


def _on_duplicate_key(
    connection: sqlalchemy.Connection, table: Table, rows: list[dict[str, Any]], others: list[str]
) -> None:
    from sqlalchemy.dialects.mysql import insert

    statement = insert(table).values(rows)
    columns = others or list(rows[0])
    connection.execute(statement.on_duplicate_key_update({name: statement.inserted[name] for name in columns}))


def _one_by_one(
    connection: sqlalchemy.Connection, table: Table, rows: list[dict[str, Any]], key: list[str], others: list[str]
) -> None:
    """For databases without a statement of their own for it: change the row, or insert it when there is none."""
    import sqlalchemy

    for row in rows:
        is_this = sqlalchemy.and_(*(table.columns[name] == row[name] for name in key))
        is_there = connection.execute(sqlalchemy.select(sqlalchemy.literal(1)).where(is_this)).first()
        if not is_there:
            connection.execute(table.insert().values(row))
        elif others:
            connection.execute(table.update().where(is_this).values({name: row[name] for name in others}))


def _is_databases(error: Exception) -> bool:
    import sqlalchemy

    return isinstance(error, sqlalchemy.exc.SQLAlchemyError)


def _is_temporary(error: Exception) -> bool:
    """Whether another attempt may work: the connection was lost, there was a deadlock, a time-out."""
    import sqlalchemy

    kinds = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError)
    return isinstance(error, kinds) or bool(getattr(error, "connection_invalidated", False))


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0][:300]
