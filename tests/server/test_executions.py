"""Executions over HTTP: started, found, looked at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from stepwell import App
from stepwell.server.cursors import cursor_after
from tests.server.clients import client_of


async def started(client: httpx2.AsyncClient, workflow: str = "greet", **more: object) -> str:
    answer = await client.post("/executions", json={"workflow": workflow, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def paged(client: httpx2.AsyncClient, path: str, name: str) -> AsyncIterator[dict[str, Any]]:
    """All that a listing has, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        answer = (await client.get(path + (f"&cursor={cursor}" if cursor else ""))).json()
        for one in answer[name]:
            yield one
        cursor = answer["next"]


# --- start --------------------------------------------------------------------------------------------------------


async def test_start_answers_with_the_id_and_where_it_is(any_client: httpx2.AsyncClient) -> None:
    answer = await any_client.post("/executions", json={"workflow": "greet", "input": {"name": "Ada"}})

    assert answer.status_code == 201
    identity = UUID(answer.json()["id"])
    assert answer.json() == {"id": str(identity), "workflow": "greet", "is_new": True}
    assert answer.headers["Location"] == f"/api/v1/executions/{identity}"
    assert (await any_client.get(f"http://localhost{answer.headers['Location']}")).json()["status"] == "pending"


async def test_input_that_does_not_fit_is_refused_with_the_path_of_each_fault_and_nothing_is_stored(
    any_client: httpx2.AsyncClient,
) -> None:
    answer = await any_client.post("/executions", json={"workflow": "greet", "input": {"name": 7, "times": "x"}})

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:stepwell:problem:invalid-input"
    assert {one["path"] for one in answer.json()["errors"]} == {"$.name", "$.times"}
    assert (await any_client.get("/executions")).json() == {"executions": [], "next": None}


