"""What a vendor's answer means when the vendor keeps to the standards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell.connectors.outcome import (
    DEFAULT_PAUSE,
    MAX_DELAY,
    Answer,
    Done,
    Expired,
    Failed,
    Limited,
    Outcome,
    Rejected,
    retry_after,
    standard_outcome,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def outcome(status: int, body: bytes = b"no", **headers: str) -> Outcome:
    return standard_outcome(
        Answer(status, {name.replace("_", "-"): text for name, text in headers.items()}, body), now=NOW
    )


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_is_done(status: int) -> None:
    assert outcome(status) == Done()


def test_success_may_ask_to_slow_down() -> None:
    assert outcome(200, retry_after="7") == Done(pause=timedelta(seconds=7))


def test_limit_says_when_to_come_back() -> None:
    assert outcome(429, retry_after="2.0") == Limited(timedelta(seconds=2))
    assert outcome(429) == Limited(DEFAULT_PAUSE)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 408, 425])
def test_vendors_fault_is_tried_again(status: int) -> None:
    assert isinstance(outcome(status), Failed)


def test_unavailable_vendor_says_when_to_come_back() -> None:
    found = outcome(503, retry_after="3")

    assert isinstance(found, Failed)
    assert found.delay == timedelta(seconds=3)


def test_refused_credentials_have_expired() -> None:
    assert isinstance(outcome(401), Expired)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422, 301, 302, 307])
def test_our_own_fault_and_a_redirect_are_not_tried_again(status: int) -> None:
    assert isinstance(outcome(status), Rejected)


def test_error_has_the_beginning_of_what_the_vendor_says() -> None:
    found = outcome(400, b"\xff\0" + b"x" * 10_000)

    assert isinstance(found, Rejected)
    assert len(found.reason) < 400
    assert "\0" not in found.reason


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("2", timedelta(seconds=2)),
        ("2.0", timedelta(seconds=2)),
        (" 1.5 ", timedelta(seconds=1.5)),
        ("Tue, 01 Jan 2030 00:01:00 GMT", timedelta(minutes=1)),
        ("Tue, 01 Jan 2030 00:01:00 -0000", timedelta(minutes=1)),
        ("Mon, 31 Dec 2029 00:01:00 GMT", timedelta(0)),
        ("-5", timedelta(0)),
        ("1e999", MAX_DELAY),
        ("99999999999999999999", MAX_DELAY),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Tue, 99 Jan 2030", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, delay: timedelta | None) -> None:
    assert retry_after({"retry-after": text}, now=NOW) == delay
