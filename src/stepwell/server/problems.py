"""What goes wrong, as RFC 9457 problem documents: facts and a way out, and of our own failures only an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from stepwell import errors

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5  # an outage that is shorter than this is over; one that is longer is asked about again

Headers = Mapping[str, str]


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request: where in it, and what."""

    path: str
    message: str


class Problem(msgspec.Struct, omit_defaults=True):
    """An error by RFC 9457. `errors` lists every fault of an input; `request_id` finds the request in the log.

    The other members are facts of some types of problems.
    """

    type: str
    title: str
    status: int
    request_id: str
    detail: str | msgspec.UnsetType = msgspec.UNSET
    errors: list[Fault] | msgspec.UnsetType = msgspec.UNSET
    execution_id: str | msgspec.UnsetType = msgspec.UNSET
    execution_status: str | msgspec.UnsetType = msgspec.UNSET
    known: list[str] | msgspec.UnsetType = msgspec.UNSET
    limit_bytes: int | msgspec.UnsetType = msgspec.UNSET
    answered_by: str | msgspec.UnsetType | None = msgspec.UNSET
    answered_at: datetime | msgspec.UnsetType = msgspec.UNSET


class Refusal(Exception):
    """A request that is refused before the engine sees it."""

    def __init__(self, status: int, kind: str, detail: str, *, headers: Headers | None = None, **facts: Any) -> None:
        self.status, self.kind, self.headers, self.facts = status, kind, headers or {}, facts
        super().__init__(detail)


def invalid(faults: Sequence[tuple[str, str]]) -> Refusal:
    """A request that does not fit its description."""
    detail = "; ".join(f"{path}: {message}" for path, message in faults)
    return Refusal(422, "invalid-request", detail, errors=[Fault(*fault) for fault in faults])


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of problem: its status, and the words that name it."""

    status: int
    slug: str
    title: str
    headers: Headers = field(default_factory=dict)


TITLES = {
    "invalid-request": "The request does not fit its description",
    "unauthorized": "A token is needed",
    "forbidden": "This is not allowed",
    "not-found": "There is nothing at this path",
    "method-not-allowed": "This path does not take this method",
    "timeout": "The request took too long to arrive",
    "too-large": "The request is too large",
    "unsupported-media-type": "The body is of another type",
    "key-conflict": "The key was used with another input",
    "busy": "Too many streams are open",
}
_UNAVAILABLE = {"Retry-After": str(RETRY_AFTER_SECONDS)}

KINDS: Mapping[type[Exception], Kind] = {
    errors.PayloadTooLarge: Kind(413, "payload-too-large", "A value is too large to be stored"),
    errors.InvalidInput: Kind(422, "invalid-input", "The input does not fit the workflow"),
    errors.InvalidValue: Kind(422, "invalid-value", "A value cannot be stored"),
    errors.InvalidOption: Kind(422, "invalid-option", "An option makes no sense"),
    errors.KeyConflict: Kind(422, "key-conflict", "The key was used with another input"),
    errors.NotAllowed: Kind(409, "not-allowed", "The execution's status does not allow it"),
    errors.UnknownWorkflow: Kind(404, "unknown-workflow", "There is no such workflow"),
    errors.UnknownExecution: Kind(404, "unknown-execution", "There is no such execution"),
    errors.UnknownStep: Kind(404, "unknown-step", "The execution has no such step"),
    errors.UnknownSchedule: Kind(404, "unknown-schedule", "There is no such schedule"),
    errors.UnknownConnection: Kind(404, "unknown-connection", "There is no such connection"),
    errors.UnknownApplication: Kind(404, "unknown-application", "There is no such application"),
    errors.UnknownDelivery: Kind(404, "unknown-delivery", "There is no such delivery"),
    errors.AuthorisationFailed: Kind(422, "not-connected", "The account could not be connected"),
    errors.Unsealable: Kind(409, "unsealable", "What is stored cannot be opened with the keys of this server"),
    errors.UnknownCallback: Kind(404, "unknown-callback", "This URL answers nothing"),
    errors.CallbackAnswered: Kind(409, "callback-answered", "It was answered before"),
    errors.CallbackClosed: Kind(410, "callback-closed", "It can be answered no more"),
    errors.InvalidAnswer: Kind(422, "invalid-answer", "The answer does not fit what is asked for"),
    errors.UnknownToken: Kind(404, "unknown-token", "There is no such token"),
    errors.DatabaseError: Kind(503, "unavailable", "The database cannot be used at the moment", _UNAVAILABLE),
}
FAILURE = Kind(500, "failure", "Something went wrong here")


def kind_of(error: Exception) -> Kind:
    """The type of problem that an error is."""
    if isinstance(error, Refusal):
        return Kind(error.status, error.kind, TITLES[error.kind], error.headers)
    return next((kind for one, kind in KINDS.items() if isinstance(error, one)), FAILURE)


def problem_of(error: Exception, *, request_id: str) -> Problem:
    """What the client is told. Of a failure of ours it gets the id under which the log has it, and nothing else."""
    kind = kind_of(error)
    problem = Problem(f"urn:stepwell:problem:{kind.slug}", kind.title, kind.status, request_id)
    if kind.status >= 500:
        return problem
    problem.detail = str(error)
    for name, value in _facts(error).items():
        setattr(problem, name, value)
    return problem


def _facts(error: Exception) -> Mapping[str, Any]:
    match error:
        case Refusal():
            return error.facts
        case errors.CallbackAnswered(answered_by=by, answered_at=at):
            return {"answered_by": by, "answered_at": at}
        case errors.InvalidInput(faults=faults) | errors.InvalidAnswer(faults=faults):
            return {"errors": [Fault(*fault) for fault in faults]}
        case errors.PayloadTooLarge(limit_bytes=limit):
            return {"limit_bytes": limit}
        case errors.InvalidValue(path=path, reason=reason):
            return {"errors": [Fault(path, reason)]}
        case errors.NotAllowed(execution_id=identity, status=status):
            return {"execution_id": str(identity), "execution_status": str(status)}
        case errors.KeyConflict(execution_id=identity) | errors.UnknownStep(execution_id=identity):
            return {"execution_id": str(identity)}
        case errors.UnknownWorkflow(known=known) | errors.UnknownSchedule(known=known):
            return {"known": list(known)}
    return {}
