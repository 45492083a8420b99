"""A connector over HTTP: one request in, a judged answer out."""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit

import httpx2
import msgspec

from stepwell.connectors.base import Connector, action_key
from stepwell.connectors.errors import VendorBusy, VendorError, VendorRejected
from stepwell.connectors.outcome import Answer, Done, Expired, Failed, Limited, Outcome, Rejected, standard_outcome
from stepwell.core.connections import Budget, Connection
from stepwell.core.dispatching import matches
from stepwell.egress import EgressRefused
from stepwell.errors import InvalidOption, NeedsReauthorisation, NotYet
from stepwell.running import current_connected, egress

MAX_ANSWER_BYTES = 32 * 1024 * 1024  # of what may be read into memory; results are limited to far less


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a vendor. `path` is below the connection's address, or a whole URL.

    With credentials the URL is one at that address: a path that came with data must not carry them elsewhere.
    """

    operation: str
    method: str
    path: str
    query: Mapping[str, str | int]
    body: bytes | None
    headers: Mapping[str, str]
    cost: float
    accept: Collection[int] = ()
    is_authorised: bool = True


class HttpConnector(Connector):
    """What vendors have in common. A connector says where, how a request is authorised, and what an answer means."""

    base_url: ClassVar[str]  # may use settings of the connection: "https://{shop}.myshopify.com"

    def address(self, connection: Connection) -> str:
        """Where requests go: the connection's own `base_url`, else the vendor's."""
        return (connection.settings.get("base_url") or self.base_url.format_map(connection.settings)).rstrip("/")

    def authorisation(self, connection: Connection) -> Mapping[str, str]:
        """The headers that authorise a request."""
        return {"Authorization": f"Bearer {connection.secrets['token'].reveal()}"}

    def judge(self, answer: Answer, *, now: datetime) -> Outcome:
        """What an answer means."""
        return standard_outcome(answer, now=now)

    def budget(self, connection: Connection) -> Budget | None:  # noqa: ARG002 - for connectors that look at it
        """How many requests the vendor allows; None: it says so only by its answers."""
        return None

    async def request(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        query: Mapping[str, str | int] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cost: float = 1.0,
        accept: Collection[int] = (),
        is_authorised: bool = True,
    ) -> Answer:
        """The vendor's answer to a request that worked. `operation` names it in errors, `cost` is taken of the budget.
        Statuses of `accept` work as well, whatever they mean elsewhere. Without `is_authorised` no credentials are
        sent, as to addresses of others that the vendor has named.

        Raises InvalidOption for a URL that is not at the connection's address, NotYet while a limit is used up,
        VendorRejected when a repeat makes no sense, VendorError when it does, NeedsReauthorisation when the credentials
        are refused and cannot be renewed.
        """
        body = msgspec.json.encode(json) if json is not None else content
        kind = {"Content-Type": "application/json"} if json is not None else {}
        said = {**kind, **(headers or {})}
        request = Request(operation, method, path, query or {}, body, said, cost, accept, is_authorised)
        connection = await self.connection()
        answer, outcome = await self._ask(connection, request)
        if isinstance(outcome, Expired):
            connection = self.checked(await current_connected().connections.renew(connection))
            answer, outcome = await self._ask(connection, request)
        return await self._settled(connection, request, answer, outcome)

    async def _ask(self, connection: Connection, request: Request) -> tuple[Answer, Outcome]:
        await self._admitted(connection, request.cost)
        client = await current_connected().clients.of(connection, base_url=self.address(connection))
        headers = {**(self.authorisation(connection) if request.is_authorised else {}), **request.headers}
        built = client.build_request(
            request.method,
            self._url(connection, request),
            params=request.query or None,
            content=request.body,
            headers=headers,
        )
        check_egress(urlsplit(str(built.url)).hostname or "")
        try:
            answer = await _answer(client, built)
        except httpx2.HTTPError as error:
            await current_connected().budgets.report(connection.name, is_failure=True)
            raise self._error(connection, request, f"{type(error).__name__}: {error}") from None
        if answer.status in request.accept:
            return answer, Done()
        return answer, self.judge(answer, now=datetime.now(UTC))

    def _url(self, connection: Connection, request: Request) -> str:
        base = self.address(connection)
        if request.path.startswith("/"):
            return base + request.path
        return same_origin(base, request.path) if request.is_authorised else request.path

    async def _admitted(self, connection: Connection, cost: float) -> None:
        budget = self.budget(connection) or NO_BUDGET
        budgets = current_connected().budgets
        admission = await budgets.admit(connection.name, budget, cost=cost, ticket=action_key("budget"))
        if admission.delay > timedelta(0):
            raise NotYet(admission.delay, f"connection '{connection.name}': {admission.reason}")

    async def _settled(self, connection: Connection, request: Request, answer: Answer, outcome: Outcome) -> Answer:
        budgets, budget = current_connected().budgets, self.budget(connection)
        left = getattr(outcome, "left", None)
        if budget is not None and left is not None:
            await budgets.correct(connection.name, budget, left=left)
        match outcome:
            case Done(pause=pause):
                if pause:
                    await budgets.close_until(connection.name, delay=pause, reason="the vendor asks to slow down")
                await budgets.report(connection.name, is_failure=False)
                return answer
            case Limited(delay=delay):
                reason = f"{self.title} limits connection '{connection.name}'"
                await budgets.close_until(connection.name, delay=delay, reason=reason)
                raise NotYet(delay, reason)
            case Expired():
                await current_connected().connections.renew(connection)  # tells the vault, which raises it for good
                raise NeedsReauthorisation(connection.name)
            case Failed(reason=reason, delay=delay):
                await budgets.report(connection.name, is_failure=True)
                raise self._error(connection, request, reason, status=answer.status, delay=delay)
            case Rejected(reason=reason, code=code):
                raise VendorRejected(
                    connector=self.name,
                    connection=connection.name,
                    operation=request.operation,
                    reason=reason,
                    status=answer.status,
                    code=code,
                )

    def _error(
        self,
        connection: Connection,
        request: Request,
        reason: str,
        *,
        status: int | None = None,
        delay: timedelta | None = None,
    ) -> VendorError:
        kind = VendorError if delay is None else partial(VendorBusy, delay=delay)
        return kind(
            connector=self.name,
            connection=connection.name,
            operation=request.operation,
            reason=reason,
            status=status,
        )


def check_egress(host: str) -> None:
    """Raise EgressRefused if the running workflow may not reach that host."""
    allowed = egress.get()
    if allowed is not None and not any(matches(pattern, host.lower()) for pattern in allowed):
        told = ", ".join(allowed) or "none"
        raise EgressRefused(host, f"this workflow's egress allows {told}")


def same_origin(base: str, address: str) -> str:
    """The address, absolute, if it is at the place of the base: nothing but that gets our credentials.

    Raises InvalidOption.
    """
    whole = urljoin(base.rstrip("/") + "/", address)
    if whole.split("/")[:3] != base.split("/")[:3]:
        raise InvalidOption(f"{whole[:200]} is not at {base}: no credentials of this connection go there")
    return whole


NO_BUDGET = Budget("", capacity=0.0, per_second=0.0)
"""Of a vendor whose limits are not known beforehand: only what its answers say holds requests back."""


def positive(connection: Connection, setting: str) -> float | None:
    """The number above 0 that a connection's setting is; None where it is not set. Raises InvalidOption."""
    text = connection.settings.get(setting)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise InvalidOption(f"connection '{connection.name}': {setting} is {text!r:.40}, give a number above 0")
    return number


def segment(text: str) -> str:
    """A name or an id as one part of a path (RFC 3986, section 3.3): whatever it holds, it leads nowhere else."""
    return quote(text, safe="")


def basic(user: str, password: str) -> str:
    """The value of an Authorization header with these credentials (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def _answer(client: httpx2.AsyncClient, request: httpx2.Request) -> Answer:
    response = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise httpx2.ReadError(f"the answer is larger than {MAX_ANSWER_BYTES:,} bytes", request=request)
    finally:
        await response.aclose()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, bytes(body))
