"""HTTP clients that connect to checked addresses only: a name is resolved once, and what was checked is what is used.

Checking a name and letting the HTTP library resolve it again would leave the time between the two to an attacker's
name server (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

from stepwell.egress.rules import EgressRefused, Rules

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0  # between two pieces of an answer
for chatty in ("httpx2", "httpcore2"):  # they log whole URLs, and some vendors take secrets in these
    logging.getLogger(chatty).setLevel(logging.WARNING)

LIMITS = httpx2.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=30.0)


def guarded_client(rules: Rules, *, base_url: str = "", headers: dict[str, str] | None = None) -> httpx2.AsyncClient:
    """An HTTP client that reaches what the rules allow, follows no redirect and takes no proxy from the environment."""
    return httpx2.AsyncClient(
        base_url=base_url,
        headers=headers,
        transport=GuardedTransport(rules),
        timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """The library's transport on a pool whose connections are made by us. TLS still checks the host's own name."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(trust_env=False, limits=LIMITS)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=LIMITS.max_connections,
            max_keepalive_connections=LIMITS.max_keepalive_connections,
            keepalive_expiry=LIMITS.keepalive_expiry,
            network_backend=GuardedBackend(rules),
        )


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves, checks, and connects to an address that was checked."""

    def __init__(self, rules: Rules, inner: httpcore2.AsyncNetworkBackend | None = None) -> None:
        self._rules, self._inner = rules, inner or httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = self._rules.check(host, await _resolved(host, port, timeout))
        failure: Exception = httpcore2.ConnectError(f"'{host}' has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        raise EgressRefused(path, "it is a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolved(host: str, port: int, timeout: float | None) -> list[str]:
    """Every address of the host, in the resolver's order."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(f"'{host}' is not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"'{host}' cannot be resolved: {error}") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
