"""The libraries of Stripe, Slack and Standard Webhooks decide as we do, where they decide at all.

They are asked at the same moment, over proofs that are right, changed or made up. Where one raises instead of deciding,
we refuse: each is known, and would be an error 500 and another try of the vendor.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from stripe import SignatureVerificationError, WebhookSignature

from stepwell.sources import Request, Verified
from tests.sources.endpoints import BY_NAME, ID, NOW

STANDARD, STRIPE, SLACK = (BY_NAME[name] for name in ("standard-webhooks", "stripe", "slack"))

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
printable = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
offsets = st.integers(-400, 400)


@st.composite
def changed(draw: st.DrawFn, right: str) -> str:
    """A proof: mostly the right one, else one of its letters gone, doubled or another, or anything."""
    kind = draw(st.sampled_from(["right", "right", "gone", "other", "doubled", "any", "more"]))
    place = draw(st.integers(0, max(len(right) - 1, 0)))
    letter = draw(st.sampled_from("0aAf=,. vt1"))
    match kind:
        case "gone":
            return right[:place] + right[place + 1 :]
        case "other":
            return right[:place] + letter + right[place + 1 :]
        case "doubled":
            return right[:place] + right[place] + right[place:] if right else right
        case "any":
            return draw(printable)
        case "more":
            return draw(st.sampled_from([f"{right},v1=00", f"v0=00,{right}", f"v1,AAAA {right}", f"{right} v1a,AAAA"]))
    return right


def ours(request: Request, name: str) -> bool:
    return isinstance(BY_NAME[name].verify(request), Verified)


@given(data=st.data(), body=texts, offset=offsets)
def test_stripes_library_decides_alike(data: st.DataObject, body: str, offset: int) -> None:
    request = STRIPE.delivery(body=body.encode(), now=NOW + timedelta(seconds=offset))
    header = data.draw(changed(dict(request.headers)[b"Stripe-Signature"].decode()))

    theirs = stripe_decides(body, header)

    is_to_come = offset > 300  # which their library takes: the window of a replay is as wide again
    expected = theirs and is_plain_time(header) and not is_to_come
    assert ours(Request.post({"Stripe-Signature": header}, body.encode()), "stripe") == expected


def stripe_decides(body: str, header: str) -> bool:
    with patch("stripe._webhook.time", SimpleNamespace(time=NOW.timestamp)):
        try:
            WebhookSignature.verify_header(body.encode(), header, STRIPE.secret.decode(), 300)
        except (SignatureVerificationError, ValueError, TypeError):
            return False
    return True


def is_plain_time(header: str) -> bool:
    """Whether the time is written as Stripe writes it; `int()` takes ` 1` and `1_0` too."""
    time = next((part[2:] for part in header.split(",") if part.startswith("t=")), "")
    return time.isdigit() and time.isascii()


class Stopped(Clock):
    def now(self) -> float:
        return NOW.timestamp()


@given(data=st.data(), body=texts, offset=offsets)
def test_slacks_library_decides_alike(data: st.DataObject, body: str, offset: int) -> None:
    request = SLACK.delivery(body=body.encode(), now=NOW + timedelta(seconds=offset))
    right = {name.decode(): value.decode() for name, value in request.headers}
    headers = right | {"X-Slack-Signature": data.draw(changed(right["X-Slack-Signature"]))}
    if data.draw(st.integers(0, 3)) == 0:
        headers["X-Slack-Request-Timestamp"] = data.draw(changed(right["X-Slack-Request-Timestamp"]))

    try:
        theirs = SignatureVerifier(SLACK.secret.decode(), Stopped()).is_valid_request(body.encode(), headers)
    except (ValueError, TypeError):
        theirs = False

    assert ours(Request.post(headers, body.encode()), "slack") == theirs


class StoppedTime(datetime):
    """The clock that the library of Standard Webhooks reads."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return NOW


@given(data=st.data(), body=texts, offset=offsets)
def test_standard_webhooks_library_decides_alike(data: st.DataObject, body: str, offset: int) -> None:
    request = STANDARD.delivery(body=body.encode(), now=NOW + timedelta(seconds=offset))
    right = {name.decode(): value.decode() for name, value in request.headers}
    headers = right | {"webhook-signature": data.draw(changed(right["webhook-signature"]))}
    if data.draw(st.integers(0, 3)) == 0:
        headers["webhook-id"] = data.draw(changed(str(ID)))

    theirs = standard_decides(body, headers)
    our = ours(Request.post(headers, body.encode()), "standard-webhooks")

    assert theirs or not our  # what we take, they take
    assert our or not theirs or not is_written_as_signed(headers["webhook-signature"], right["webhook-signature"])


def standard_decides(body: str, headers: dict[str, str]) -> bool:
    """Whether it takes any of the signatures; asked one by one, for it raises when one of a list is none."""
    lists = [one for one in headers["webhook-signature"].split(" ") if one.count(",") == 1]
    with patch("standardwebhooks.webhooks.datetime", StoppedTime):
        for one in lists:
            try:
                Webhook(STANDARD.secret.decode()).verify(body, headers | {"webhook-signature": one}, json_parse=False)
            except (WebhookVerificationError, ValueError):
                continue
            return True
    return False


def is_written_as_signed(presented: str, right: str) -> bool:
    """Their base64 passes over letters that are none; we compare the text."""
    return right in presented.split(" ")


@pytest.mark.parametrize("header", ["v1", "v1,a,b", ""])
def test_header_on_which_their_library_raises_is_refused(header: str) -> None:
    assert not ours(
        Request.post({"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": header}, b""),
        "standard-webhooks",
    )


@given(body=st.binary(max_size=100))
def test_body_that_is_no_text_is_verified_where_their_libraries_raise(body: bytes) -> None:
    assert ours(STANDARD.delivery(body=body), "standard-webhooks")
    assert ours(SLACK.delivery(body=body), "slack")
    assert ours(STRIPE.delivery(body=body), "stripe")
