"""Routes: what this process knows of workflows and queues, and which workers there are."""

from __future__ import annotations

import msgspec

from stepwell.core.tokens import Scope
from stepwell.runtime import registry
from stepwell.server import documents
from stepwell.server.routes import Call, Route


class Workflow(msgspec.Struct):
    """A workflow of this process's code, in its newest version, and the names of its parameters."""

    id: str
    queue: str
    version: int | None
    description: str | None
    parameters: list[str]
    triggers: list[str]


class Workflows(msgspec.Struct):
    """The workflows that this process knows; none, when it serves without code and takes any name."""

    workflows: list[Workflow]


async def list_workflows(call: Call) -> Workflows:
    """List the workflows that this server's code has."""
    known = call.app.registry
    return Workflows([_workflow(known[name]) for name in known.names])


def _workflow(one: registry.Workflow[..., object]) -> Workflow:
    description = (one.function.__doc__ or "").strip() or None
    triggers = [type(trigger).__name__ for trigger in one.triggers]
    return Workflow(one.id, one.queue, one.version, description, list(one.input.names), triggers)


class Queue(msgspec.Struct):
    """A queue, and how many live workers claim from it."""

    name: str
    workers: int


class Queues(msgspec.Struct):
    """The queues that this server's code or a live worker has."""

    queues: list[Queue]


async def list_queues(call: Call) -> Queues:
    """List the queues that the code or a live worker has."""
    alive = [queue for worker in await call.app.workers() if worker.is_alive for queue in worker.queues]
    return Queues([Queue(name, alive.count(name)) for name in sorted({*alive, *call.app.registry.queues})])


class Workers(msgspec.Struct):
    """Worker processes by their names."""

    workers: list[documents.Worker]


async def list_workers(call: Call) -> Workers:
    """List the worker processes: what each has, and how much it runs."""
    return Workers([documents.worker(one) for one in await call.app.workers()])


ROUTES = (
    Route("GET", "/workflows", Scope.READ, list_workflows),
    Route("GET", "/queues", Scope.READ, list_queues),
    Route("GET", "/workers", Scope.READ, list_workers),
)
