"""Webhooks of fake vendors are sent as the vendors send them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stepwell.sources import source_named
from stepwell.testing.serving import served
from stepwell.testing.vendors import Deliveries, FakeClickUp

SPEED = 10_000.0


@dataclass
class Receiver:
    """Answers with the statuses it is told to, else 202, and keeps what came."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        return Response(status_code=self.statuses.pop(0) if self.statuses else 202)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with served(Starlette(routes=[Route("/hooks", receiver.take, methods=["POST"])])) as url:
        receiver.url = f"{url}/hooks"
        yield receiver


async def test_webhook_is_sent_again_until_it_is_answered_well(receiver: Receiver) -> None:
    fake, receiver.statuses = FakeClickUp(), [500, 503]
    webhook = fake.add_webhook(receiver.url, "taskCreated")

    async with Deliveries(fake.outgoing, speed=SPEED) as sent:
        fake.create_task("901", "Boxes")
        attempts = await sent.settled()

    assert [(one.number, one.status) for one in attempts] == [(1, 500), (2, 503), (3, 202)]
    assert len(set(receiver.bodies)) == 1
    assert webhook.status == "active"


async def test_vendor_gives_up_by_its_schedule_and_counts_the_failure(receiver: Receiver) -> None:
    fake, receiver.statuses = FakeClickUp(), [500] * 100
    webhook = fake.add_webhook(receiver.url, "taskCreated")

    async with Deliveries(fake.outgoing, speed=SPEED) as sent:
        fake.create_task("901", "Boxes")
        attempts = await sent.settled()

    assert len(attempts) == len(source_named("clickup").retries.delays) + 1 == 5
    assert (webhook.status, webhook.fail_count) == ("failing", 1)


async def test_gone_ends_a_subscription_at_once(receiver: Receiver) -> None:
    fake, receiver.statuses = FakeClickUp(), [410]
    webhook = fake.add_webhook(receiver.url)

    async with Deliveries(fake.outgoing, speed=SPEED) as sent:
        fake.create_task("901", "Boxes")
        await sent.settled()
        fake.create_task("901", "Never told")

    assert webhook.status == "suspended"
    assert len(receiver.bodies) == 2  # both events of the first task were on their way


async def test_nobody_there_is_no_answer(receiver: Receiver) -> None:
    fake = FakeClickUp()
    fake.add_webhook("http://127.0.0.1:1/hooks", "taskCreated")

    async with Deliveries(fake.outgoing, speed=SPEED) as sent:
        fake.create_task("901", "Boxes")
        attempts = await sent.settled()

    assert {one.status for one in attempts} == {None}
    assert len(attempts) == 5


async def test_webhooks_come_twice_in_another_order_or_never(receiver: Receiver) -> None:
    fake = FakeClickUp()
    fake.add_webhook(receiver.url, "taskCreated")

    async with Deliveries(fake.outgoing, speed=SPEED) as sent:
        sent.lose()
        fake.create_task("901", "Lost")
        sent.reorder(2)
        first, second = fake.create_task("901", "First"), fake.create_task("901", "Second")
        await sent.settled()
        sent.duplicate()
        third = fake.create_task("901", "Third")
        await sent.settled()

    came = [next(task.id for task in fake.tasks.values() if task.id.encode() in body) for body in receiver.bodies]
    assert came == [second.id, first.id, third.id, third.id]


async def test_nothing_is_sent_after_the_block(receiver: Receiver) -> None:
    fake = FakeClickUp()
    fake.add_webhook(receiver.url)
    async with Deliveries(fake.outgoing, speed=SPEED) as sent:
        pass

    fake.create_task("901", "Boxes")

    assert await sent.settled() == []
