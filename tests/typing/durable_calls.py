"""What a type checker makes of durable calls. Checked, not run: an ignore that ignores nothing is an error."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type
from uuid import UUID

import psycopg

import stepwell
from stepwell import Repeat, Retry, Step, SyncStep


class Customer:
    """What steps return here."""


async def fetch(number: int, *, is_fresh: bool = False) -> Customer:
    raise NotImplementedError


async def find(key: str) -> Customer | Repeat:
    raise NotImplementedError


def find_plain(key: str) -> Customer | Repeat:
    raise NotImplementedError


def count(customer: Customer) -> int:
    raise NotImplementedError


@stepwell.step(name="fetch-it", retry=Retry(3), timeout="30s")
async def declared(number: int) -> Customer:
    raise NotImplementedError


@stepwell.step()
def declared_plain(number: int) -> int:
    raise NotImplementedError


class Vendor:
    """Methods are functions like any other."""

    async def call(self, number: int) -> Customer:
        raise NotImplementedError


async def store(connection: psycopg.AsyncConnection[tuple[int]], customer: Customer) -> int:
    raise NotImplementedError


def store_plain(connection: psycopg.Connection[tuple[int]], customer: Customer) -> int:
    raise NotImplementedError


async def results_are_those_of_the_functions(step: Step) -> None:
    customer = await step.run("fetch", fetch, 7)
    assert_type(customer, Customer)
    assert_type(await step.run("fetch", fetch, 7, is_fresh=True), Customer)
    assert_type(await step.run("count", count, customer), int)
    assert_type(await step.run("fetch", fetch, 7, was="load"), Customer)
    assert_type(await step.run("count", count, customer, was="size"), int)
    assert_type(await step.run(declared, 7), Customer)
    assert_type(await step.run(declared_plain, 7), int)
    assert_type(await step.run("named", declared, 7), Customer)
    assert_type(await step.run("method", Vendor().call, 7), Customer)
    assert_type(await step.run("lambda", lambda: 7), int)
    assert_type(await step(retry=Retry(3), timeout="1m").run("fetch", fetch, 7), Customer)


async def results_of_maps_are_lists(step: Step, customers: list[Customer]) -> None:
    assert_type(await step.map("fetch", fetch, [1, 2, 3]), list[Customer])
    assert_type(await step.map("fetch", fetch, range(3), concurrency=5), list[Customer])
    assert_type(await step.map("count", count, customers), list[int])


async def transactions_give_the_connection_themselves(step: Step, customer: Customer) -> None:
    assert_type(await step.transaction("store", store, customer), int)
    assert_type(await step.transaction("store", store_plain, customer), int)


async def effects_give_what_they_made(step: Step, sync_step: SyncStep) -> None:
    assert_type(await step.effect("fetch", fetch, 7), Customer)
    assert_type(await step.effect("fetch", fetch, 7, verify=find), Customer)
    assert_type(await step.effect("fetch", fetch, 7, verify=find_plain), Customer)
    assert_type(sync_step.effect("fetch", fetch, 7, verify=find_plain), Customer)


async def values_have_their_types(step: Step) -> None:
    assert_type(await step.now(), datetime)
    assert_type(step.uuid(), UUID)
    assert_type(step.random(), float)
    assert_type(step.execution_id, UUID)
    assert_type(step.idempotency_key, str)


def plain_workflows_get_the_same_without_await(step: SyncStep, customers: list[Customer]) -> None:
    assert_type(step.run("fetch", fetch, 7), Customer)
    assert_type(step.run("count", count, customers[0]), int)
    assert_type(step.run(declared, 7), Customer)
    assert_type(step.run("fetch", fetch, 7, was="load"), Customer)
    assert_type(step.map("fetch", fetch, [1, 2]), list[Customer])
    assert_type(step.map("count", count, customers), list[int])
    assert_type(step.transaction("store", store_plain, customers[0]), int)
    assert_type(step.transaction("store", store, customers[0]), int)
    assert_type(step.now(), datetime)
    assert_type(step.uuid(), UUID)


async def wrong_arguments_are_errors(step: Step, sync_step: SyncStep, customer: Customer) -> None:
    await step.run("fetch", fetch, "7")  # type: ignore[call-overload]
    await step.run("fetch", fetch)  # type: ignore[call-overload]
    await step.run("fetch", fetch, 7, fresh=True)  # type: ignore[call-arg]
    await step.run("count", count, 7)  # type: ignore[call-overload]
    await step.run(declared, "7")  # type: ignore[call-overload]
    await step.run("fetch")  # type: ignore[call-overload]
    await step.map("fetch", fetch, ["a"])  # type: ignore[arg-type]
    await step.transaction("store", store, 7)  # type: ignore[call-overload]
    await step.sleep("pause", 30)  # type: ignore[arg-type]
    await step.sleep_until("pause", "noon")  # type: ignore[arg-type]
    step(retry=3)  # type: ignore[arg-type]
    sync_step.run("fetch", fetch, "7")  # type: ignore[call-overload]
    sync_step.transaction("store", store_plain)  # type: ignore[call-overload]
