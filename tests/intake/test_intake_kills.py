"""A server that is killed again and again while a vendor sends, and sends again what was not answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

from stepwell import App
from stepwell.core.model import Execution
from stepwell.store.postgres import PostgresStore
from tests.inbox.office import ORDERS, shopify
from tests.intake.conftest import Serve
from tests.intake.vendors import SECONDS, Answer, HookServer, Sender

DELIVERIES, PER_KILL, AT_ONCE = 60, 5, 4


class Doomed:
    """A server that dies with each fifth answer, and the one that takes its place."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.server: HookServer = serve()
        self.answers = self.kills = 0

    def count(self) -> None:
        """An answer has come; others may be on their way, and never will."""
        self.answers += 1
        if self.answers % PER_KILL == 0:
            self.server.kill()
            self.server.wait()
            self.kills += 1
            self.server = self._serve()


async def deliver(doomed: Doomed, number: int) -> Answer:
    """Send it until it is answered well, and once more, as vendors do that missed the answer."""
    answers: list[Answer] = []
    while len(answers) < 2:
        try:
            sender = await Sender.to(doomed.server.port)
            answers.append(await sender.send(shopify(b'{"number":%d}' % number, id=f"event-{number}")))
            sender.abort()
        except (OSError, EOFError):
            continue
        assert answers[-1].status == 202
        doomed.count()
    assert answers[1].said == answers[0].said | {"duplicate": True}
    return answers[0]


async def some(doomed: Doomed, numbers: Iterator[int]) -> list[Answer]:
    return [await deliver(doomed, number) for number in numbers]


async def test_every_answered_delivery_has_one_execution_with_its_body(database_url: str, serve_hooks: Serve) -> None:
    """F102: what was answered with 202 is there, once, whatever was killed when."""
    store = PostgresStore(database_url)
    await store.inbox.apply_hooks([ORDERS], workflows=["order"])
    await store.close()
    doomed, numbers = Doomed(serve_hooks), iter(range(DELIVERIES))

    async with asyncio.timeout(5 * SECONDS):
        answered = [
            one for part in await asyncio.gather(*(some(doomed, numbers) for _ in range(AT_ONCE))) for one in part
        ]

    assert len(answered) == DELIVERIES
    assert doomed.kills >= DELIVERIES // PER_KILL
    async with App(database_url) as app:
        executions = await app.list(limit=1_000)
        assert Counter(map(number_of, executions)) == Counter(range(DELIVERIES))
        assert {str(one.id) for one in executions} == {id for answer in answered for id in answer.said["executions"]}
        assert len(await app.deliveries(limit=1_000)) == DELIVERIES


def number_of(execution: Execution) -> int:
    return int(json.loads(execution.input)["event"]["raw"]["number"])
