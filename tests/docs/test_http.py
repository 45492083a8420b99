"""The HTTP reference knows every route, problem, scope, event and limit, and no others."""

from __future__ import annotations

import re

from stepwell.core.payload import MAX_DEPTH
from stepwell.core.tokens import Scope
from stepwell.server import bodies, endpoint, executions, fields, hurried, problems, serve, sse
from tests.docs.pages import page
from tools.http_routes import tables, written_in

HTTP = page("docs/reference/http.md")


def test_every_route_is_listed_as_it_is() -> None:
    assert written_in(HTTP.text) == tables()


def test_every_type_of_problem_is_listed_with_its_status() -> None:
    rows = re.findall(r"^\| ((?:`[a-z-]+` ?)+) \| ([\d, ]+) \|", HTTP.section("## Errors"), re.MULTILINE)
    listed = {slug: statuses for slugs, statuses in rows for slug in re.findall(r"`([a-z-]+)`", slugs)}
    kinds = {kind.slug: kind.status for kind in [*problems.KINDS.values(), problems.FAILURE]}

    assert listed.keys() == kinds.keys() | problems.TITLES.keys()
    assert {slug for slug, status in kinds.items() if str(status) not in listed[slug]} == set()


def test_every_scope_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", HTTP.section("## Tokens"), re.MULTILINE) == [*Scope]


def test_limits_are_those_of_the_code() -> None:
    limits, live, routes = HTTP.section("## Limits"), HTTP.section("## Live views"), HTTP.section("## Routes")

    assert bodies.BODY_BYTES == 1024 * 1024 + 16 * 1024
    assert f"`start-many` {bodies.LARGE_BODY_BYTES // 2**20} MiB" in limits
    assert f"{bodies.BODY_SECONDS:g} seconds, {hurried.HEAD_SECONDS:g} seconds" in limits
    assert f"{MAX_DEPTH} levels" in limits
    assert f"{bodies.MAX_DIGITS:,}" in limits
    assert f"{serve.MAX_CONNECTIONS:,}; more" in limits
    assert f"every {sse.BEAT_SECONDS:g} seconds" in live
    assert f"after {sse.LIFE_SECONDS / 60:g} minutes, and {endpoint.MAX_STREAMS}" in live
    assert f"{executions.MAX_STARTS:,} `inputs`" in routes
    assert f"{executions.MAX_WAIT_SECONDS:g} seconds at most" in routes
    assert f"({fields.DEFAULT_PAGE}, at most {fields.MAX_PAGE:,})" in HTTP.section("## Pages")


def test_default_address_is_that_of_the_code() -> None:
    assert f"`http://{serve.DEFAULT_HOST}:{serve.DEFAULT_PORT}/api/v1`" in HTTP.text
