"""Questions that come while one round trip is under way are asked together in the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from stepwell.errors import DatabaseUnavailable
from stepwell.store.together import MAX_QUESTIONS, Together


class Oracle:
    """Answers each question with its double, once it is allowed to."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.trouble: Exception | None = None

    async def __call__(self, questions: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(questions))
        await self.may_answer.wait()
        if self.trouble is not None:
            raise self.trouble
        return [2 * question for question in questions]


async def test_what_is_asked_meanwhile_is_asked_in_one_go_and_answered_in_order() -> None:
    oracle = Oracle()
    together = Together(oracle)
    first = asyncio.create_task(together.ask(0))
    await asyncio.sleep(0)
    others = [asyncio.create_task(together.ask(number)) for number in range(1, 2_500)]
    await asyncio.sleep(0)

    oracle.may_answer.set()

    assert await asyncio.gather(first, *others) == [2 * number for number in range(2_500)]
    sizes = [len(one) for one in oracle.asked]
    assert sum(sizes) == 2_500
    assert max(sizes) == MAX_QUESTIONS
    assert len(sizes) <= 4


async def test_error_is_everybodys_who_asked_and_the_next_question_is_asked_anew() -> None:
    oracle = Oracle()
    together = Together(oracle)
    oracle.trouble = DatabaseUnavailable("away")
    oracle.may_answer.set()

    found = await asyncio.gather(together.ask(1), together.ask(2), return_exceptions=True)
    oracle.trouble = None

    assert [type(one) for one in found] == [DatabaseUnavailable] * 2
    assert await together.ask(3) == 6


async def test_who_no_longer_waits_for_his_answer_holds_up_nobody() -> None:
    oracle = Oracle()
    together = Together(oracle)
    gone, here = asyncio.create_task(together.ask(1)), asyncio.create_task(together.ask(2))
    await asyncio.sleep(0)

    gone.cancel()
    oracle.may_answer.set()

    assert await here == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
