"""What a verified delivery is: its type, the vendor's identity of it, what it is about, and whose it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepwell.core.webhooks import Envelope
from stepwell.sources import Refused, Request, subjects
from stepwell.sources.samples import number_of, sample_types
from stepwell.sources.vendors.clickup import FIRST_STATUS
from tests.sources.endpoints import BY_NAME, ENDPOINTS, ID, Endpoint, with_header

SAMPLES = Path(__file__).parents[1] / "samples"
AZURE_DEVOPS, CLICKUP, SHOPIFY, GITHUB = (BY_NAME[name] for name in ("azure-devops", "clickup", "shopify", "github"))
ALL_TYPES = [(endpoint, type) for endpoint in ENDPOINTS[:10] for type in sample_types(endpoint.source.name)]
NUMBER = number_of(ID)


def envelope(endpoint: Endpoint, request: Request) -> Envelope:
    found = endpoint.classify(request)
    assert isinstance(found, Envelope), found
    return found


def posted(endpoint: Endpoint, body: object, type: str | None = None) -> Request:
    return endpoint.delivery(type, body=json.dumps(body).encode())


@pytest.mark.parametrize(("endpoint", "type"), ALL_TYPES, ids=lambda value: getattr(value, "name", value))
def test_every_sample_is_of_the_type_that_it_is_a_sample_of(endpoint: Endpoint, type: str) -> None:
    found = envelope(endpoint, endpoint.delivery(type))

    assert found.type == type
    assert found.dedupe_key


SERVICE_HOOKS = {
    "build.complete": "build.complete:2",
    "git.pullrequest.created": "git.pullrequest.created:4bc14d40-c903-45e2-872e-0462c7748079:1",
    "git.pullrequest.updated": None,
    "git.push": "git.push:7aa31685-abcf-40be-8c18-aaa45067d7bb:1168",
    "git.push.real-messages-null": "git.push:e502622f-ac2b-4635-bec7-5e43d8865f71:34770",
    "message.posted": None,
    "tfvc.checkin": None,
    "workitem.commented": "workitem.commented:5:4",
    "workitem.created": "workitem.created:5",
    "workitem.deleted": "workitem.deleted:5:1",
    "workitem.restored": "workitem.restored:5:1",
    "workitem.updated": "workitem.updated:5:2",  # its workItemId is 0: the item stands in the revision
}


@pytest.mark.parametrize(("name", "subject"), SERVICE_HOOKS.items())
def test_recorded_service_hook_is_told_apart_by_subscription_and_event(name: str, subject: str | None) -> None:
    body = (SAMPLES / "azure-devops" / "webhooks" / f"{name}.json").read_bytes()
    recorded: dict[str, Any] = json.loads(body.decode("utf-8-sig"))

    found = envelope(AZURE_DEVOPS, AZURE_DEVOPS.delivery(body=body))

    assert found.type == recorded["eventType"]
    assert found.dedupe_key == f"{recorded['subscriptionId']}:{recorded['id']}"
    assert found.subject == subject
    assert found.tenant == containers(recorded)


def containers(recorded: dict[str, Any]) -> str | None:
    found = recorded.get("resourceContainers", {})
    named: dict[str, str] = found.get("account") or found.get("collection") or {}
    return named.get("id")


def test_every_recorded_service_hook_is_looked_at() -> None:
    files = {path.stem for path in (SAMPLES / "azure-devops" / "webhooks").iterdir()}

    assert files == {*SERVICE_HOOKS, "bad.noEventType", "bad.notMappedEventType"}


def test_service_hook_without_a_type_is_refused_and_one_of_an_unknown_type_is_not() -> None:
    folder = SAMPLES / "azure-devops" / "webhooks"
    none, unknown = ((folder / f"bad.{name}.json").read_bytes() for name in ("noEventType", "notMappedEventType"))

    assert isinstance(AZURE_DEVOPS.classify(AZURE_DEVOPS.delivery(body=none)), Refused)
    assert envelope(AZURE_DEVOPS, AZURE_DEVOPS.delivery(body=unknown)).type == "unknownType"


@pytest.mark.parametrize(
    "resource", [None, {}, {"id": 5, "url": "x"}, [], "text", {"id": 1.5, "rev": {}}, {"revision": 7}]
)
def test_service_hook_with_less_of_its_resource_is_taken_without_a_subject(resource: object) -> None:
    body = {"subscriptionId": "s", "id": "i", "eventType": "workitem.updated", "message": None, "resource": resource}

    assert envelope(AZURE_DEVOPS, posted(AZURE_DEVOPS, body)) == Envelope("workitem.updated", "s:i")


def test_two_subscriptions_tell_of_one_event() -> None:
    first = envelope(AZURE_DEVOPS, AZURE_DEVOPS.delivery("workitem.created"))
    body = AZURE_DEVOPS.delivery("workitem.created").body.replace(b"5b1f4f0e", b"6b1f4f0e")
    second = envelope(AZURE_DEVOPS, AZURE_DEVOPS.delivery(body=body))

    assert first.dedupe_key != second.dedupe_key
    assert first.subject == second.subject == subjects.work_item_created(NUMBER)


def test_two_events_of_one_new_task_are_one_and_the_second_is_no_change_of_status() -> None:
    created = envelope(CLICKUP, CLICKUP.delivery("taskCreated"))
    beside = envelope(CLICKUP, CLICKUP.delivery("taskStatusUpdated.first"))
    changed = envelope(CLICKUP, CLICKUP.delivery("taskStatusUpdated"))

    assert json.loads(CLICKUP.delivery("taskStatusUpdated.first").body)["event"] == "taskStatusUpdated"
    assert (created.type, beside.type, changed.type) == ("taskCreated", FIRST_STATUS, "taskStatusUpdated")
    assert created.subject == beside.subject == subjects.clickup_once("taskCreated", f"t{NUMBER}")
    assert created.dedupe_key != beside.dedupe_key
    assert changed.subject == f"taskStatusUpdated:t{NUMBER}:3{NUMBER}"


def test_clickup_event_is_its_changes_in_any_order() -> None:
    body = {"event": "taskUpdated", "webhook_id": "w", "task_id": "t", "history_items": [{"id": "2"}, {"id": "1"}]}
    turned = {**body, "history_items": [{"id": "1"}, {"id": "2"}]}

    expected = Envelope("taskUpdated", "w:taskUpdated:1,2", "taskUpdated:t:1,2", "w")

    assert envelope(CLICKUP, posted(CLICKUP, body)) == envelope(CLICKUP, posted(CLICKUP, turned)) == expected


def test_clickup_event_without_changes_is_its_bytes() -> None:
    request = CLICKUP.delivery("listCreated")

    assert envelope(CLICKUP, request).dedupe_key.startswith("sha256:")
    assert envelope(CLICKUP, request).subject == f"listCreated:9{NUMBER}"
    assert (
        envelope(CLICKUP, replace(request, body=request.body + b" ")).dedupe_key
        != envelope(CLICKUP, request).dedupe_key
    )


@pytest.mark.parametrize("before", [{"status": "to do"}, "x", 7, [], {}, {"status": 1}])
def test_status_that_comes_from_something_is_a_change(before: object) -> None:
    items = [{"id": "1", "field": "status", "before": before}]
    body = {"event": "taskStatusUpdated", "webhook_id": "w", "task_id": "t", "history_items": items}

    assert (envelope(CLICKUP, posted(CLICKUP, body)).type == FIRST_STATUS) == (before == {})


RECORDED = {
    "orders/create": ("orders__create", "gid://shopify/Order/820982911946154508", ""),
    "products/update": ("products__update", "gid://shopify/Product/788032119674292922", ":1640995200"),
}


@pytest.mark.parametrize("topic", RECORDED)
def test_recorded_webhook_of_shopify_keeps_all_digits_of_its_id(topic: str) -> None:
    name, gid, version = RECORDED[topic]
    recorded = json.loads((SAMPLES / "shopify" / f"{name}.json").read_text())

    found = envelope(SHOPIFY, posted(SHOPIFY, recorded["payload"], topic))

    assert found.dedupe_key == f"example.myshopify.com:{topic}::{gid}:{ID}"
    assert found.subject == f"{topic}:{gid}{version}"
    assert found.tenant == "example.myshopify.com"


def test_time_of_the_shop_and_time_in_utc_are_one_version() -> None:
    in_shop = subjects.shopify_updated("orders/updated", "gid://shopify/Order/1", "2021-12-31T19:00:00-05:00")
    in_utc = subjects.shopify_updated("orders/updated", "gid://shopify/Order/1", "2022-01-01T00:00:00Z")

    assert in_shop == in_utc == "orders/updated:gid://shopify/Order/1:1640995200"


@pytest.mark.parametrize("time", ["", "yesterday", "2022-01-01T00:00:00", "9999999-01-01", "\0"])
def test_time_that_is_no_moment_makes_no_subject(time: str) -> None:
    assert subjects.shopify_updated("orders/updated", "gid://shopify/Order/1", time) is None


def test_one_act_of_a_merchant_is_many_deliveries() -> None:
    """They share the event id: topic, subscription and object tell them apart. A retry is the same in all of them."""
    request = SHOPIFY.delivery("products/update")
    other_topic = with_header(request, "X-Shopify-Topic", b"inventory_levels/update")
    other_subscription = with_header(request, "X-Shopify-Name", b"warehouse")
    other_object = replace(request, body=request.body.replace(b"820982", b"820983"))
    retry = with_header(request, "X-Shopify-Triggered-At", b"2026-01-02T05:00:00Z")

    keys = [envelope(SHOPIFY, one).dedupe_key for one in (request, other_topic, other_subscription, other_object)]

    assert len(set(keys)) == 4
    assert envelope(SHOPIFY, retry).dedupe_key == keys[0]


def test_shopify_without_an_event_id_is_told_apart_by_its_webhook_id_then_by_its_bytes() -> None:
    request = with_header(SHOPIFY.delivery("orders/create"), "X-Shopify-Event-Id")

    assert envelope(SHOPIFY, request).dedupe_key == f"example.myshopify.com:orders/create:{ID}"
    assert envelope(SHOPIFY, with_header(request, "X-Shopify-Webhook-Id")).dedupe_key.startswith("sha256:")


def test_events_of_shopify_are_read_from_the_headers_of_their_family() -> None:
    headers = {
        "shopify-hmac-sha256": "x",
        "shopify-topic": "Product",
        "shopify-action": "update",
        "shopify-event-id": "e-1",
        "shopify-handle": "prices",
        "shopify-shop-domain": "example.myshopify.com",
        "shopify-resource-id": "gid://shopify/Product/1",
    }
    body = {"topic": "Product", "updated_at": "2022-01-01T00:00:00Z"}

    assert envelope(SHOPIFY, Request.post(headers, json.dumps(body).encode())) == Envelope(
        "Product/update",
        "example.myshopify.com:Product/update:prices:gid://shopify/Product/1:e-1",
        "Product/update:gid://shopify/Product/1:1640995200",
        "example.myshopify.com",
    )


def test_github_event_is_event_and_action_and_its_redelivery_is_the_same() -> None:
    opened = envelope(GITHUB, GITHUB.delivery("issues.opened"))

    assert opened == Envelope("issues.opened", str(ID), f"issues.opened:{NUMBER}", "example")
    assert envelope(GITHUB, GITHUB.delivery("ping")).type == "ping"
    assert envelope(GITHUB, GITHUB.delivery("push")).subject is None
    assert envelope(GITHUB, GITHUB.delivery("issues.labeled")).subject is None
    assert envelope(GITHUB, GITHUB.delivery("issues.closed")).subject == f"issues.closed:{NUMBER}:2026-01-02T03:04:05Z"
    assert envelope(GITHUB, GITHUB.delivery("release.published")).subject is not None


def test_github_form_is_read_as_the_json_in_it() -> None:
    body = b"payload=%7B%22action%22%3A%22opened%22%2C%22issue%22%3A%7B%22id%22%3A7%7D%7D"
    request = with_header(
        GITHUB.delivery("issues.opened", body=body), "Content-Type", b"application/x-www-form-urlencoded"
    )

    assert envelope(GITHUB, request).subject == "issues.opened:7"


def test_stripe_event_is_its_id_also_when_it_is_a_thin_one() -> None:
    stripe = BY_NAME["stripe"]
    thin = "v1.billing.meter.error_report_triggered"

    assert envelope(stripe, stripe.delivery("invoice.paid")) == Envelope("invoice.paid", f"evt_{NUMBER}")
    assert envelope(stripe, stripe.delivery(thin)) == Envelope(thin, f"evt_test_{NUMBER}")
    connected = {"id": "evt_1", "type": "invoice.paid", "account": "acct_1"}
    assert envelope(stripe, posted(stripe, connected)).tenant == "acct_1"


def test_slack_event_is_the_inner_one_and_a_command_or_interaction_is_a_form() -> None:
    slack = BY_NAME["slack"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    command = Request.post(form, b"command=%2Fdeploy&team_id=T1&trigger_id=13.37")
    pressed = Request.post(
        form, b"payload=%7B%22type%22%3A%22block_actions%22%2C%22team%22%3A%7B%22id%22%3A%22T1%22%7D%7D"
    )

    assert envelope(slack, slack.delivery("message")) == Envelope("message", f"Ev{NUMBER}", None, "T0EXAMPLE")
    assert envelope(slack, command) == Envelope("command/deploy", "13.37", None, "T1")
    assert envelope(slack, pressed).type == "interaction/block_actions"
    assert envelope(slack, pressed).tenant == "T1"
    assert isinstance(slack.classify(Request.post(form, b"a=b")), Refused)


def test_standard_webhook_is_its_id_and_untyped_unless_it_says_its_type() -> None:
    standard = BY_NAME["standard-webhooks"]

    assert envelope(standard, standard.delivery()) == Envelope("user.created", str(ID))
    assert envelope(standard, standard.delivery(body=b"plain text")).type == "untyped"


def test_cloudevent_is_its_source_and_id_in_either_mode() -> None:
    cloudevents = BY_NAME["cloudevents"]
    structured = cloudevents.delivery()
    attributes = {"ce-specversion": "1.0", "ce-id": str(ID), "ce-source": "https://example.com/orders"}
    binary = Request.post({**attributes, "ce-type": "com.example.order.created"}, b"\xff")

    expected = Envelope(
        "com.example.order.created", f"https://example.com/orders {ID}", None, "https://example.com/orders"
    )

    assert envelope(cloudevents, structured) == envelope(cloudevents, binary) == expected
    assert envelope(cloudevents, with_header(binary, "ce-id", b"Euro%20%E2%82%AC")).dedupe_key.endswith(" Euro €")
    assert isinstance(cloudevents.classify(with_header(binary, "ce-type")), Refused)
    assert isinstance(
        cloudevents.classify(with_header(structured, "Content-Type", b"application/cloudevents-batch+json")), Refused
    )


def test_generic_delivery_is_what_its_settings_say() -> None:
    settings = {
        "hook_id_field": "meta.id",
        "hook_type_header": "X-Event",
        "hook_subject_field": "data.order",
        "hook_tenant_field": "meta.account",
    }
    endpoint = replace(BY_NAME["generic"], settings=settings)
    body = b'{"meta": {"id": 18446744073709551616, "account": "a"}, "data": {"order": "o-1"}}'
    request = Request.post({"X-Event": "order.paid"}, body)

    assert envelope(endpoint, request) == Envelope("order.paid", "18446744073709551616", "o-1", "a")
    assert envelope(endpoint, replace(request, body=b"[]")).dedupe_key.startswith("sha256:")
    assert envelope(endpoint, replace(request, headers=[])).type == "untyped"
