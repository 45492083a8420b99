"""ClickUp: signed without a timestamp, no delivery id, and two events for one new task.

Sources: developer.clickup.com/docs/webhooksignature, /webhookhealth, /webhooktaskpayloads.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec import Raw, Struct
from msgspec.json import Decoder

from stepwell.core.webhooks import Envelope
from stepwell.sources import subjects
from stepwell.sources.digests import HmacDigest
from stepwell.sources.reading import NOTHING, Scalar, envelope, hash_of, read, written
from stepwell.sources.request import Request
from stepwell.sources.schemes import Signature
from stepwell.sources.source import Retries, Source, always, regardless, seconds
from stepwell.sources.verdicts import Refused

FIRST_STATUS = "taskStatusUpdated.first"
"""The type of the `taskStatusUpdated` that comes beside `taskCreated`: the new task's status comes from nothing.

It has a type of its own, so that who waits for changes of status does not get it, and the subject of the creation, so
that who takes `task*` starts one execution for a new task.
"""

_CREATED = "taskCreated"


class _Delivery(Struct):
    event: str = ""
    webhook_id: Scalar = None
    task_id: Scalar = None
    list_id: Scalar = None
    folder_id: Scalar = None
    space_id: Scalar = None
    goal_id: Scalar = None
    key_result_id: Scalar = None
    history_items: Raw = NOTHING


class _Item(Struct):
    id: Scalar = None
    field: str | None = None
    before: Raw = NOTHING


class _Status(Struct):
    status: str | None = None


_DELIVERY, _ITEMS, _STATUS = Decoder(_Delivery), Decoder(list[_Item]), Decoder(_Status | None)


def classify(request: Request) -> Envelope | Refused:
    delivery = read(_DELIVERY, request.body)
    if delivery is None or not delivery.event:
        return Refused("the body is no event of ClickUp: it has no event")
    items = read(_ITEMS, bytes(delivery.history_items)) or []
    changes = ",".join(sorted(written(item.id) for item in items if item.id is not None))
    webhook = written(delivery.webhook_id)
    is_first_status = delivery.event == "taskStatusUpdated" and any(map(_comes_from_nothing, items))
    return envelope(
        FIRST_STATUS if is_first_status else delivery.event,
        f"{webhook}:{delivery.event}:{changes}" if changes else hash_of(request.body),
        subject=_subject(_CREATED if is_first_status else delivery.event, _about(delivery), changes),
        tenant=webhook,
    )


def _comes_from_nothing(item: _Item) -> bool:
    """Whether it gives a first status: before a change of status there is one."""
    if item.field != "status" or not bytes(item.before):
        return False
    try:
        before = _STATUS.decode(item.before)
    except (ValueError, RecursionError):
        return False
    return before is None or before.status is None


def _about(delivery: _Delivery) -> str:
    """The object: events of tasks name the task, those of lists the list, and so on."""
    for kind, id in (
        ("task", delivery.task_id),
        ("list", delivery.list_id),
        ("folder", delivery.folder_id),
        ("space", delivery.space_id),
        ("goal", delivery.goal_id),
        ("keyResult", delivery.key_result_id),
    ):
        if delivery.event.startswith(kind):
            return written(id)
    return ""


def _subject(event: str, id: str, changes: str) -> str | None:
    if not id:
        return None
    if event.endswith(("Created", "Deleted")):
        return subjects.clickup_once(event, id)
    return f"{event}:{id}:{changes}" if changes else None


CLICKUP = Source(
    "clickup",
    always(Signature(("X-Signature",), (HmacDigest(),), "the secret that ClickUp gave when the webhook was created")),
    regardless(classify),
    answer_within=timedelta(seconds=7),
    retries=Retries(seconds(1, 2, 4, 8), gives_up_on=frozenset({410})),  # 5 attempts; their spacing is not published
)
