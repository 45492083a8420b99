"""What answers of GitHub mean, and how requests are authorised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell.connectors import Answer, GitHub, VendorError
from stepwell.connectors.outcome import Done, Expired, Failed, Limited, Outcome, Rejected
from stepwell.core.connections import Budget
from stepwell.errors import InvalidOption, NeedsReauthorisation, NotYet
from stepwell.testing.connections import GivenConnections, connection
from stepwell.testing.vendors import FakeGitHub

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RESET = str(int(NOW.timestamp()) + 600)
USED_UP = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}
SECONDARY = b'{"message":"You have exceeded a secondary rate limit."}'
INVALID = b'{"message":"Validation Failed","errors":[{"resource":"Issue","code":"missing_field","field":"title"}]}'


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200, {}, b"{}"), Done()),
        (Answer(201, {"x-ratelimit-remaining": "4999"}, b"{}"), Done(left=4999)),
        (Answer(200, {"x-ratelimit-remaining": "9", "x-ratelimit-resource": "search"}, b"{}"), Done()),
        (Answer(403, USED_UP, b"{}"), Limited(timedelta(minutes=10), left=0)),
        (Answer(429, USED_UP, b"{}"), Limited(timedelta(minutes=10), left=0)),
        (
            Answer(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, b""),
            Limited(timedelta(seconds=1), left=0),
        ),
        (Answer(403, {"x-ratelimit-remaining": "0"}, b""), Limited(timedelta(minutes=1), left=0)),
        (
            Answer(403, {"retry-after": "30", "x-ratelimit-remaining": "7"}, SECONDARY),
            Limited(timedelta(seconds=30), 7),
        ),
        (Answer(403, {}, SECONDARY), Limited(timedelta(minutes=1))),
        (Answer(429, {}, b""), Limited(timedelta(minutes=1))),
        (Answer(403, {}, b'{"message":"Resource not accessible"}'), Rejected("answered 403: Resource not accessible")),
        (Answer(401, {}, b"bad"), Expired("bad")),
        (
            Answer(422, {}, INVALID),
            Rejected("answered 422: Validation Failed; Issue missing_field title", "missing_field"),
        ),
        (Answer(422, {}, b'{"message":"No","errors":["because"]}'), Rejected("answered 422: No; because")),
        (Answer(404, {}, b"<html>"), Rejected("answered 404: <html>")),
        (Answer(502, {}, b"oops"), Failed("answered 502: oops")),
    ],
)
def test_answers_mean_what_the_vendor_means(answer: Answer, outcome: Outcome) -> None:
    assert GitHub().judge(answer, now=NOW) == outcome


async def test_check_says_whose_token_it_is(github: GitHub) -> None:
    assert await github.check() == "octocat"


async def test_check_knows_tokens_of_installations(github: GitHub, fake: FakeGitHub) -> None:
    fake.is_app = True

    assert await github.check() == "an installation (repositories: 1)"


async def test_refused_token_needs_reauthorisation(github: GitHub, fake: FakeGitHub) -> None:
    fake.expire_tokens()

    with pytest.raises(NeedsReauthorisation):
        await github.check()


@pytest.mark.parametrize("retry_after", ["2.0", ""])
async def test_limits_put_the_step_off_though_they_look_forbidden(
    github: GitHub, fake: FakeGitHub, retry_after: str
) -> None:
    fake.switches.limit(retry_after=retry_after)

    with pytest.raises(NotYet, match="GitHub limits"):
        await github.check()
    with pytest.raises(NotYet):
        await github.check()
    assert fake.asked == ["GET /user"]


async def test_allowance_is_what_the_vendor_says_is_left(github: GitHub, fake: FakeGitHub) -> None:
    fake.requests_per_hour = 2
    await github.check()
    await github.check()

    with pytest.raises(NotYet):
        await github.check()


async def test_failure_is_tried_again(github: GitHub, fake: FakeGitHub) -> None:
    fake.switches.fail(status=502)

    with pytest.raises(VendorError, match="Server Error"):
        await github.check()
    assert await github.check() == "octocat"


def test_allowance_is_the_users_unless_the_connection_says_more(lent: GivenConnections) -> None:
    def budget(**settings: str) -> Budget | None:
        return GitHub().budget(connection("acme", "github", settings=settings))

    assert budget() == Budget("core", capacity=5000, per_second=5000 / 3600)
    assert budget(requests_per_hour="15000") == Budget("core", capacity=15000, per_second=15000 / 3600)
    for wrong in ("many", "0", "-1", "nan", "inf"):
        with pytest.raises(InvalidOption, match="give a number above 0"):
            budget(requests_per_hour=wrong)
