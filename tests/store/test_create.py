"""Accepting executions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stepwell.client import CREATE_SIZE, Client
from stepwell.core.model import Created, Filter
from stepwell.core.status import Status
from stepwell.errors import KeyConflict
from tests.store.world import HOUR, World, execution, executions


async def test_accepted_execution_is_due_at_once(world: World) -> None:
    new = execution(input=b'{"n":1}', queue="crm", tags=("a", "b"), key="k")

    answer = await world.store.create([new])

    assert answer == [Created(new.id, is_new=True, input=None)]
    seen = await world.see(new.id)
    assert (seen.workflow, seen.queue, seen.key, seen.tags) == ("order", "crm", "k", ("a", "b"))
    assert (seen.status, seen.input, seen.passes, seen.crashes) == (Status.PENDING, b'{"n":1}', 0, 0)
    assert seen.due_at == seen.created_at
    assert (seen.result, seen.error, seen.started_at, seen.finished_at) == (None, None, None, None)


async def test_answers_come_in_the_order_given(world: World) -> None:
    new = [execution(key=key) for key in ("c", None, "a", "b", None)]

    answers = await world.store.create(new)

    assert [answer.id for answer in answers] == [one.id for one in new]


async def test_nothing_to_accept_is_accepted(world: World) -> None:
    assert list(await world.store.create([])) == []


async def test_taken_key_yields_the_earlier_execution_and_its_input(world: World) -> None:
    """F104: the second start is answered, not refused."""
    earlier = await world.start(key="k", input=b"1")

    (answer,) = await world.store.create([execution(key="k", input=b"1")])

    assert answer == Created(earlier, is_new=False, input=b"1")
    assert (await world.store.count())[Status.PENDING] == 1


async def test_key_stays_taken_when_its_execution_has_ended(world: World) -> None:
    earlier = await world.ended(key="k")

    (answer,) = await world.store.create([execution(key="k")])

    assert answer == Created(earlier, is_new=False, input=b"{}")


async def test_key_of_one_workflow_is_free_for_another(world: World) -> None:
    await world.start(key="k")

    (answer,) = await world.store.create([execution(key="k", workflow="invoice")])

    assert answer.is_new


async def test_key_given_twice_in_one_request_starts_one_execution(world: World) -> None:
    first, second = execution(key="k", input=b"1"), execution(key="k", input=b"2")

    answers = await world.store.create([first, second])

    assert list(answers) == [Created(first.id, is_new=True, input=None), Created(first.id, is_new=False, input=b"1")]
    assert await world.store.get(second.id) is None


async def test_taken_and_free_keys_may_be_mixed(world: World) -> None:
    taken = await world.start(key="b", input=b"1")
    new = [execution(key="a"), execution(key="b", input=b"1"), execution(), execution(key="c")]

    answers = await world.store.create(new)

    assert [answer.is_new for answer in answers] == [True, False, True, True]
    assert [answer.id for answer in answers] == [new[0].id, taken, new[2].id, new[3].id]


@pytest.mark.parametrize("key", [None, "k"])
async def test_repeated_request_changes_nothing(world: World, key: str | None) -> None:
    """F23: the answer to the first request was lost, so the caller asks again with the same id."""
    new = execution(key=key, input=b"1")
    first = await world.store.create([new])

    again = await world.store.create([new])

    assert again == first
    assert (await world.store.count())[Status.PENDING] == 1


async def test_delay_counts_from_the_stores_clock(world: World) -> None:
    """F17: what the caller's clock shows does not matter."""
    new = execution(delay_seconds=3_600.5)

    await world.store.create([new])

    seen = await world.see(new.id)
    assert seen.due_at is not None
    assert seen.due_at - seen.created_at == timedelta(seconds=3_600.5)


async def test_delayed_execution_is_not_claimed_before_its_time(world: World) -> None:
    started = await world.start(delay_seconds=3_600)
    session = await world.worker(lease_for=3 * HOUR)
    assert await world.claimed_ids(session) == []

    world.advance(HOUR)

    assert await world.claimed_ids(session) == [started]


@pytest.mark.parametrize("text", ["*", "%s", "$1", "'; drop table x; --", "a{b,c}", 'say "hi"', "é∀🙂", "null", "\\N"])
async def test_names_are_kept_exactly(world: World, text: str) -> None:
    """F67: no text means anything to the store."""
    new = execution(workflow=text, queue=text, key=text, tags=(text, text + "2"))

    await world.store.create([new])

    seen = await world.see(new.id)
    assert (seen.workflow, seen.queue, seen.key, seen.tags) == (text, text, text, (text, text + "2"))
    session = await world.worker(workflows=[text], queues=[text])
    claim = await world.claim(session, workflows=[text], queues=[text])
    assert [row.workflow for row in claim.executions] == [text]


async def test_input_is_opaque_bytes(world: World) -> None:
    given = bytes(range(1, 256)) * 4_096

    started = await world.start(input=b"\x01" + given)

    (found,) = await world.store.list(Filter(), limit=1)
    assert (found.id, found.input) == (started, b"\x01" + given)


async def test_ten_thousand_are_accepted_in_one_call(world: World) -> None:
    new = executions(10_000, input=b'{"n":1}')

    answers = await world.store.create(new)

    assert [answer.id for answer in answers] == [one.id for one in new]
    assert (await world.store.count())[Status.PENDING] == 10_000


async def test_key_with_another_input_stops_the_whole_request(world: World) -> None:
    taken = await world.start(key="k", input=b"1")
    free, keyless = execution(key="free"), execution()

    answers = await world.store.create([free, execution(key="k", input=b"2"), keyless])

    assert answers[1] == Created(taken, is_new=False, input=b"1")
    assert [await world.store.get(one.id) for one in (free, keyless)] == [None, None]


async def test_key_with_the_same_input_stops_nothing(world: World) -> None:
    taken = await world.start(key="k", input=b"1")
    free = execution()

    answers = await world.store.create([free, execution(key="k", input=b"1")])

    assert answers == [Created(free.id, is_new=True, input=None), Created(taken, is_new=False, input=b"1")]
    assert (await world.see(free.id)).status is Status.PENDING


async def test_only_the_first_of_a_key_given_twice_is_compared(world: World) -> None:
    taken = await world.start(key="k", input=b"1")

    answers = await world.store.create([execution(key="k", input=b"1"), execution(key="k", input=b"2")])

    assert list(answers) == [Created(taken, is_new=False, input=b"1")] * 2


async def test_conflict_refuses_its_part_and_those_after_it(world: World) -> None:
    """The parts before it stay accepted, and are found again by their keys."""
    taken = await world.start(key=f"k{CREATE_SIZE + 1}", input=b"1")
    new = [execution(key=f"k{number}") for number in range(2 * CREATE_SIZE + 1)]
    client = Client(world.store)

    with pytest.raises(KeyConflict) as caught:
        await client.start(new)
    assert (caught.value.execution_id, caught.value.key) == (taken, f"k{CREATE_SIZE + 1}")
    assert (await world.store.count())[Status.PENDING] == CREATE_SIZE + 1

    again = [execution(key=one.key) for one in new if one.key != caught.value.key]
    created = await client.start(again)
    assert [one.is_new for one in created] == [False] * CREATE_SIZE + [True] * CREATE_SIZE
    assert created[0].id == new[0].id
