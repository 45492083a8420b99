"""Applications and connections are kept, and what waits for one goes on; on memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from stepwell.core.model import Batch, Ending, ExecutionId, Waiting
from stepwell.core.status import Status
from stepwell.core.vault import ApplicationKind, Authorisation, ConnectionStatus, StoredApplication, StoredConnection
from stepwell.store.identity import new_id
from stepwell.store.vault import change_parameters
from tests.store.racing import Call, Racer, answer_of, flush
from tests.store.world import HOUR, MINUTE, SIGNAL_SECONDS, Hints, PostgresWorld, World

APPLICATION = StoredApplication("app", "shopify", ApplicationKind.AUTHORIZATION_CODE, {"client_id": "1"}, b"sealed")
ACME = StoredConnection("acme", "shopify", None, {"shop": "acme", "odd": 'ü"\\ 😀'}, b"sealed", b"hooks")
AT = datetime(2030, 1, 31, 8, 0, 0, 123456, tzinfo=UTC)


async def acme(world: World) -> StoredConnection:
    (found,) = await world.store.vault.connections("acme")
    return found


async def add(world: World, status: ConnectionStatus = ConnectionStatus.OK) -> StoredConnection:
    assert await world.store.vault.add_connection(replace(ACME, status=status))
    return await acme(world)


async def change(world: World, status: ConnectionStatus = ConnectionStatus.OK) -> None:
    assert await world.store.vault.change_connection(replace(await acme(world), status=status), has_hooks_changed=False)


# --- keeping ----------------------------------------------------------------------------------------------------------


async def test_connection_comes_back_as_it_was_added(world: World) -> None:
    given = replace(ACME, error="no", status=ConnectionStatus.NEEDS_REAUTH, expires_at=AT, refreshed_at=AT)

    assert await world.store.vault.add_connection(given)

    assert await acme(world) == given


async def test_taken_name_changes_nothing(world: World) -> None:
    await add(world)
    await world.store.vault.add_application(APPLICATION)

    assert not await world.store.vault.add_connection(replace(ACME, credentials=b"other"))
    assert not await world.store.vault.add_application(replace(APPLICATION, credentials=b"other"))

    assert (await acme(world)).credentials == b"sealed"
    assert [one.credentials for one in await world.store.vault.applications()] == [b"sealed"]


async def test_connection_is_changed_only_as_it_was_read(world: World) -> None:
    read = await add(world)
    changed = replace(read, credentials=b"new", hook_secrets=None, expires_at=AT, settings={})

    assert await world.store.vault.change_connection(changed, has_hooks_changed=False)
    assert not await world.store.vault.change_connection(replace(read, credentials=b"late"), has_hooks_changed=False)

    assert await acme(world) == replace(changed, revision=2)


async def test_application_is_changed_only_as_it_was_read(world: World) -> None:
    await world.store.vault.add_application(APPLICATION)

    assert await world.store.vault.change_application(replace(APPLICATION, credentials=b"new"))
    assert not await world.store.vault.change_application(replace(APPLICATION, credentials=b"late"))

    assert await world.store.vault.applications() == [replace(APPLICATION, credentials=b"new", revision=2)]


async def test_application_stays_while_connections_belong_to_it(world: World) -> None:
    await world.store.vault.add_application(APPLICATION)
    await world.store.vault.add_connection(replace(ACME, application="app"))

    assert not await world.store.vault.remove_application("app")
    assert await world.store.vault.remove_connection("acme")
    assert await world.store.vault.remove_application("app")
    assert not await world.store.vault.remove_application("app")


async def test_check_is_noted_and_outlives_a_change(world: World) -> None:
    await add(world)

    assert await world.store.vault.note_check("acme", "does not answer")
    await change(world)

    found = await acme(world)
    assert (found.check_error, found.checked_at is not None) == ("does not answer", True)
    assert not await world.store.vault.note_check("nobody", None)


async def test_unknown_connection_is_neither_changed_nor_removed(world: World) -> None:
    assert not await world.store.vault.change_connection(ACME, has_hooks_changed=True)
    assert not await world.store.vault.remove_connection("acme")
    assert await world.store.vault.connections("acme") == []


async def test_endpoints_are_connections_with_secrets_or_an_application_without_credentials(world: World) -> None:
    await world.store.vault.add_application(APPLICATION)
    await world.store.vault.add_application(replace(APPLICATION, name="unused"))
    await add(world)
    await world.store.vault.add_connection(replace(ACME, name="bare", hook_secrets=None))
    await world.store.vault.add_connection(replace(ACME, name="of-app", hook_secrets=None, application="app"))

    found = await world.store.vault.endpoints()

    assert [(one.name, one.hook_secrets, one.credentials) for one in found.connections] == [
        ("acme", b"hooks", b""),
        ("of-app", None, b""),
    ]
    assert found.applications == (APPLICATION,)


# --- waiting for a connection -----------------------------------------------------------------------------------------


async def waiting(world: World) -> ExecutionId:
    session = await world.worker()
    execution_id = await world.running(session)
    assert await world.store.vault.need("acme", execution_id)
    until = world.store.now() + HOUR
    await world.end(session, execution_id, Waiting(until, "connection 'acme' needs re-authorisation", 0))
    assert (await world.see(execution_id)).status is Status.WAITING
    return execution_id


async def test_what_waits_for_a_connection_is_due_when_it_is_ok(world: World) -> None:
    await add(world, ConnectionStatus.NEEDS_REAUTH)
    execution_id = await waiting(world)

    await change(world)

    found = await world.see(execution_id)
    assert (found.status, found.due_at is not None and found.due_at <= world.store.now()) == (Status.PENDING, True)


async def test_what_waits_for_another_connection_stays(world: World) -> None:
    await add(world, ConnectionStatus.NEEDS_REAUTH)
    await world.store.vault.add_connection(replace(ACME, name="other", status=ConnectionStatus.NEEDS_REAUTH))
    execution_id = await waiting(world)

    (other,) = await world.store.vault.connections("other")
    await world.store.vault.change_connection(replace(other, status=ConnectionStatus.OK), has_hooks_changed=False)
    await change(world, ConnectionStatus.NEEDS_REAUTH)

    assert (await world.see(execution_id)).status is Status.WAITING


async def test_connection_that_is_ok_just_before_the_park_lets_it_go_on(world: World) -> None:
    await add(world, ConnectionStatus.NEEDS_REAUTH)
    session = await world.worker()
    execution_id = await world.running(session)
    assert await world.store.vault.need("acme", execution_id)

    await change(world)
    until = world.store.now() + HOUR
    await world.end(session, execution_id, Waiting(until, "connection 'acme' needs re-authorisation", 0))

    found = await world.see(execution_id)
    assert (found.status, found.due_at is not None and found.due_at <= world.store.now()) == (Status.PENDING, True)


async def test_connection_that_is_ok_already_is_not_waited_for(world: World) -> None:
    await add(world, ConnectionStatus.OK)

    assert not await world.store.vault.need("acme", ExecutionId(new_id()))
    assert not await world.store.vault.need("nobody", ExecutionId(new_id()))


async def test_removed_connection_lets_go_on_who_waits_for_it(world: World) -> None:
    await add(world, ConnectionStatus.DISABLED)
    execution_id = await waiting(world)

    await world.store.vault.remove_connection("acme")

    assert (await world.see(execution_id)).status is Status.PENDING


async def test_idle_workers_hear_that_it_goes_on(world: World) -> None:
    await add(world, ConnectionStatus.NEEDS_REAUTH)
    await waiting(world)
    await world.store.set_idle(await world.worker("idle:1"), is_idle=True)
    hints = Hints(world.store)

    await change(world)

    heard = [await hints.next()]
    while heard[-1] != "work" and len(heard) < 10:
        heard.append(await hints.next())
    hints.unsubscribe()

    assert heard[-1] == "work"


async def test_need_of_a_removed_execution_goes_with_it(postgres: PostgresWorld) -> None:
    await add(postgres, ConnectionStatus.NEEDS_REAUTH)
    execution_id = await waiting(postgres)
    await postgres.store.cancel(execution_id, reason="no", force=True)
    postgres.advance(HOUR)

    await postgres.store.remove({"order": MINUTE})
    while await postgres.store.sweep():
        pass

    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("select count(*) from stepwell.need").fetchone() == (0,)


async def test_ended_execution_is_left_alone(world: World) -> None:
    await add(world, ConnectionStatus.NEEDS_REAUTH)
    execution_id = await waiting(world)
    await world.store.cancel(execution_id, reason="no", force=True)

    await change(world)

    assert (await world.see(execution_id)).status is Status.CANCELLED


async def _parked_while_it_becomes_ok(postgres: PostgresWorld, one: Racer, other: Racer, ok: Call) -> ExecutionId:
    """Whoever makes the connection ok waits for its row, which an execution has that begins to need it."""
    session = await postgres.worker()
    execution_id = await postgres.running(session)
    with one.transaction():
        one.run(Call("need_connection", [b"acme", execution_id.bytes]))
        changing = other.start_and_block(ok)
    is_done, is_there, *_ = answer_of(changing)[0]
    assert is_there
    if not is_done:
        assert other.run(ok)[0][0]
    await postgres.end(session, execution_id, Waiting(postgres.store.now() + HOUR, "waits", 0))
    return execution_id


async def test_need_that_the_change_could_not_see_is_seen_when_it_looks_again(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The execution begins to wait between the snapshot of the change and its lock: nothing is lost."""
    row = replace(await add(postgres, ConnectionStatus.NEEDS_REAUTH), status=ConnectionStatus.OK)

    started = await _parked_while_it_becomes_ok(postgres, one, other, _change(row))

    assert (await postgres.see(started)).status is Status.PENDING