async def test_unknown_workflow_is_refused_by_a_server_that_has_workflows(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/executions", json={"workflow": "nothing"})

    assert answer.status_code == 404
    assert "greet" in answer.json()["known"]


@pytest.mark.parametrize(
    "number",
    ["9223372036854775808", "123456789012345678901234567890", "1.10000000000000000000000001", "-0.0", "1e2"],
)
async def test_digits_of_an_input_are_kept_by_a_server_without_code(number: str, database_url: str) -> None:
    """F71: no number passes through a float."""
    async with App(database_url) as bare, client_of(bare) as client:
        body = b'{"workflow": "any", "input": {"value": %s}}' % number.encode()
        answer = await client.post("/executions", content=body, headers={"Content-Type": "application/json"})
        shown = await client.get(f"/executions/{answer.json()['id']}")

    assert f'"input":{{"value":{number}}}' in shown.text


async def test_same_idempotency_key_is_the_same_execution(any_client: httpx2.AsyncClient) -> None:
    """F104."""
    body = {"workflow": "greet", "input": {"name": "Ada"}}
    answers = [
        await any_client.post("/executions", json=body, headers={"Idempotency-Key": key})
        for key in ("order-1", '"order-1"')
    ]
    answers.append(await any_client.post("/executions", json={**body, "key": "order-1"}))

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_key_that_was_used_with_another_input_is_refused(any_client: httpx2.AsyncClient) -> None:
    identity = await started(any_client, input={"name": "Ada"}, key="one")

    answer = await any_client.post("/executions", json={"workflow": "greet", "input": {"name": "Bob"}, "key": "one"})

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:stepwell:problem:key-conflict"
    assert answer.json()["execution_id"] == identity


async def test_two_different_keys_in_one_request_are_refused(client: httpx2.AsyncClient) -> None:
    body = {"workflow": "greet", "input": {"name": "Ada"}, "key": "one"}

    answer = await client.post("/executions", json=body, headers={"Idempotency-Key": "two"})

    assert answer.status_code == 422
    assert (await client.get("/executions/count")).json()["counts"]["pending"] == 0


async def test_many_start_all_or_none(any_client: httpx2.AsyncClient) -> None:
    body = {"workflow": "greet", "inputs": [{"name": "a"}, {"name": "b"}], "keys": ["a", "b"], "tags": ["t"]}

    first = await any_client.post("/executions/start-many", json=body)
    again = await any_client.post("/executions/start-many", json=body)
    refused = await any_client.post("/executions/start-many", json={**body, "inputs": [{"name": "c"}, {"name": 7}]})

    assert [one["is_new"] for one in first.json()["executions"]] == [True, True]
    assert [one["is_new"] for one in again.json()["executions"]] == [False, False]
    assert refused.status_code == 422
    assert (await any_client.get("/executions/count?tags=t")).json()["counts"]["pending"] == 2


async def test_deadline_is_a_duration_or_a_time_not_both(client: httpx2.AsyncClient) -> None:
    body = {"workflow": "greet", "input": {"name": "a"}}
    at = "2031-01-01T00:00:00Z"

    by_time = await client.post("/executions", json={**body, "deadline_at": at})
    both = await client.post("/executions", json={**body, "deadline_at": at, "deadline": "1h"})
    passed = await client.post("/executions", json={**body, "deadline_at": "2001-01-01T00:00:00Z"})

    shown = await client.get(f"/executions/{by_time.json()['id']}")
    assert shown.json()["deadline_at"] == at
    assert [both.status_code, passed.status_code] == [422, 422]


async def test_cursor_that_somebody_made_up_harms_nothing(any_app: App, any_client: httpx2.AsyncClient) -> None:
    one = (await any_app.start("wait")).id
    forged: list[tuple[str, object, list[Any]]] = [
        (f"/executions/{one}/steps?", ["steps", one], [("x", 2**40), ("a\0b", 1), ("x", -1), ("x" * 2_000, 1)]),
        (f"/executions/{one}/items?map=m&", ["items", one, "m"], [2**70, -1, 2**63 - 1]),
        (f"/executions/{one}/audit?", ["audit", one], [2**64, -1, 2**63 - 1, 0]),
        ("/executions?", {}, ["x", "00000000-0000-0000-0000-000000000000"]),
    ]

    for path, of, places in forged:
        for place in places:
            answer = await any_client.get(f"{path}cursor={cursor_after(place, of=of)}")
            assert answer.status_code in (200, 422), (path, place)


EDGES = [
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",
]


@pytest.mark.parametrize("at", EDGES)
async def test_time_at_the_edge_of_all_time_harms_nothing(any_client: httpx2.AsyncClient, at: str) -> None:
    """F78."""
    for name in ("created_after", "created_before", "finished_after", "finished_before"):
        for path in ("/executions", "/executions/count"):
            assert (await any_client.get(path, params={name: at})).status_code in (200, 422)
    body = {"workflow": "keep", "input": {"value": 1}, "deadline_at": at}
    assert (await any_client.post("/executions", json=body)).status_code in (201, 422)
    for length in ("999999999w", "365000d", "365001d", "0s", "0.000000001ms"):
        for option in ("delay", "deadline"):
            body = {"workflow": "keep", "input": {"value": 1}, option: length}
            assert (await any_client.post("/executions", json=body)).status_code in (201, 422)


# --- look ---------------------------------------------------------------------------------------------------------


async def test_pages_join_without_gap_or_repetition(any_client: httpx2.AsyncClient) -> None:
    """F38."""
    ids = {await started(any_client, input={"name": str(n)}) for n in range(5)}
    whole = (await any_client.get("/executions")).json()["executions"]

    found = [one async for one in paged(any_client, "/executions?limit=2", "executions")]

    assert found == whole
    assert {one["id"] for one in found} == ids


@pytest.mark.parametrize("cursor", ["x", "", "AAAA", "W10", "%00", "e30", "ÿ" * 100])
async def test_what_is_no_cursor_is_refused(client: httpx2.AsyncClient, cursor: str) -> None:
    assert (await client.get("/executions", params={"cursor": cursor})).status_code == 422


async def test_cursor_of_another_listing_is_refused(client: httpx2.AsyncClient) -> None:
    for name in "ab":
        await started(client, input={"name": name})
    cursor = (await client.get("/executions?limit=1")).json()["next"]

    assert (await client.get("/executions", params={"limit": 1, "cursor": cursor})).status_code == 200
    for other in (f"/executions?workflow=greet&cursor={cursor}", f"/audit?cursor={cursor}"):
        assert (await client.get(other)).status_code == 422


async def test_listing_gives_what_all_filters_mean(any_client: httpx2.AsyncClient) -> None:
    one = await started(any_client, input={"name": "Ada Lovelace"}, tags=["x", "y"], key="k")
    await started(any_client, input={"name": "Bob"}, tags=["x"])
    await started(any_client, "keep", input={"value": 1})

    for query in ("tags=x&tags=y", "key=k", "text=lovelace", "workflow=greet&status=pending&tags=y"):
        found = (await any_client.get(f"/executions?{query}")).json()["executions"]
        assert [each["id"] for each in found] == [one]
        counted = (await any_client.get(f"/executions/count?{query}")).json()["counts"]
        assert sum(counted.values()) == 1


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "nothing=1",
        "status=unknown",
        "key=a&key=b",
        "created_after=2030-01-01",
        "created_after=2030-01-01T00:00:00",
        "parent=x",
        "text=%ff",
        "key=%00",
        "key=",
        "&".join(f"tags={n}" for n in range(60)),
    ],
)
async def test_query_that_does_not_fit_is_refused_by_name(client: httpx2.AsyncClient, query: str) -> None:
    answer = await client.get(f"/executions?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"].startswith("query")


