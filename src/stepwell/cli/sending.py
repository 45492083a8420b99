"""A delivery as a vendor would send it: signed, sent to a server, sent again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from stepwell.app.hooks import endpoints_of
from stepwell.cli.given import read_one, settings_of
from stepwell.cli.options import Target
from stepwell.cli.output import Cell, note
from stepwell.core.webhooks import Endpoint
from stepwell.errors import InvalidOption
from stepwell.sources import Source, sign, source_named
from stepwell.sources.samples import sample
from stepwell.store.identity import new_id

if TYPE_CHECKING:
    from stepwell.app.application import App

ANSWER_SECONDS = 10.0  # as long as the most patient vendor waits
NO_ANSWER = 503  # what no answer at all counts as, for what a vendor does next
SHOWN_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; no status: nothing did."""

    status: int | None
    seconds: float
    text: str

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def document(self) -> dict[str, Any]:
        """For programs."""
        return {"status": self.status, "seconds": round(self.seconds, 4), "body": self.text}

    def row(self, number: int) -> list[str | Cell]:
        """For people."""
        status = Cell(str(self.status or "none"), "green" if self.is_good else "red")
        return [str(number), status, f"{self.seconds * 1e3:.1f}", self.text[:SHOWN_LENGTH]]


@dataclass(frozen=True)
class Sending:
    """One delivery, and how it is to be sent."""

    source: str
    type: str | None
    target: Target
    server: str
    connection: str | None
    secret_from: str | None
    body: IO[bytes] | None
    tenant: str | None
    identity: UUID | None
    settings: Sequence[str]
    duplicate: int
    retry_like_vendor: bool
    faster: float
    sleep: Callable[[float], None] = field(default=time.sleep)

    def send(self) -> list[Answer]:
        """All answers, in their order. Raises InvalidOption when there is nothing to sign with."""
        import httpx2

        source, endpoint = source_named(self.source), self._endpoint()
        id = self.identity or new_id()
        body = self.body.read() if self.body else sample(source.name, self.type or "", id=id, now=datetime.now(UTC))
        url = self._url(source)
        with httpx2.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:

            def once() -> Answer:
                return _sent(client, url, self._headers(source, endpoint, body, id), body)

            answers = self._until_taken(source, once)
            return answers + [once() for _ in range(self.duplicate)]

    def _url(self, source: Source) -> str:
        if "/hooks/" in f"{urlsplit(self.server).path}/":
            raise InvalidOption(
                f"--to is {self.server!r:.200}: give the address of the server alone, such as http://127.0.0.1:8300;"
                " the path is added, with --connection that of the connection"
            )
        return f"{self.server.rstrip('/')}/hooks/{source.name}" + (f"/{self.connection}" if self.connection else "")

    def _headers(self, source: Source, endpoint: Endpoint, body: bytes, id: UUID) -> dict[str, str]:
        return sign(
            source,
            body,
            endpoint.secrets[0],
            type=self.type or "",
            id=str(id),
            now=datetime.now(UTC),
            tenant=self.tenant or endpoint.tenant,
            settings={**endpoint.settings, **settings_of(self.settings)},
        )

    def _until_taken(self, source: Source, once: Callable[[], Answer]) -> list[Answer]:
        answers = [once()]
        while self.retry_like_vendor and not answers[-1].is_good:
            delay = source.retries.next_delay(answers[-1].status or NO_ANSWER, attempt=len(answers))
            if delay is None:
                note(f"{source.name} gives it up after {len(answers)} attempts")
                break
            wait = delay / self.faster
            note(f"answered with {answers[-1].status or 'nothing'}; {source.name} sends it again in {_spoken(wait)}")
            self.sleep(wait.total_seconds())
            answers.append(once())
        return answers

    def _endpoint(self) -> Endpoint:
        """What it is signed with: the secret that is given, else that of the connection in the database."""
        if self.secret_from is not None:
            return Endpoint(self.connection or "", self.source, (read_one(self.secret_from).encode(),))
        self._check_that_it_stays_here()
        found = [one for one in self.target.ask(_read_endpoints) if one.source == self.source]
        named = [one for one in found if self.connection in (None, one.connection)]
        if len(named) == 1:
            return named[0]
        known = ", ".join(one.connection for one in found) or "none"
        raise InvalidOption(
            f"connections that take deliveries of '{self.source}': {known}; name one with --connection, or give the"
            " secret with --secret-from"
        )

    def _check_that_it_stays_here(self) -> None:
        """Some sources prove themselves by the secret itself: a stored one does not leave this machine by an option."""
        from stepwell.server.guards import is_loopback

        if not is_loopback(urlsplit(self.server).hostname or ""):
            raise InvalidOption(
                f"--to is {self.server!r:.200}, which is not this machine: by a stored secret a delivery is sent to a"
                " local server only; give a secret with --secret-from"
            )


async def _read_endpoints(app: App) -> Sequence[Endpoint]:
    return await endpoints_of(app)


def _sent(client: Any, url: str, headers: dict[str, str], body: bytes) -> Answer:
    import httpx2

    began = time.perf_counter()
    try:
        response = client.post(url, headers=headers, content=body)
    except httpx2.HTTPError as error:
        return Answer(None, time.perf_counter() - began, f"{type(error).__name__}: {error}")
    return Answer(response.status_code, time.perf_counter() - began, _one_line(response.text))


def _one_line(text: str) -> str:
    try:
        return json.dumps(json.loads(text))
    except ValueError:
        return text


def _spoken(wait: timedelta) -> str:
    seconds = wait.total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