async def test_without_the_test_of_needs_the_wake_up_is_lost(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """The negative control."""
    row = replace(await add(postgres, ConnectionStatus.NEEDS_REAUTH), status=ConnectionStatus.OK)
    careless = _change(row).without(b"and ($6::text <> 'ok' or c.needs = s.needs)")

    started = await _parked_while_it_becomes_ok(postgres, one, other, careless)

    assert (await postgres.see(started)).status is Status.WAITING


async def test_need_that_comes_while_the_connection_becomes_ok_finds_it_ok(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    row = replace(await add(postgres, ConnectionStatus.NEEDS_REAUTH), status=ConnectionStatus.OK)
    with one.transaction():
        one.run(_change(row))
        needing = other.start_and_block(Call("need_connection", [b"acme", new_id().bytes]))

    assert answer_of(needing) == []


async def test_park_that_waits_for_the_change_is_due_at_once(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """The change has moved the signals of the row that the park waits for."""
    row = replace(await add(postgres, ConnectionStatus.NEEDS_REAUTH), status=ConnectionStatus.OK)
    session = await postgres.worker()
    execution_id = await postgres.running(session)
    assert await postgres.store.vault.need("acme", execution_id)
    outcome = Waiting(postgres.store.now() + HOUR, "waits", 0)
    with one.transaction():
        one.run(_change(row))
        parking = other.start_and_block(flush(session, Batch(endings=[Ending(execution_id, outcome)])))
    answer_of(parking)

    found = await postgres.see(execution_id)
    assert (found.status, found.due_at is not None and found.due_at <= postgres.store.now()) == (Status.PENDING, True)


def _change(row: StoredConnection) -> Call:
    return Call("change_connection", change_parameters(row, has_hooks_changed=False))


# --- renewing ---------------------------------------------------------------------------------------------------------


async def test_renewals_of_one_connection_come_one_after_the_other(world: World) -> None:
    await add(world)
    order, entered, leave = [], asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with world.store.vault.renewal("acme") as renewal:
            assert renewal is not None
            entered.set()
            await leave.wait()
            order.append("first")
            assert await renewal.keep(replace(renewal.connection, credentials=b"first"))

    async def second() -> None:
        await entered.wait()
        async with world.store.vault.renewal("acme") as renewal:
            assert renewal is not None
            order.append("second")
            assert renewal.connection.credentials == b"first"

    async with asyncio.timeout(SIGNAL_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(first())
        group.create_task(second())
        await entered.wait()
        leave.set()

    assert order == ["first", "second"]


async def test_renewal_that_keeps_nothing_changes_nothing_but_is_known_to_have_begun(world: World) -> None:
    before = await add(world)

    async with world.store.vault.renewal("acme") as renewal:
        assert renewal is not None

    found = await acme(world)
    assert found.renewing_at is not None
    assert replace(found, renewing_at=None) == before


async def test_what_is_kept_ends_the_note_of_the_renewal(world: World) -> None:
    await add(world)

    async with world.store.vault.renewal("acme") as renewal:
        assert renewal is not None
        assert await renewal.keep(replace(renewal.connection, refreshed_at=AT))

    found = await acme(world)
    assert (found.renewing_at, found.refreshed_at, found.revision) == (None, AT, 2)


async def test_unknown_connection_cannot_be_renewed(world: World) -> None:
    async with world.store.vault.renewal("nobody") as renewal:
        assert renewal is None


# --- consents ---------------------------------------------------------------------------------------------------------

ASKED = Authorisation(b"state", "acme", "https://example.com/back", b"sealed", b"binding")


async def test_consent_is_redeemed_once(world: World) -> None:
    await world.store.vault.begin_authorisation(ASKED, valid_for=MINUTE)

    found = await asyncio.gather(*(world.store.vault.redeem_authorisation(b"state") for _ in range(10)))

    assert [one for one in found if one] == [ASKED]


async def test_expired_consent_is_not_redeemed(world: World) -> None:
    await world.store.vault.begin_authorisation(ASKED, valid_for=MINUTE)

    world.advance(2 * MINUTE)

    assert await world.store.vault.redeem_authorisation(b"state") is None


async def test_removed_connection_takes_its_consents_along(world: World) -> None:
    await add(world)
    await world.store.vault.begin_authorisation(ASKED, valid_for=MINUTE)

    await world.store.vault.remove_connection("acme")

    assert await world.store.vault.redeem_authorisation(b"state") is None
