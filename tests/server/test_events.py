"""Events, schedules, workers and what else there is, over HTTP."""

from __future__ import annotations

import httpx2
import pytest

from stepwell import App
from tests.server.clients import until_shown


async def test_event_reaches_who_waits_for_it_and_says_how_many(any_app: App, any_client: httpx2.AsyncClient) -> None:
    started = await any_app.start("wait")
    body = {"name": "go", "payload": {"n": 7}, "to": str(started.id), "id": "once"}

    sent = await any_client.post("/events", json=body)
    again = await any_client.post("/events", json=body)
    async with any_app.worker():
        result = await any_client.get(f"/executions/{started.id}/result?wait=30s")

    assert (sent.status_code, sent.json()) == (201, {"name": "go", "id": "once", "is_new": True, "waiting": 0})
    assert (again.status_code, again.json()["is_new"]) == (200, False)
    assert result.json()["result"] == {"n": 7}


async def test_idempotency_key_is_the_events_id(any_client: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": '"a-1"'}

    answers = [await any_client.post("/events", json={"name": "paid", "key": "k"}, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    (kept,) = (await any_client.get("/events?name=paid&key=k")).json()["events"]
    assert (kept["id"], kept["payload"]) == ("a-1", None)


async def test_event_id_that_was_used_with_another_payload_is_refused(any_client: httpx2.AsyncClient) -> None:
    """F104: who sends something else under an old id hears of it."""
    first = await any_client.post("/events", json={"name": "paid", "key": "k", "id": "a", "payload": {"x": 1, "y": 2}})
    same = await any_client.post("/events", json={"name": "paid", "key": "k", "id": "a", "payload": {"y": 2, "x": 1}})
    other = await any_client.post("/events", json={"name": "paid", "key": "k", "id": "a", "payload": {"x": 2}})

    assert [first.status_code, same.status_code, other.status_code] == [201, 200, 422]
    assert other.json()["type"] == "urn:stepwell:problem:key-conflict"


async def test_event_to_nobody_is_not_found(any_client: httpx2.AsyncClient) -> None:
    answer = await any_client.post("/events", json={"name": "go", "to": "0192f0c1-0000-7000-8000-000000000000"})

    assert answer.status_code == 404


async def test_key_and_receiver_at_once_are_refused(any_app: App, any_client: httpx2.AsyncClient) -> None:
    started = await any_app.start("wait")

    answer = await any_client.post("/events", json={"name": "go", "to": str(started.id), "key": "k"})

    assert answer.status_code == 422


async def test_waits_are_listed(any_app: App, any_client: httpx2.AsyncClient) -> None:
    started = await any_app.start("wait")
    async with any_app.worker():
        await until_shown(any_client, f"/executions/{started.id}", "event 'go'")
    waits = (await any_client.get("/waits?name=go")).json()["waits"]

    assert [(one["execution_id"], one["step"]) for one in waits] == [(str(started.id), "go")]
    assert (await any_client.get(f"/executions/{started.id}/waits")).json()["waits"] == waits


async def test_digits_of_a_payload_are_kept(any_client: httpx2.AsyncClient) -> None:
    """F71."""
    body = b'{"name": "paid", "key": "k", "payload": {"n": 1180591620717411303424, "x": 1.10}}'
    await any_client.post("/events", content=body, headers={"Content-Type": "application/json"})

    assert '"payload":{"n":1180591620717411303424,"x":1.10}' in (await any_client.get("/events")).text


async def test_schedules_are_listed_paused_resumed_and_run(any_app: App, any_client: httpx2.AsyncClient) -> None:
    async with any_app.worker():
        (listed,) = (await any_client.get("/schedules")).json()["schedules"]
        paused = await any_client.post("/schedules/rarely/pause", json={"reason": "holiday"})
        ran = await any_client.post("/schedules/rarely/run")
        result = await any_client.get(f"/executions/{ran.json()['id']}/result?wait=30s")
        resumed = await any_client.post("/schedules/rarely/resume")
        unknown = await any_client.post("/schedules/daily/resume")

    assert (listed["id"], listed["state"], listed["times"]) == ("rarely", "active", "every 36500d")
    assert (paused.json()["state"], paused.json()["why"]) == ("paused", "holiday")
    assert (ran.status_code, result.json()["status"]) == (201, "completed")
    assert resumed.json()["state"] == "active"
    assert (unknown.status_code, unknown.json()["known"]) == (404, ["rarely"])


async def test_triggers_workers_queues_and_workflows_are_listed(any_app: App, any_client: httpx2.AsyncClient) -> None:
    async with any_app.worker():
        (trigger,) = (await any_client.get("/triggers")).json()["triggers"]
        (worker,) = (await any_client.get("/workers")).json()["workers"]
        queues = (await any_client.get("/queues")).json()["queues"]
    workflows = {one["id"]: one for one in (await any_client.get("/workflows")).json()["workflows"]}

    assert (trigger["workflow"], trigger["pattern"]) == ("rarely", "rarely.*")
    assert worker["is_alive"]
    assert "greet" in worker["workflows"]
    assert queues == [{"name": "default", "workers": 1}]
    assert workflows["greet"]["parameters"] == ["name", "times"]
    assert workflows["greet"]["description"] == "Says hello."


@pytest.mark.parametrize("name", ["%00", "a%2Fb", "%F0%9F%92%A9", "..%2f..%2fetc", "'--", "%25", "x" * 600])
async def test_hostile_name_of_a_schedule_is_no_more_than_unknown(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.post(f"/schedules/{name}/run")

    assert answer.status_code in (404, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"
