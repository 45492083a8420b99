"""The connector for databases, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict

from stepwell import App, ExecutionFailed, Step
from stepwell.connectors import SQL, VendorError, VendorRejected
from stepwell.testing import running
from stepwell.testing.connections import GivenConnections, connection, lent_connections

TABLE = (
    "create table orders (shop varchar(20), id bigint, total numeric(12, 2), placed timestamp,"
    " note varchar(100) check (length(note) <= 50), primary key (shop, id))"
)


@pytest.fixture(params=["sqlite", "postgresql"])
async def lent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GivenConnections]:
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    if request.param == "postgresql":
        url = url_of(request.getfixturevalue("database_url"))
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as raw:
        raw.execute(sqlalchemy.text(TABLE))
    engine.dispose()
    async with lent_connections(connection("warehouse", "sql", url=url)) as connections:
        yield connections


def url_of(conninfo: str) -> str:
    """A connection text of libpq as SQLAlchemy's URL."""
    parts = conninfo_to_dict(conninfo)
    url = sqlalchemy.URL.create(
        "postgresql+psycopg",
        username=str(parts["user"]),
        password=str(parts["password"]) if "password" in parts else None,
        database=str(parts["dbname"]),
        query={"host": str(parts["host"]), "port": str(parts["port"])},
    )
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg://u:p@db.elsewhere.example/x", "postgresql+psycopg://u@/x?host=/run,db.elsewhere.example"],
)
async def test_workflow_reaches_databases_at_the_hosts_of_its_egress_only(url: str) -> None:
    app = App()

    @app.workflow(egress=["*.allowed.example"])
    async def count(step: Step) -> object:
        return await step.run("count", SQL("warehouse").query, "select 1 as n")

    async with lent_connections(connection("warehouse", "sql", url=url)), running(app):
        with pytest.raises(ExecutionFailed, match=r"no request may go to 'db\.elsewhere\.example'"):
            await (await app.start(count)).result()


def rows(*ids: int, note: str = "new") -> list[dict[str, object]]:
    return [{"shop": "a", "id": id, "total": "12.50", "note": note} for id in ids]


async def test_repeated_upsert_changes_nothing(lent: GivenConnections) -> None:
    warehouse = SQL("warehouse")

    for _ in range(2):
        assert await warehouse.upsert("orders", rows(*range(1_200)), ["shop", "id"]) == 1_200

    assert await warehouse.query("select count(*) as n from orders") == [{"n": 1_200}]


async def test_upsert_overwrites_the_other_columns_and_keeps_those_it_does_not_name(lent: GivenConnections) -> None:
    warehouse = SQL("warehouse")
    await warehouse.upsert("orders", rows(1, 2), ["shop", "id"])
    await warehouse.upsert("orders", [{"shop": "a", "id": 2, "note": "changed"}], ["shop", "id"])

    found = await warehouse.query("select id, note, total from orders where shop = :shop order by id", {"shop": "a"})

    assert [(row["id"], row["note"]) for row in found] == [(1, "new"), (2, "changed")]
    assert found[1]["total"] is not None


async def test_of_equal_rows_the_last_one_counts(lent: GivenConnections) -> None:
    warehouse = SQL("warehouse")
    await warehouse.upsert("orders", [*rows(1, note="first"), *rows(1, note="last")], ["shop", "id"])

    assert await warehouse.query("select note from orders") == [{"note": "last"}]


async def test_upsert_is_all_or_nothing(lent: GivenConnections) -> None:
    warehouse = SQL("warehouse")
    await warehouse.upsert("orders", rows(1), ["shop", "id"])
    with pytest.raises(VendorRejected):
        await warehouse.upsert("orders", [*rows(*range(2, 700)), *rows(700, note="x" * 51)], ["shop", "id"])

    assert await warehouse.query("select count(*) as n from orders") == [{"n": 1}]


async def test_rows_are_values_that_can_be_stored(lent: GivenConnections) -> None:
    app = App()
    warehouse = SQL("warehouse")

    @app.workflow
    async def flow(step: Step) -> list[dict[str, object]]:
        await step.run("load", warehouse.upsert, "orders", rows(2**60), ["shop", "id"])
        return await step.run("read", warehouse.query, "select id, cast(total as numeric(12, 2)) as total from orders")

    async with running(app):
        (row,) = await (await app.start(flow)).result()

    assert row["id"] == 2**60
    assert str(row["total"]).startswith("12.5")


@pytest.mark.parametrize(
    ("table", "given", "key", "told"),
    [
        ("nowhere", rows(1), ["id"], "there is no table 'nowhere'"),
        ("orders", [{"id": 1, "colour": "red"}], ["id"], r"has no columns \['colour'\]"),
        ("orders", rows(1), ["nothing"], "which the rows' columns"),
        ("orders", rows(1), [], "which the rows' columns"),
        ("orders", [*rows(1), {"id": 2}], ["id"], "row 1 has other columns than row 0"),
    ],
)
async def test_what_does_not_fit_the_table_is_refused_by_name(
    lent: GivenConnections, table: str, given: list[dict[str, object]], key: list[str], told: str
) -> None:
    with pytest.raises((VendorRejected, ValueError), match=told):
        await SQL("warehouse").upsert(table, given, key)


@pytest.mark.parametrize("name", ["orders; drop table orders", 'or"ders', "orders' or 1=1 --", "", "a.b.c"])
async def test_hostile_name_of_a_table_is_only_a_name(lent: GivenConnections, name: str) -> None:
    with pytest.raises(VendorError):
        await SQL("warehouse").upsert(name, rows(1), ["shop", "id"])

    assert await SQL("warehouse").query("select count(*) as n from orders") == [{"n": 0}]


async def test_wrong_statement_is_not_tried_again_and_shows_no_values(lent: GivenConnections) -> None:
    with pytest.raises(VendorError, match=r"sql \(warehouse\), query") as failed:
        await SQL("warehouse").query("select * from nowhere where x = :secret", {"secret": "canary-1"})

    assert "canary-1" not in str(failed.value)


async def test_empty_upsert_asks_nobody() -> None:
    assert await SQL("no such connection").upsert("orders", [], ["id"]) == 0


async def test_database_that_is_not_there_is_an_error_without_its_password() -> None:
    url = "postgresql+psycopg://user:canary-2@127.0.0.1:1/nowhere"
    async with lent_connections(connection("warehouse", "sql", url=url)):
        with pytest.raises(VendorError) as failed:
            await SQL("warehouse").query("select 1")

    assert not isinstance(failed.value, VendorRejected)
    assert "canary-2" not in str(failed.value)


async def test_check_asks_the_database(lent: GivenConnections) -> None:
    assert await SQL("warehouse").check() == "the database answers"
