"""What ClickUp's answers mean, and who is asked as whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell.connectors import Answer, ClickUp
from stepwell.connectors.outcome import Done, Expired, Failed, Limited, Outcome, Rejected
from stepwell.core.connections import Budget
from stepwell.errors import InvalidOption, NeedsReauthorisation, NotYet
from stepwell.testing.connections import GivenConnections, connection
from stepwell.testing.vendors import FakeClickUp
from tests.connectors.clickup.conftest import with_settings

NOW = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)
NEXT_MINUTE = str(int(datetime(2030, 1, 1, 12, 1, tzinfo=UTC).timestamp()))


def judged(status: int, body: bytes = b'{"err":"no","ECODE":"X_1"}', **headers: str) -> Outcome:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return ClickUp().judge(Answer(status, named, body), now=NOW)


def test_last_request_of_a_minute_closes_the_connection_until_the_next() -> None:
    assert judged(200, x_ratelimit_remaining="1", x_ratelimit_reset=NEXT_MINUTE) == Done()
    assert judged(200) == Done()

    last = judged(200, x_ratelimit_remaining="0", x_ratelimit_reset=NEXT_MINUTE)

    assert last == Done(pause=timedelta(seconds=30))


def test_limit_lasts_until_the_next_minute() -> None:
    limited = judged(429, x_ratelimit_remaining="0", x_ratelimit_reset=NEXT_MINUTE)

    assert limited == Limited(timedelta(seconds=30))
    assert judged(429) == Limited(timedelta(minutes=1))


def test_next_minute_begins_by_the_vendors_clock() -> None:
    """A clock of ours that is an hour wrong must neither stop the connection for an hour nor not at all."""
    limited = judged(429, x_ratelimit_reset=NEXT_MINUTE, date="Tue, 01 Jan 2030 12:00:50 GMT")

    assert limited == Limited(timedelta(seconds=10))


@pytest.mark.parametrize("reset", ["0", "99999999999999999999", "soon", "-1", "²", "1e9"])
@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Jan 2030 12:00:50 GMT", "Tue, 01 Jan 2030 12:00:50"])
def test_headers_that_make_no_sense_harm_nobody(reset: str, date: str) -> None:
    limited = judged(429, x_ratelimit_reset=reset, x_ratelimit_remaining=reset, date=date)

    assert isinstance(limited, Limited)
    assert timedelta(seconds=1) <= limited.delay <= timedelta(minutes=1)


@pytest.mark.parametrize("code", ["OAUTH_019", "OAUTH_021", "OAUTH_025", "OAUTH_077", "OAUTH_017", ""])
def test_refused_token_has_expired(code: str) -> None:
    assert judged(401, b'{"err":"Token invalid","ECODE":"%s"}' % code.encode()) == Expired("Token invalid")


@pytest.mark.parametrize("code", ["OAUTH_023", "OAUTH_026", "OAUTH_027", "OAUTH_029", "OAUTH_045"])
def test_object_of_another_workspace_is_no_matter_of_the_token(code: str) -> None:
    rejected = judged(401, b'{"err":"Team not authorized","ECODE":"%s"}' % code.encode())

    assert isinstance(rejected, Rejected)
    assert rejected.code == code


def test_rejection_is_told_in_the_vendors_words() -> None:
    assert judged(400) == Rejected("answered 400: no", "X_1")
    assert judged(404, b"<html>") == Rejected("answered 404: <html>")
    assert judged(400, b'{"err":{"a":1}}') == Rejected('answered 400: {"err":{"a":1}}')
    assert isinstance(judged(502, b"<html>"), Failed)


@pytest.mark.parametrize(("token", "header"), [("pk_1", "pk_1"), ("1234_abc", "Bearer 1234_abc")])
def test_personal_token_is_sent_as_it_is_and_an_oauth_token_as_a_bearer(token: str, header: str) -> None:
    assert ClickUp().authorisation(connection("a", "clickup", token=token)) == {"Authorization": header}


def test_allowance_is_that_of_the_plan() -> None:
    assert ClickUp().budget(connection("a", "clickup")) == Budget("requests", 100.0, 100 / 60)
    settings = {"requests_per_minute": "1000"}
    assert ClickUp().budget(connection("a", "clickup", settings=settings)) == Budget("requests", 1000.0, 1000 / 60)


@pytest.mark.parametrize("allowed", ["0", "many", "-1", "²", ""])
def test_allowance_that_is_no_number_is_refused(allowed: str) -> None:
    with pytest.raises(InvalidOption, match="requests_per_minute"):
        ClickUp().budget(connection("a", "clickup", settings={"requests_per_minute": allowed}))


async def test_refused_token_needs_somebody(clickup: ClickUp, fake: FakeClickUp) -> None:
    fake.expire_tokens()

    with pytest.raises(NeedsReauthorisation):
        await clickup.get_list("901")


async def test_used_up_minute_stops_everybody_before_the_vendor_has_to(
    clickup: ClickUp, fake: FakeClickUp, lent: GivenConnections
) -> None:
    fake.requests_per_minute = 2
    await clickup.get_list("901")
    await clickup.get_list("901")

    with pytest.raises(NotYet, match="asks to slow down"):
        await clickup.get_list("901")
    assert len(fake.asked) == 2


async def test_vendors_limit_puts_the_step_off(clickup: ClickUp, fake: FakeClickUp) -> None:
    fake.switches.limit(retry_after="20")

    with pytest.raises(NotYet, match="ClickUp limits") as put_off:
        await clickup.get_list("901")
    assert (
        timedelta(seconds=15) <= put_off.value.delay <= timedelta(seconds=22)
    )  # servers write whole seconds, some late


async def test_own_budget_holds_requests_back_before_any_answer(clickup: ClickUp, lent: GivenConnections) -> None:
    with_settings(lent, requests_per_minute="1")
    await clickup.get_list("901")

    with pytest.raises(NotYet, match="rate limit"):
        await clickup.get_list("901")
