"""The memory store's events: what was sent to each topic, and who waits for the next one."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from stepwell.core.events import execution_of, first_after, number_at, sent_at
from stepwell.core.model import Elsewhere, Event, ExecutionId, Found, Look, NewEvent

Waiter = tuple[ExecutionId, str]  # an execution and its durable call


class Wait(NamedTuple):
    """A call waits for the event after `after`, if that is sent in time."""

    after: int
    until: datetime | None


@dataclass(slots=True)
class Topic:
    """Events of one name and address, in order."""

    last: int = 0
    previous: int = 0
    events: list[Event] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)  # the number of the event that has it
    waits: dict[Waiter, Wait] = field(default_factory=dict)

    def kept(self) -> list[tuple[Event, str | None]]:
        """Its events with the ids that their senders gave them."""
        ids = {number: id for id, number in self.ids.items()}
        return [(event, ids.get(event.number)) for event in self.events]


class Topics:
    """All topics."""

    def __init__(self) -> None:
        self._topics: dict[tuple[str, str], Topic] = {}

    def append(self, event: NewEvent, now: datetime) -> bool:
        """Accept an event; whether it is no repetition."""
        topic = self._of(event.name, event.address)
        if event.id is not None and event.id in topic.ids:
            return False
        topic.previous, topic.last = topic.last, max(topic.last + 1, number_at(now))
        topic.events.append(Event(topic.last, sent_at(topic.last), event.payload))
        if event.id is not None:
            topic.ids[event.id] = topic.last
        return True

    def newest(self, event: NewEvent) -> Event:
        """The event that was accepted last in this one's topic."""
        return self._of(event.name, event.address).events[-1]

    def reached_by(self, event: NewEvent) -> Mapping[ExecutionId, bool]:
        """Who waits for events of this one's topic, and whether it is the next for it, and in time."""
        topic = self._of(event.name, event.address)
        reached: dict[ExecutionId, bool] = {}
        at = sent_at(topic.last)
        for (execution_id, _), wait in topic.waits.items():
            is_next = wait.after == topic.previous and (wait.until is None or wait.until >= at)
            reached[execution_id] = reached.get(execution_id, False) or is_next
        return reached

    def look(self, look: Look, *, is_open: bool) -> Found:
        """As Store.look; `is_open`: the execution has not ended."""
        waiter = look.execution_id, look.key
        begun = sorted(one for one, topic in self._topics.items() if waiter in topic.waits)
        if look.among is not None and (others := [one for one in begun if one not in look.among]):
            return Elsewhere(*others[0])
        topic = self._of(look.name, look.address)
        if found := next((event for event in topic.events if event.number > first_after(look)), None):
            return found
        if is_open:
            topic.waits[look.execution_id, look.key] = Wait(topic.last, look.until)
        return None

    def forget(self, execution_id: ExecutionId, key: str | None = None) -> None:
        """This call, or everything of the execution, waits no longer."""
        for topic in self._topics.values():
            topic.waits = {
                waiter: wait
                for waiter, wait in topic.waits.items()
                if waiter[0] != execution_id or key not in (None, waiter[1])
            }

    def remove(self, *, sent_before: datetime, undecided: Container[tuple[str, str, int]]) -> None:
        """Old events go but for those of one execution, those undecided, and where somebody waits for the next one."""
        for place, topic in tuple(self._topics.items()):
            if execution_of(place[1]) is None and not topic.waits and topic.events:
                topic.events = [
                    event
                    for event in topic.events
                    if event.sent_at >= sent_before or (*place, event.number) in undecided
                ]
                kept = {event.number for event in topic.events}
                topic.ids = {id: number for id, number in topic.ids.items() if number in kept}
                if not kept:
                    del self._topics[place]

    def forget_own(self, known: Container[ExecutionId]) -> None:
        """What was sent to executions that are no longer known goes."""
        self._topics = {
            (name, address): topic
            for (name, address), topic in self._topics.items()
            if (receiver := execution_of(address)) is None or receiver in known
        }

    def those(self, name: str | None, address: str | None) -> list[tuple[tuple[str, str], Topic]]:
        """All topics, or those of one name, of one address."""
        return [
            (place, topic)
            for place, topic in self._topics.items()
            if name in (None, place[0]) and address in (None, place[1])
        ]

    def _of(self, name: str, address: str) -> Topic:
        return self._topics.setdefault((name, address), Topic())
