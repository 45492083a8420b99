"""URLs that answer waits: made once, the same on every pass, in no history, and good for one answer that fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from stepwell import (
    CallbackAnswered,
    CallbackClosed,
    ExecutionFailed,
    InvalidAnswer,
    InvalidOption,
    Status,
    Step,
    SyncStep,
    UnknownCallback,
)
from stepwell.core.callbacks import PATH, read_token
from tests.runtime.lab import DAY, HOUR, Cut, Lab


@dataclass
class Approval:
    is_granted: bool
    comment: str = ""


def approving(lab: Lab, *, expires: str = "7d", timeout: str | None = None) -> Any:
    """A workflow that hands its URL to a step, and waits for the answer."""

    @lab.app.workflow
    async def order(number: int, step: Step) -> Any:
        url = await step.callback_url("approval", type=Approval, expires=expires, prompt=f"Approve order {number}?")
        await step.run("mail", lab.ledger.note, url)
        answer = await step.wait_for_event("approval", type=Approval, timeout=timeout)
        return answer and [answer.is_granted, answer.comment]

    return order


async def url_of(lab: Lab, handle: Any) -> str:
    """The one that the workflow has handed out."""
    await lab.run_to_rest(handle)
    (url,) = lab.ledger.entries
    return url


async def test_answer_lets_the_execution_go_on(lab: Lab) -> None:
    handle = await lab.app.start(approving(lab), 4711)
    url = await url_of(lab, handle)

    answered = await lab.app.answer_callback(url, {"is_granted": True, "comment": "fine"}, by="Ann")

    assert (answered.name, answered.answered_by, answered.prompt) == ("approval", "Ann", "Approve order 4711?")
    async with lab.worker():
        assert await lab.result(handle) == [True, "fine"]


async def test_url_is_the_same_on_every_pass(lab: Lab) -> None:
    """The step that was given the URL would park the execution if it changed."""
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)
    await lab.app.answer_callback(url, Approval(is_granted=False))

    async with lab.worker():
        assert await lab.result(handle) == [False, ""]
    assert lab.ledger.entries == [url]


async def test_history_does_not_hold_the_url(lab: Lab) -> None:
    """Whoever can read a history cannot answer."""
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)

    token = read_token(url.rpartition(PATH)[2])
    assert token is not None
    stored = b"".join(record.value for record in await lab.app.steps(handle.id))
    rows = repr(await lab.store.callbacks.callbacks(handle.id))
    for secret in (url, url.rpartition(".")[2], token.mac.hex()):
        assert secret.encode() not in stored
        assert secret not in rows
    assert str(token.callback).encode() in stored


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("at", range(1, 6))
async def test_death_at_any_write_leaves_one_callback_and_one_url(lab: Lab, at: int, is_before: bool) -> None:
    """Also between the row and the checkpoint: the next pass finds the row that the first one made."""
    handle = await lab.app.start(approving(lab), 1)
    lab.store.cut = Cut(at, is_before)
    async with lab.worker():
        await lab.until(handle, lambda seen: seen.status is Status.WAITING or lab.store.is_cut)
    if lab.store.is_cut:
        lab.store.bury()
    await lab.run_to_rest(handle)

    (row,) = await lab.store.callbacks.callbacks(handle.id)
    assert len(set(lab.ledger.entries)) == 1
    assert (await lab.app.callback(lab.ledger.entries[0])).id == row.id


async def test_second_answer_is_told_who_was_faster_and_when(lab: Lab) -> None:
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)
    first = await lab.app.answer_callback(url, Approval(is_granted=True), by="Ann")

    with pytest.raises(CallbackAnswered, match="answered by Ann at") as refused:
        await lab.app.answer_callback(url, Approval(is_granted=False), by="Bob")

    assert (refused.value.answered_by, refused.value.answered_at) == ("Ann", first.answered_at)
    async with lab.worker():
        assert await lab.result(handle) == [True, ""]


@pytest.mark.parametrize(
    ("answer", "path"), [({}, "$.is_granted"), ({"is_granted": "yes"}, "$.is_granted"), (None, "$"), (True, "$")]
)
async def test_misfit_is_refused_and_does_not_reach_the_workflow(lab: Lab, answer: Any, path: str) -> None:
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)

    with pytest.raises(InvalidAnswer) as refused:
        await lab.app.answer_callback(url, answer, by="Ann")

    assert [fault[0] for fault in refused.value.faults] == [path]
    assert await lab.app.events(to=handle.id) == []
    await lab.app.answer_callback(url, Approval(is_granted=True))


async def test_expired_url_is_refused(lab: Lab) -> None:
    handle = await lab.app.start(approving(lab, expires="1h"), 1)
    url = await url_of(lab, handle)
    lab.store.pass_time(HOUR)

    with pytest.raises(CallbackClosed, match="it expired at"):
        await lab.app.answer_callback(url, Approval(is_granted=True))
    assert await lab.app.callbacks(handle.id) == []


async def test_url_of_an_ended_execution_is_refused(lab: Lab) -> None:
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)
    await handle.cancel(force=True)

    with pytest.raises(CallbackClosed, match="its execution has ended"):
        await lab.app.answer_callback(url, Approval(is_granted=True))


async def test_answer_in_time_goes_before_the_time_out(lab: Lab) -> None:
    """The worker is away until long after both."""
    handle = await lab.app.start(approving(lab, expires="1h", timeout="1h"), 1)
    url = await url_of(lab, handle)
    lab.store.pass_time(HOUR - timedelta(microseconds=1))
    await lab.app.answer_callback(url, Approval(is_granted=True))
    lab.store.pass_time(30 * DAY)

    async with lab.worker():
        assert await lab.result(handle) == [True, ""]


async def test_changed_url_answers_nothing(lab: Lab) -> None:
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)
    other = await lab.app.start("order", 2)
    lab.ledger.entries.clear()
    foreign = await url_of(lab, other)
    (head, key, mac), (_, _, foreign_mac) = (one.rpartition("/")[2].split(".") for one in (url, foreign))
    base = url.rpartition("/")[0]

    flipped = ("A" if mac[0] != "A" else "B") + mac[1:]
    for token in (f"{head}.{key}.{flipped}", f"{head}.{key}.{foreign_mac}", f"{head}.other.{mac}", head, "", "ä" * 70):
        with pytest.raises(UnknownCallback):
            await lab.app.callback(f"{base}/{token}")


async def test_operators_get_urls_of_what_is_open(lab: Lab) -> None:
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)

    (found,) = await lab.app.callbacks(handle.id)

    assert (found.name, found.prompt, found.url) == ("approval", "Approve order 1?", url)
    assert url not in repr(found)
    await lab.app.answer_callback(found.url, Approval(is_granted=True))
    assert await lab.app.callbacks(handle.id) == []


async def test_fork_goes_on_and_has_a_callback_of_its_own(lab: Lab) -> None:
    """Its finished steps were given the first one's URL, which still answers the first one only."""
    handle = await lab.app.start(approving(lab), 1)
    url = await url_of(lab, handle)
    fork = await lab.app.fork(handle.id)
    await lab.run_to_rest(fork)

    (own,) = await lab.app.callbacks(fork.id)
    assert own.url != url
    await lab.app.answer_callback(own.url, Approval(is_granted=True, comment="fork"))
    await lab.app.answer_callback(url, Approval(is_granted=False, comment="first"))
    async with lab.worker():
        assert await lab.result(fork) == [True, "fork"]
        assert await lab.result(handle) == [False, "first"]


