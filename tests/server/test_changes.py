"""Executions changed over HTTP: one by one, and all that a filter means."""

from __future__ import annotations

import httpx2
import pytest

from stepwell import App, ExecutionFailed, Status
from tests.server.clients import until_shown


async def test_execution_is_paused_resumed_and_cancelled(any_app: App, any_client: httpx2.AsyncClient) -> None:
    path = f"/executions/{(await any_app.start('wait')).id}"

    answers = [
        await any_client.post(f"{path}/pause", json={"reason": "lunch"}),
        await any_client.post(f"{path}/resume"),
        await any_client.post(f"{path}/cancel", json={"reason": "no need"}),
        await any_client.post(f"{path}/cancel"),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
    assert answers[-1].json()["status"] == "cancelled"
    assert (await any_client.get(path)).json()["why"] == "no need"


async def test_what_its_status_does_not_allow_is_refused_with_the_status(
    any_app: App, any_client: httpx2.AsyncClient
) -> None:
    started = await any_app.start("keep", 1)
    async with any_app.worker():
        await started.result(timeout="30s")

    for action in ("cancel", "pause", "resume", "retry"):
        answer = await any_client.post(f"/executions/{started.id}/{action}")
        assert (answer.status_code, answer.json()["execution_status"]) == (409, "completed")


async def test_failed_execution_is_retried(any_app: App, any_client: httpx2.AsyncClient) -> None:
    started = await any_app.start("fail")
    async with any_app.worker():
        with pytest.raises(ExecutionFailed):
            await started.result(timeout="30s")

    answer = await any_client.post(f"/executions/{started.id}/retry")

    assert (answer.status_code, answer.json()["status"]) == (200, "pending")


async def test_fork_edits_a_result_to_the_digit(any_app: App, any_client: httpx2.AsyncClient) -> None:
    started = await any_app.start("greet", {"name": "Ada"})
    async with any_app.worker():
        await started.result(timeout="30s")
        body = '{"edit": {"compose": "Bye"}}'
        made = await any_client.post(
            f"/executions/{started.id}/fork", content=body, headers={"Content-Type": "application/json"}
        )
        result = await any_client.get(f"/executions/{made.json()['id']}/result?wait=30s")

    assert made.status_code == 201
    assert made.json()["fork_of"] == str(started.id)
    assert result.json()["result"] == "Bye"


async def test_fork_with_another_input_begins_anew(any_app: App, any_client: httpx2.AsyncClient) -> None:
    started = await any_app.start("greet", {"name": "Ada"})
    path = f"/executions/{started.id}/fork"

    made = await any_client.post(path, json={"input": {"name": "Bob"}})
    misfit = await any_client.post(path, json={"input": {"name": 7}})
    both = await any_client.post(path, json={"input": {"name": "Bob"}, "from_step": "compose"})
    unknown = await any_client.post(path, json={"from_step": "nothing"})

    shown = (await any_client.get(f"/executions/{made.json()['id']}")).json()
    assert shown["input"] == {"name": "Bob", "times": 1}
    assert [misfit.status_code, both.status_code, unknown.status_code] == [422, 422, 404]


async def test_filter_means_the_same_as_in_a_listing(any_app: App, any_client: httpx2.AsyncClient) -> None:
    await any_app.start_many("wait", [{}, {}], tags=["x"])
    other = await any_app.start("wait", tags=["y"])
    body = {"filter": {"tags": ["x"], "status": ["pending"]}}

    counted = await any_client.post("/executions/cancel-many", json={**body, "dry_run": True})
    done = await any_client.post("/executions/cancel-many", json=body)
    again = await any_client.post("/executions/cancel-many", json=body)

    assert counted.json() == {"matched": 2, "done": 0}
    assert done.json() == {"matched": 2, "done": 2}
    assert again.json() == {"matched": 0, "done": 0}
    assert await other.status() is Status.PENDING


@pytest.mark.parametrize("action", ["cancel", "retry", "pause", "resume", "fork"])
@pytest.mark.parametrize("which", [{}, {"status": []}, {"tags": []}, {"nothing": 1}, None])
async def test_filter_that_means_everything_is_refused(action: str, which: object, client: httpx2.AsyncClient) -> None:
    answer = await client.post(f"/executions/{action}-many", json={"filter": which})

    assert answer.status_code == 422


async def test_many_are_retried_paused_resumed_and_forked(any_app: App, any_client: httpx2.AsyncClient) -> None:
    await any_app.start_many("wait", [{}, {}, {}])
    body = {"filter": {"workflow": "wait"}}

    for action in ("pause", "resume", "fork"):
        done = await any_client.post(f"/executions/{action}-many", json=body)
        assert done.json() == {"matched": 3, "done": 3}
    assert sum((await any_app.count()).values()) == 6


async def test_outcome_of_an_effect_is_said_once_it_is_unknown(any_app: App, any_client: httpx2.AsyncClient) -> None:
    started = await any_app.start("charge")
    path = f"/executions/{started.id}"
    async with any_app.worker(grace="1ms"):
        await until_shown(any_client, path, "running")
    async with any_app.worker():
        await until_shown(any_client, path, "is unknown: resolve it")

    unfit = [{"step": "pay"}, {"step": "pay", "value": 1, "repeat": True}, {"value": 1}]
    refused = [(await any_client.post(f"{path}/resolve", json=body)).status_code for body in unfit]
    other = await any_client.post(f"{path}/resolve", json={"step": "refund", "repeat": True})
    said = await any_client.post(f"{path}/resolve", json={"step": "pay", "value": {"receipt": 1}})
    async with any_app.worker():
        result = await any_client.get(f"{path}/result?wait=30s")

    assert refused == [422, 422, 422]
    assert other.status_code == 409
    assert said.status_code == 200
    assert result.json()["result"] == {"receipt": 1}
