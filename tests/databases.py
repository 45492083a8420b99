"""Databases for tests: copies of a migrated template, which take a twentieth of a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

Admin = psycopg.Connection[Any]


@contextmanager
def fresh_database(admin: Admin, server_url: str, template: str) -> Iterator[str]:
    """The URL of a copy of `template` that is dropped in the end."""
    name = f"test_{uuid4().hex}"
    names = sql.Identifier(name), sql.Identifier(template)
    admin.execute(sql.SQL("create database {} template {} strategy file_copy").format(*names))
    try:
        yield make_conninfo(server_url, dbname=name)
    finally:
        drop_database(admin, name)


def drop_database(admin: Admin, name: str) -> None:
    """Drop a database if it is there, whoever is connected."""
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def refusal(before: str, code: str, *, when: str = "true", times: int = 2**31) -> bytes:
    """SQL by which the server refuses so many changes, such as `update on stepwell.budget`, with an error of that code.

    The sequence `refusals` counts what was asked; dropping the trigger `refuse` ends it.
    """
    return f"""
        create sequence refusals;
        create function refuse() returns trigger language plpgsql as $$
        begin
            if nextval('refusals') <= {times} then
                raise exception 'refused for the test' using errcode = '{code}';
            end if;
            return coalesce(new, old);
        end $$;
        create trigger refuse before {before} for each row when ({when}) execute function refuse()
    """.encode()