async def test_unknown_execution_is_not_found_on_any_of_its_routes(client: httpx2.AsyncClient) -> None:
    gone = uuid4()
    for path in ("", "/result", "/steps", "/progress", "/items?map=x", "/waits", "/audit", "/events"):
        answer = await client.get(f"/executions/{gone}{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:stepwell:problem:unknown-execution")


async def test_id_that_is_none_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/executions/nonsense")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "path.execution_id"


# --- results ------------------------------------------------------------------------------------------------------


async def test_result_waits_for_the_end(any_app: App, any_client: httpx2.AsyncClient) -> None:
    identity = await started(any_client, input={"name": "Ada"})
    before = await any_client.get(f"/executions/{identity}/result")

    async with any_app.worker():
        after = await any_client.get(f"/executions/{identity}/result?wait=30s")

    assert (before.status_code, before.json()["status"], before.json()["result"]) == (202, "pending", None)
    assert (after.status_code, after.json()["status"], after.json()["result"]) == (200, "completed", "Hello, Ada!")


async def test_result_of_a_failed_execution_is_its_error(app: App, client: httpx2.AsyncClient) -> None:
    identity = await started(client, "fail")

    async with app.worker():
        answer = await client.get(f"/executions/{identity}/result?wait=30s")

    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["error"]["type"] == "stepwell.errors.StepFailed"
    assert "ZeroDivisionError" in answer.json()["error"]["message"]


async def test_wait_that_runs_out_says_that_it_goes_on(client: httpx2.AsyncClient) -> None:
    identity = await started(client, input={"name": "Ada"})

    answer = await client.get(f"/executions/{identity}/result?wait=10ms")

    assert (answer.status_code, answer.json()["why"]) == (202, "no worker has this workflow")


async def test_history_is_shown_page_by_page(any_app: App, any_client: httpx2.AsyncClient) -> None:
    identity = await started(any_client, "count", input={"numbers": list(range(12))})
    async with any_app.worker():
        await any_client.get(f"/executions/{identity}/result?wait=30s")
    of = f"/executions/{identity}"

    steps = [one async for one in paged(any_client, f"{of}/steps?limit=5", "steps")]
    items = [one async for one in paged(any_client, f"{of}/items?map=each&limit=5", "items")]

    assert len(steps) == 13
    assert {one["kind"] for one in steps} == {"map", "item"}
    assert sorted((one["index"], one["value"]) for one in items) == [(n, n) for n in range(12)]
    assert (await any_client.get(f"{of}/progress")).json() == {"items": {"each": 12}}


async def test_numbers_come_out_as_they_were_stored(client: httpx2.AsyncClient) -> None:
    identity = await started(client, "keep", input={"value": {"n": 2**63 + 1}})

    shown = await client.get(f"/executions/{identity}")

    assert json.loads(shown.text)["input"] == {"value": {"n": 2**63 + 1}}
