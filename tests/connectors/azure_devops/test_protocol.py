"""What answers of Azure DevOps mean, and how requests are authorised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell.connectors import Answer, AzureDevOps, VendorError
from stepwell.connectors.outcome import Done, Expired, Failed, Limited, Outcome, Rejected
from stepwell.core.connections import Budget
from stepwell.errors import InvalidOption, NeedsReauthorisation, NotYet
from stepwell.testing.connections import GivenConnections, connection
from stepwell.testing.vendors import FakeAzureDevOps

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ERROR = b'{"$id":"1","message":"TF401232: no such item","typeKey":"WorkItemUnauthorizedAccessException"}'
HTML = b"<!DOCTYPE html><html>Sign In</html>"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200, {}, b"{}"), Done()),
        (Answer(200, {"retry-after": "2.5", "x-ratelimit-remaining": "0"}, b"{}"), Done(pause=timedelta(seconds=2.5))),
        (Answer(203, {"content-type": "text/html"}, HTML), Expired("answered with a sign-in page")),
        (Answer(302, {"location": "https://spsprodweu2.vssps.visualstudio.com/_signin"}, b""), None),
        (Answer(401, {}, b""), Expired("")),
        (Answer(429, {"retry-after": "30"}, b"TF400733"), Limited(timedelta(seconds=30))),
        (
            Answer(404, {}, ERROR),
            Rejected("answered 404: TF401232: no such item", "WorkItemUnauthorizedAccessException"),
        ),
        (Answer(404, {}, HTML), Rejected(f"answered 404: {HTML.decode()}")),
        (Answer(400, {}, b"[1]"), Rejected("answered 400: [1]")),
        (Answer(500, {}, b"oops"), Failed("answered 500: oops")),
        (Answer(503, {"retry-after": "5"}, b""), Failed("answered 503: ", timedelta(seconds=5))),
    ],
)
def test_answers_mean_what_the_vendor_means(answer: Answer, outcome: Outcome | None) -> None:
    expected = outcome or Expired("answered with a sign-in page")
    assert AzureDevOps().judge(answer, now=NOW) == expected


async def test_check_says_who_we_are(azure: AzureDevOps) -> None:
    assert await azure.check() == "Jamal Hartnett"


async def test_entra_token_is_sent_as_bearer_and_before_a_pat(azure: AzureDevOps, lent: GivenConnections) -> None:
    settings = dict(lent.given["acme"].settings)
    lent.given["acme"] = connection("acme", "azure-devops", settings=settings, token="pat-1", pat="another")
    assert await azure.check() == "Jamal Hartnett"

    lent.given["acme"] = connection("acme", "azure-devops", settings=settings)
    with pytest.raises(InvalidOption, match="neither a pat nor a token"):
        await azure.check()


@pytest.mark.parametrize("writes", [False, True])
async def test_refused_token_needs_reauthorisation_though_it_looks_like_success(
    azure: AzureDevOps, fake: FakeAzureDevOps, writes: bool
) -> None:
    item = fake.create_work_item("Bug", "Secret")
    fake.expire_tokens()

    with pytest.raises(NeedsReauthorisation):
        await (azure.update_work_item(item.id, {"System.Title": "x"}) if writes else azure.get_work_item(item.id))
    assert fake.ledger.count("work item updated") == 0


async def test_sign_in_page_that_passes_is_no_failure_of_a_renewed_token(
    azure: AzureDevOps, fake: FakeAzureDevOps, lent: GivenConnections
) -> None:
    async def renew(refused: object) -> object:
        return lent.given["acme"]

    lent.renew = renew  # type: ignore[method-assign,assignment]
    fake.switches.sign_in_page()

    assert await azure.check() == "Jamal Hartnett"


async def test_limits_put_the_step_off(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.switches.limit(retry_after="2.0")

    with pytest.raises(NotYet, match="Azure DevOps limits") as put_off:
        await azure.check()
    assert put_off.value.delay == timedelta(seconds=2)


async def test_answer_that_was_slowed_down_counts_and_the_next_request_waits(
    azure: AzureDevOps, fake: FakeAzureDevOps
) -> None:
    fake.switches.slow_down(retry_after="7")

    assert await azure.check() == "Jamal Hartnett"
    with pytest.raises(NotYet, match="slow down"):
        await azure.check()


async def test_failure_and_lost_connection_are_tried_again(azure: AzureDevOps, fake: FakeAzureDevOps) -> None:
    fake.switches.fail(status=500)
    fake.switches.drop()

    with pytest.raises(VendorError, match="TF400898") as failed:
        await azure.check()
    with pytest.raises(VendorError):
        await azure.check()
    assert failed.value.status == 500
    assert await azure.check() == "Jamal Hartnett"


def test_allowance_is_the_connections_own() -> None:
    def budget(**settings: str) -> Budget | None:
        return AzureDevOps().budget(connection("acme", "azure-devops", settings=settings))

    assert budget() is None
    assert budget(requests_per_minute="120") == Budget("requests", capacity=20.0, per_second=2.0)
    for wrong in ("many", "0", "-1", "nan", "inf"):
        with pytest.raises(InvalidOption, match="give a number above 0"):
            budget(requests_per_minute=wrong)
