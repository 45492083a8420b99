"""Errors tell facts and a way out; failures of ours tell an id, and the log the rest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

import httpx2
import pytest

from stepwell import App, errors
from stepwell.core.model import Execution as StoredExecution
from stepwell.core.model import ExecutionId, Filter
from stepwell.server.problems import KINDS, kind_of, problem_of
from stepwell.store.memory import MemoryStore
from tests.server.clients import client_of

SECRET = "postgresql://user:canary@10.0.0.7/app"


class BrokenStore(MemoryStore):
    """Fails as databases do, with words that are nobody's business."""

    error: Exception = RuntimeError(f"lost {SECRET}")

    async def list(self, which: Filter, *, limit: int) -> Sequence[StoredExecution]:
        raise self.error

    async def get(self, execution_id: ExecutionId) -> StoredExecution | None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError(SECRET), 500), (errors.DatabaseUnavailable(SECRET), 503), (errors.DatabaseNotReady(SECRET), 503)],
)
async def test_failure_says_an_id_that_the_log_has_and_nothing_else(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = BrokenStore()
    store.error = error
    async with App(store) as app, client_of(app) as client:
        with caplog.at_level(logging.ERROR):
            answer = await client.get("/executions")

    assert answer.status_code == status
    assert set(answer.json()) == {"type", "title", "status", "request_id"}
    assert "canary" not in answer.text
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["X-Request-Id"] in caplog.text
    assert ("Retry-After" in answer.headers) is (status == 503)


async def test_request_id_of_the_client_is_kept_if_it_is_sane(client: httpx2.AsyncClient) -> None:
    kept = await client.get("/executions", headers={"X-Request-Id": "trace-1.2_3"})
    made = await client.get("/executions", headers={"X-Request-Id": "a b\tc"})

    assert kept.headers["X-Request-Id"] == "trace-1.2_3"
    assert UUID(made.headers["X-Request-Id"])


async def test_path_that_is_not_served_is_a_problem_too(client: httpx2.AsyncClient) -> None:
    for path in ("/nothing", "/executions/", "/executions//steps", "/../../etc/passwd", "/%2e%2e/x"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_every_error_that_a_caller_can_cause_has_a_status() -> None:
    inside = {
        errors.ExecutionFailed, errors.ExecutionCancelled, errors.ResultTimeout, errors.StepFailed, errors.ChildFailed,
        errors.StepTimeout, errors.Permanent, errors.RetryAfter, errors.NotYet, errors.ConnectionUnusable,
        errors.NeedsReauthorisation, errors.HistoryTooLarge, errors.Diverged, errors.LeaseLost, errors.StepwellError,
    }  # fmt: skip
    every = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StepwellError)
    }

    assert {kind.__name__ for kind in every - inside if not any(issubclass(kind, known) for known in KINDS)} == set()


def test_facts_of_an_error_are_in_its_problem() -> None:
    error = errors.NotAllowed(operation="cancel", execution_id="x", status="completed")

    problem = problem_of(error, request_id="r")

    assert (kind_of(error).status, problem.execution_id, problem.execution_status) == (409, "x", "completed")
    assert problem.detail == str(error)
