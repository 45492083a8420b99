"""`step.map`: one durable call for many items, each stored by itself, with bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from stepwell.codec import codec_for, digest
from stepwell.core.model import Checkpoint, Kind, NewCheckpoint
from stepwell.errors import Diverged, InvalidOption, StepFailed
from stepwell.runtime import attempts
from stepwell.runtime.attempts import Call, Deferred
from stepwell.runtime.branches import current_branch, outside_the_workflow
from stepwell.runtime.calls import check_digest, differ, durable
from stepwell.runtime.outages import outlast
from stepwell.runtime.passes import Pass, Suspend, Wait

MAX_CONCURRENCY = 10_000  # items under way at once; each is a task

_COUNT = codec_for(int)

Perform = Callable[[Pass, Call], Awaitable[Any]]


@durable
async def run(
    pass_: Pass, call: Call, items: Iterable[Any], *, concurrency: int, perform: Perform | None = None
) -> list[Any]:
    """The results in the order of the items. `call` is that of an item, under the map's key and without arguments.

    `perform` says how an item without an outcome gets one, if not by running the function.
    """
    if not isinstance(concurrency, int) or not 1 <= concurrency <= MAX_CONCURRENCY:
        raise InvalidOption(f"map '{call.key}': concurrency is {concurrency!r:.100}, use 1 to {MAX_CONCURRENCY:,}")
    if not isinstance(items, Iterable):
        raise InvalidOption(
            f"map '{call.key}': {items!r:.100} has no items; give a list, or anything else to go through"
        )
    summary = pass_.replay.stored(call.key, Kind.MAP)
    await asyncio.sleep(0)  # as in calls.recall; without a summary some of its items may be stored
    count = None if summary is None else _COUNT.decode(summary.value)
    work = _Map(pass_, call, items, perform or _perform_step, stored_count=count)
    if not pass_.execution.is_fresh:
        await work.load()
    await work.finish(concurrency)
    results = work.results()
    if summary is None:
        await pass_.begin_work(call.key)
        try:
            count, _ = _COUNT.encode(len(results))
            await pass_.store(NewCheckpoint(pass_.id, call.key, Kind.MAP, 0, count))
        finally:
            pass_.leave()
    return results


async def _perform_step(pass_: Pass, item: Call) -> Any:
    return await attempts.perform(pass_, item, attempts.plain_body, is_deferrable=True)


class _Map:
    """Which items have an outcome and which are still to be begun; all branches take their items from here."""

    def __init__(
        self, pass_: Pass, call: Call, items: Iterable[Any], perform: Perform, *, stored_count: int | None
    ) -> None:
        self._pass, self._call, self._perform, self._stored_count = pass_, call, perform, stored_count
        self._home = current_branch()
        self._items: Iterator[tuple[int, Any]] = iter(enumerate(items))
        self._digests: dict[int, int] = {}
        self._results: dict[int, Any] = {}
        self._failures: dict[int, StepFailed] = {}
        self._waits: list[Wait] = []  # of items that go on later
        self._has_diverged = False

    async def load(self) -> None:
        """Take over the outcomes of earlier passes. They are decoded page by page; the stored form is not kept."""
        await self._pass.admit()
        self._pass.enter()
        try:
            with outside_the_workflow():
                await outlast(self._pass.around, self._read)
        finally:
            self._pass.leave()

    async def _read(self) -> None:
        async for index, stored in self._pass.around.store.items(self._pass.id, self._call.key):
            self._take(index, stored)

    def _take(self, index: int, stored: Checkpoint) -> None:
        self._digests[index] = stored.digest
        try:
            self._results[index] = attempts.replayed(self._pass, self._item(index, stored.digest), stored)
        except StepFailed as failed:
            self._failures[index] = failed

    async def finish(self, concurrency: int) -> None:
        """Run the items that have no outcome. Raises StepFailed; suspends the branch when items wait for a retry."""
        branches = [self._pass.spawn(self._branch()) for _ in range(concurrency)]
        try:
            await asyncio.wait(branches)
        finally:
            for branch in branches:
                branch.cancel()  # when this call was cut, its items go no further (F59)
        ends = [None if branch.cancelled() else branch.exception() for branch in branches]  # each one must be asked
        for end in ends:
            if isinstance(end, Diverged):
                raise end
        if any(branch.cancelled() for branch in branches) or any(isinstance(end, Suspend) for end in ends):
            await self._pass.stop()
        await self._pass.admit()
        for end in filter(None, ends):
            raise end
        if self._failures:
            raise self._failed()
        if self._digests:
            self._differ(f"of at least {max(self._digests) + 1} items", "of fewer")
        if self._waits:
            await self._pass.block(self._wait())

    def _wait(self) -> Wait:
        """The earliest retry, and all the children, or what an item needs from outside."""
        until = min((wait.until for wait in self._waits if wait.until), default=None)
        outside = [wait for wait in self._waits if wait.is_outside]
        children = sum(wait.until is None for wait in outside)
        if children:
            return Wait(until, f"{children} {'child' if children == 1 else 'children'} of '{self._call.key}'", True)
        return Wait(until, outside[0].reason, True) if outside else min(self._waits)

    def results(self) -> list[Any]:
        return [self._results[index] for index in range(len(self._results))]

    async def _branch(self) -> None:
        """Run one item after the other, until there are none or one has failed for good."""
        for index, item in self._items:
            if self._has_diverged or self._pass.is_to_be_told(self._home):
                return
            arguments = digest((item,), {})
            if index in self._digests:
                self._check(index, arguments)
                continue
            if self._failures:
                return
            if self._stored_count is not None:
                self._differ(f"of {self._stored_count} items", "of more")
                return
            if not await self._run(index, self._item(index, arguments)._replace(args=(item,))):
                return

    def _check(self, index: int, arguments: int) -> None:
        try:
            check_digest(self._pass, self._item(index, arguments).key, self._digests.pop(index), arguments)
        except Diverged:
            self._has_diverged = True
            raise

    def _differ(self, expected: str, met: str) -> None:
        error = Diverged(step=self._call.key, expected=f"a map {expected}", met=met)
        self._has_diverged = self._pass.around.is_strict
        differ(self._pass, error)

    async def _run(self, index: int, item: Call) -> bool:
        """Whether this branch is free again: one that waits for a child is not."""
        try:
            self._results[index] = await self._perform(self._pass, item)
        except StepFailed as failed:
            self._failures[index] = failed
        except Deferred as later:
            self._waits.append(later.wait)
            return not later.wait.is_outside
        return True

    def _item(self, index: int, arguments: int) -> Call:
        return self._call._replace(key=f"{self._call.key}/#{index}", digest=arguments)

    def _failed(self) -> StepFailed:
        first = self._failures[min(self._failures)]
        return StepFailed(
            step=first.step,
            attempts=first.attempts,
            error_type=first.error_type,
            message=first.message,
            traceback=first.traceback,
            causes=first.causes,
            steps=[failure.step for failure in self._failures.values()],
        )
