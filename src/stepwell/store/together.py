"""Asking together: questions that come while one round trip is under way are asked in the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

MAX_QUESTIONS = 1_000  # in one statement, which stays under a tenth of a second


class Together(Generic[Q, A]):
    """One statement for all who ask meanwhile. `ask` answers in the order of its questions."""

    def __init__(self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer. An error of the statement is everybody's who asked in it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answer))
        if self._asking is None:
            self._asking = loop.create_task(self._ask_all(), name="stepwell-ask", context=Context())
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MAX_QUESTIONS], self._waiting[MAX_QUESTIONS:]
                try:
                    answers = await self._ask([question for question, _ in asked])
                except Exception as error:  # noqa: BLE001 - each of them gets it
                    _fail([future for _, future in asked], error)
                    continue
                for (_, future), answer in zip(asked, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        finally:
            self._asking = None


def _fail(futures: Sequence[asyncio.Future[A]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
            future.exception()  # a branch that has been cut no longer asks