async def test_urls_of_two_calls_answer_two_waits(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        urls = [await step.callback_url("approval", type=bool, expires="1d") for _ in range(2)]
        for url in urls:
            await step.run("mail", lab.ledger.note, url)
        return [await step.wait_for_event("approval", type=bool) for _ in range(2)]

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    first, second = lab.ledger.entries
    await lab.app.answer_callback(second, True)
    await lab.app.answer_callback(first, False)

    async with lab.worker():
        assert await lab.result(handle) == [True, False]
    assert "approval-url#2" in [record.key for record in await lab.app.steps(handle.id)]


async def test_url_is_good_for_a_week_unless_something_else_is_said(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> Any:
        await step.callback_url("approval")
        return await step.wait_for_event("approval")

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)

    (found,) = await lab.app.callbacks(handle.id)
    assert found.expires_at - found.created_at == timedelta(days=7)


async def test_plain_workflow_gets_a_url(lab: Lab) -> None:
    @lab.app.workflow
    def flow(step: SyncStep) -> Any:
        url = step.callback_url("approval", type=bool, expires=timedelta(days=1))
        step.run("mail", lab.ledger.note, url)
        return step.wait_for_event("approval", type=bool)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await lab.app.answer_callback(lab.ledger.entries[0], True)

    async with lab.worker():
        assert await lab.result(handle) is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expires": "soon"}, "soon"),
        ({"expires": "1d", "prompt": "x" * 5_000}, "at most 4,000 characters"),
        ({"expires": "1d", "prompt": "a\0b"}, "none of them NUL"),
        ({"expires": "1d", "type": Lab}, "nobody can be asked for"),
    ],
)
async def test_options_that_make_no_sense_are_refused(lab: Lab, options: Any, message: str) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.callback_url("approval", **options)

    with pytest.raises(ExecutionFailed, match=message):
        await lab.run(flow)


async def test_answer_by_a_name_that_cannot_be_stored_is_refused(lab: Lab) -> None:
    url = await url_of(lab, await lab.app.start(approving(lab), 1))

    with pytest.raises(InvalidOption, match="by"):
        await lab.app.answer_callback(url, Approval(is_granted=True), by="a\0b")
