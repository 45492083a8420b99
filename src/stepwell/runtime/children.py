"""Children: executions that a workflow starts, and waits for while it holds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from stepwell.codec import Codec, codec_for, digest
from stepwell.core.model import Checkpoint, Child, ExecutionId, Kind, NewCheckpoint, NewChild
from stepwell.core.status import Status
from stepwell.errors import ChildFailed, Diverged
from stepwell.failpoints import failpoint
from stepwell.runtime.attempts import Call, Deferred
from stepwell.runtime.calls import check_digest, durable, recall
from stepwell.runtime.outages import outlast
from stepwell.runtime.passes import Key, Pass, Wait
from stepwell.runtime.waits import decoded
from stepwell.store.identity import new_id
from stepwell.stored_failures import decode_child_failure, encode_failure, failure_of_child

if TYPE_CHECKING:
    from stepwell.runtime.registry import Bound

_ID: Codec[UUID] = codec_for(UUID)


class ChildCall(NamedTuple):
    """A durable call that starts a child: of which workflow, with what input, and how its result is read."""

    bound: Bound
    codec: Codec[Any]
    tags: tuple[str, ...] = ()

    @property
    def digest(self) -> int:
        """Of the workflow and its input."""
        return digest((self.bound.workflow, self.bound.input), {})


@durable
async def call(pass_: Pass, key: Key, asked: ChildCall) -> Any:
    """What the child returns. Raises ChildFailed when it failed or was cancelled, the same on every replay."""
    found = await recall(pass_, key, Kind.RESULT)
    if found is not None:
        return replayed(pass_, key, asked, found)
    await pass_.begin_looking(key)
    try:
        child = await begun(pass_, key, asked, is_called=True)
        if child is not None and child.status.is_final:
            row = result_of(pass_, key, Kind.RESULT, asked, child)
            await pass_.store(row)
            return read(key, asked, row.is_failure, row.value)
    finally:
        pass_.leave()
    return await pass_.block(Wait(None, f"child '{key}'", is_outside=True))


@durable
async def start(pass_: Pass, key: Key, asked: ChildCall) -> UUID:
    """The id of the child, which goes on by itself."""
    found = await recall(pass_, key, Kind.CHILD)
    if found is not None:
        check_digest(pass_, key, found.digest, asked.digest)
        return _ID.decode(found.value)
    await pass_.begin_looking(key)
    try:
        child = await _found(pass_, key, asked)
        new = _new(pass_, key, asked, is_called=False)
        identity = child.id if child else new.id
        row = NewCheckpoint(pass_.id, key, Kind.CHILD, asked.digest, _ID.encode(identity)[0])
        failpoint("before_child_start")
        await (pass_.store(row) if child else pass_.store(new, row))
        return identity
    finally:
        pass_.leave()


async def begun(pass_: Pass, key: Key, asked: ChildCall, *, is_called: bool) -> Child | None:
    """The child that an earlier pass has started under this key; else it is started now, and None is the answer."""
    child = await _found(pass_, key, asked)
    if child is None:
        failpoint("before_child_start")
        await pass_.store(_new(pass_, key, asked, is_called=is_called))
    return child


def _new(pass_: Pass, key: Key, asked: ChildCall, *, is_called: bool) -> NewChild:
    workflow, queue, given = asked.bound
    return NewChild(ExecutionId(new_id()), workflow, queue, given, pass_.id, key, is_called, asked.tags)


async def _found(pass_: Pass, key: Key, asked: ChildCall) -> Child | None:
    """The child of an earlier pass. Raises Diverged when that is another one than is called now."""
    if pass_.execution.passes == 1:
        return None
    child = await outlast(pass_.around, lambda: pass_.around.calls.ask((pass_.id, key)))
    if child is not None and (child.workflow, child.input) != (asked.bound.workflow, asked.bound.input):
        expected = f"a child of workflow '{child.workflow}' with another input or workflow"
        raise Diverged(step=key, expected=expected, met=f"one of '{asked.bound.workflow}'")
    return child


def result_of(pass_: Pass, key: Key, kind: Kind, asked: ChildCall, child: Child) -> NewCheckpoint:
    """How the child ended, as the parent stores it."""
    if child.status is Status.COMPLETED:
        return NewCheckpoint(pass_.id, key, kind, asked.digest, child.result or b"null")
    return NewCheckpoint(pass_.id, key, kind, asked.digest, encode_failure(failure_of_child(child)), is_failure=True)


def replayed(pass_: Pass, key: Key, asked: ChildCall, stored: Checkpoint) -> Any:
    """What a stored result is for the workflow. Raises ChildFailed; Diverged when it was another call's."""
    check_digest(pass_, key, stored.digest, asked.digest)
    return read(key, asked, stored.is_failure, stored.value)


def read(key: Key, asked: ChildCall, is_failure: bool, value: bytes) -> Any:
    """The same, from stored bytes."""
    if is_failure:
        raise child_failed(key, value)
    return decoded(key, asked.codec, value)


def child_failed(key: Key, value: bytes) -> ChildFailed:
    """The error that a stored failure of a child raises in the workflow."""
    failure = decode_child_failure(value)
    failed = ChildFailed(
        step=key,
        execution_id=failure.execution_id,
        status=failure.status,
        error_type=failure.type,
        message=failure.message,
        traceback=failure.traceback,
    )
    if failure.traceback:
        failed.add_note(f"What the child raised:\n\n{failure.traceback}")
    return failed


async def perform_item(pass_: Pass, item: Call, asked: ChildCall) -> Any:
    """The result of one item of a map, which is a child's. Raises Deferred while the child runs; ChildFailed."""
    await pass_.begin_looking(item.key)
    try:
        child = await begun(pass_, item.key, asked, is_called=True)
        if child is None or not child.status.is_final:
            raise Deferred(Wait(None, f"child '{item.key}'", is_outside=True))
        row = result_of(pass_, item.key, Kind.ITEM, asked, child)._replace(digest=item.digest)
        await pass_.store(row)
        return read(item.key, asked, row.is_failure, row.value)
    finally:
        pass_.leave()
