"""Finding executions: by every filter, in pages, and by words."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from stepwell.core.ids import uuid7
from stepwell.core.model import Batch, Completed, Ending, ExecutionId, Failed, Filter, NewChild
from stepwell.core.payload import pack
from stepwell.core.status import Status
from stepwell.store.identity import new_id
from stepwell.store.listing import FIRST_LOOK
from tests.store.world import DAY, DONE, FAILED, HOUR, MINUTE, PostgresWorld, World, execution, executions


async def found(world: World, which: Filter, *, limit: int = 100) -> list[ExecutionId]:
    return [one.id for one in await world.store.list(which, limit=limit)]


# --- filters ----------------------------------------------------------------------------------------------------------


async def test_all_tags_must_be_there(world: World) -> None:
    both = await world.start(tags=("eu", "big"))
    await world.start(tags=("eu",))
    await world.start()

    assert await found(world, Filter(tags=("big", "eu"))) == [both]


async def test_children_are_found_by_their_parent(world: World) -> None:
    session = await world.worker()
    parent = await world.running(session)
    children = [
        NewChild(ExecutionId(new_id()), "order", "default", b"{}", parent, f"call#{n}", is_called=n == 1)
        for n in (1, 2)
    ]
    await world.store.flush(session, Batch(children=children))

    assert set(await found(world, Filter(parent=parent))) == {child.id for child in children}
    assert await found(world, Filter(parent=children[0].id)) == []


async def test_times_are_from_one_on_and_earlier_than_the_other(world: World) -> None:
    first = await world.start()
    world.advance(MINUTE)
    second = await world.start()
    at = (await world.see(second)).created_at

    assert await found(world, Filter(created_after=at)) == [second]
    assert await found(world, Filter(created_before=at)) == [first]
    assert await found(world, Filter(created_after=at, created_before=at)) == []


async def test_only_what_has_ended_has_an_end_to_be_found_by(world: World) -> None:
    early = await world.ended(DONE)
    world.advance(HOUR)
    late = await world.ended(FAILED)
    await world.start()
    at = (await world.see(late)).finished_at
    assert at is not None

    assert await found(world, Filter(finished_before=at)) == [early]
    assert await found(world, Filter(finished_after=at)) == [late]
    assert await found(world, Filter(finished_after=at - DAY)) == [late, early]


async def test_sleeper_of_long_ago_is_found_by_its_end(world: World) -> None:
    """It ended among the newest, and was created long before them."""
    session = await world.worker(lease_for=400 * DAY)
    slept = await world.running(session)
    world.advance(300 * DAY)
    done = sorted([await world.ended(DONE) for _ in range(3)])
    world.advance(MINUTE)
    await world.end(session, slept)
    at = (await world.see(slept)).finished_at
    assert at is not None

    assert await found(world, Filter(finished_after=at)) == [slept]
    assert await found(world, Filter(finished_after=at - DAY)) == [*reversed(done), slept]


async def test_conditions_must_hold_together(world: World) -> None:
    wanted = await world.ended(FAILED, workflow="order", tags=("eu",))
    await world.ended(DONE, workflow="order", tags=("eu",))
    await world.ended(FAILED, workflow="order")

    which = Filter(statuses=(Status.FAILED,), workflow="order", tags=("eu",), text="valueerror")

    assert await found(world, which) == [wanted]


async def test_matching_executions_are_counted_by_status(world: World) -> None:
    await world.ended(DONE, tags=("eu",))
    await world.ended(FAILED, tags=("eu",), key="k")
    await world.ended(FAILED)

    nothing = dict.fromkeys(Status, 0)
    assert await world.store.count(Filter(tags=("eu",))) == nothing | {Status.COMPLETED: 1, Status.FAILED: 1}
    assert await world.store.count(Filter(statuses=(Status.FAILED,))) == nothing | {Status.FAILED: 2}
    assert await world.store.count(Filter(text="valueerror", key="k")) == nothing | {Status.FAILED: 1}
    assert await world.store.count(Filter(text="nobody")) == nothing


# --- pages ------------------------------------------------------------------------------------------------------------

MANY = FIRST_LOOK * 3


@pytest.mark.parametrize(
    "which",
    [
        Filter(),
        Filter(workflow="order"),
        Filter(tags=("eu",)),
        Filter(text="needle"),
        Filter(tags=("eu",), text="needle"),
        Filter(statuses=(Status.PENDING, Status.WAITING), tags=("eu",)),
    ],
)
async def test_pages_of_any_filter_join_without_gap_or_repetition(world: World, which: Filter) -> None:
    """F38: many of two workflows, of which every third is meant, and the oldest; some were created at the same time."""
    for start in range(0, MANY, 60):
        await world.store.create(
            [
                execution(
                    workflow=("order", "invoice")[n % 2],
                    tags=("eu",) if n % 3 == 0 or n < 5 else ("us",),
                    input=b'{"note":"a needle"}' if n % 3 == 0 or n < 5 else b"{}",
                )
                for n in range(start, start + 60)
            ]
        )
    everything = await found(world, which, limit=2 * MANY)

    pages, before = [], None
    while page := await found(world, replace(which, before=before), limit=37):
        pages.append(page)
        before = page[-1]

    assert len(everything) >= MANY // 3
    assert [id for page in pages for id in page] == everything
    assert all(len(page) == 37 for page in pages[:-1])


async def test_page_goes_on_after_an_execution_that_was_removed_meanwhile(world: World) -> None:
    """Its id says when it was made."""
    started = await world.start()
    at = int(world.store.now().timestamp() * 1000)
    later, earlier = (ExecutionId(uuid7(unix_ms=at + by, random_bits=1)) for by in (60_000, -60_000))

    assert await found(world, Filter(before=later)) == [started]
    assert await found(world, Filter(before=earlier)) == []


async def test_rare_one_is_found_behind_many_newer(postgres: PostgresWorld) -> None:
    """More than the first looks see."""
    rare = await postgres.start(tags=("rare",), input=b'{"order":4711}')
    postgres.advance(DAY)
    await postgres.store.create(executions(2_000))
    await postgres.store.create(executions(2_000))

    assert await found(postgres, Filter(tags=("rare",))) == [rare]
    assert await found(postgres, Filter(text="4711")) == [rare]
    assert await found(postgres, Filter(created_before=postgres.store.now() - HOUR)) == [rare]


# --- words ------------------------------------------------------------------------------------------------------------


async def _four(world: World) -> dict[str, ExecutionId]:
    """Found in the input, in the result, in the error, in key and tag."""
    return {
        "input": await world.ended(DONE, input=b'{"order":4711,"mail":"Anna@Example.com"}'),
        "result": await world.ended(Completed(b'{"invoice":"INV-4711-B","note":"first\\nsecond"}')),
        "error": await world.ended(Failed(b"{}", "TimeoutError: gateway 7 did not answer")),
        "key": await world.start(key="order-4711", tags=("north/west",)),
    }


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("4711", {"input", "result", "key"}),
        ("order 4711", {"input", "key"}),
        ("order-4711", {"input", "key"}),
        ("inv-471", {"result"}),
        ("INV", {"result"}),
        ("711", set()),
        ("anna@example.com", {"input"}),
        ("com example", {"input"}),
        ("gateway 7", {"error"}),
        ("gateway 8", set()),
        ("did ans", {"error"}),
        ("b", {"result"}),
        ("di", set()),
        ("west", {"key"}),
        ("second", {"result"}),
        ("timeouterror", {"error"}),
        ("4711 gateway", set()),
    ],
)
async def test_each_word_must_begin_a_word(world: World, text: str, names: set[str], is_indexed: bool) -> None:
    """A word of one or two letters must be the whole of one."""
    ids = await _four(world)
    if is_indexed:
        await world.store.make_searchable()

    assert set(await found(world, Filter(text=text))) == {ids[name] for name in names}


async def test_execution_is_found_by_the_beginning_of_its_id(world: World) -> None:
    started = await world.ended(DONE)
    other = execution(id=ExecutionId(uuid7(unix_ms=1, random_bits=0)))
    await world.store.create([other])
    await world.store.make_searchable()

    assert await found(world, Filter(text=str(started))) == [started]
    assert await found(world, Filter(text=str(started)[:18].upper())) == [started]
    assert await found(world, Filter(text=str(other.id)[:8])) == [other.id]


async def test_what_changes_after_the_end_is_found_as_it_is_now(world: World) -> None:
    """A failed execution is entered, tried again, and ends in another way."""
    ended = await world.ended(Failed(b"{}", "ValueError: bad apple"))
    await world.store.make_searchable()
    await world.store.reopen(ended)
    assert await found(world, Filter(text="apple")) == []
    session = await world.worker()
    await world.claim_one(session)
    await world.end(session, ended, Completed(b'"good pear"'))

    before = await found(world, Filter(text="pear")), await found(world, Filter(text="apple"))
    await world.store.make_searchable()
    after = await found(world, Filter(text="pear")), await found(world, Filter(text="apple"))

    assert before == after == ([ended], [])


async def test_compressed_payload_is_not_looked_into_and_hides_nothing(world: World) -> None:
    given = pack(b'{"note":"' + b"needle " * 20_000 + b'"}')
    assert given.startswith(b"\x01")
    ended = await world.ended(DONE, input=given, key="haystack")
    await world.store.make_searchable()

    assert await found(world, Filter(text="haystack")) == [ended]
    assert await found(world, Filter(text="needle")) == []


async def test_only_the_beginning_of_a_long_payload_is_looked_into(world: World) -> None:
    given = b'"' + b"first " + b"x" * 4_000 + b' last"'
    ended = await world.ended(DONE, input=given)
    await world.store.make_searchable()

    assert await found(world, Filter(text="first")) == [ended]
    assert await found(world, Filter(text="x" * 100)) == [ended]
    assert await found(world, Filter(text="last")) == []


async def test_words_are_entered_once_and_in_pieces(postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.store.upkeep.ENTERED_AT_ONCE", 4)
    session = await postgres.worker()
    new = executions(10)
    await postgres.store.create(new)
    await postgres.claim(session)
    await postgres.flush(session, endings=[Ending(one.id, DONE) for one in new])

    there_is_more = [await postgres.store.make_searchable() for _ in range(4)]

    assert there_is_more == [True, True, False, False]
    assert len(await found(postgres, Filter(text="done"))) == 10


async def test_end_that_becomes_visible_late_is_entered_too(postgres: PostgresWorld) -> None:
    """Another worker's flush began earlier and committed later than one that has been entered."""
    late, early = await postgres.ended(DONE), await postgres.ended(DONE)
    await postgres.store.make_searchable()
    with psycopg.connect(postgres.url) as raw:
        raw.execute("delete from stepwell.searchable where execution_id = %s", [late])
        raw.execute(
            "update stepwell.execution set finished_at = finished_at - interval '30 seconds' where id = %s", [late]
        )

    await postgres.store.make_searchable()

    with psycopg.connect(postgres.url) as raw:
        rows = raw.execute("select execution_id from stepwell.searchable").fetchall()
    assert {id for (id,) in rows} == {late, early}
