"""Azure DevOps service hooks: not signed; a subscription is given a user name and password, or a header, to send along.

Sources: learn.microsoft.com/azure/devops/service-hooks (events, services/webhooks, troubleshoot);
github.com/MicrosoftDocs/vsts-rest-api-specs, specification/hooks.
"""

from __future__ import annotations

from msgspec import Raw, Struct
from msgspec.json import Decoder

from stepwell.core.webhooks import Envelope
from stepwell.sources import subjects
from stepwell.sources.reading import NOTHING, Scalar, envelope, hash_of, read, written
from stepwell.sources.request import Request
from stepwell.sources.schemes import ApiKey, Basic, Scheme
from stepwell.sources.source import Retries, Setting, Settings, Source, regardless, seconds
from stepwell.sources.vendors.settings import HEADER_NAME
from stepwell.sources.verdicts import Refused


class _Notification(Struct, rename="camel"):
    """`id` is the event's, a subscription sends it once. `notificationId` is a small counter."""

    event_type: str = ""
    subscription_id: Scalar = None
    id: Scalar = None
    resource: Raw = NOTHING
    resource_containers: Raw = NOTHING


class _Named(Struct):
    id: Scalar = None


class _Containers(Struct):
    account: _Named | None = None
    collection: _Named | None = None


class _Resource(Struct, rename="camel"):
    """Of an update `id` counts the item's updates, and `workItemId` is the item; otherwise `id` is the item."""

    id: Scalar = None
    rev: Scalar = None
    work_item_id: Scalar = None
    revision: _Named | None = None
    repository: _Named | None = None
    push_id: Scalar = None
    pull_request_id: Scalar = None


_NOTIFICATION, _CONTAINERS, _RESOURCE = Decoder(_Notification), Decoder(_Containers), Decoder(_Resource)


def classify(request: Request) -> Envelope | Refused:
    notification = read(_NOTIFICATION, request.body)
    if notification is None or not notification.event_type:
        return Refused("the body is no notification of a service hook: it has no eventType")
    subscription, id = written(notification.subscription_id), written(notification.id)
    return envelope(
        notification.event_type,
        f"{subscription}:{id}" if id else hash_of(request.body),
        subject=_subject(notification.event_type, read(_RESOURCE, bytes(notification.resource))),
        tenant=_tenant(read(_CONTAINERS, bytes(notification.resource_containers))),
    )


def _tenant(containers: _Containers | None) -> str:
    """The organisation, which is called account or collection, by its id."""
    named = containers and (containers.account or containers.collection)
    return written(named.id) if named else ""


def _subject(event: str, resource: _Resource | None) -> str | None:
    """None also where a subscription sends less of the resource than the identity needs (`resourceDetailsToSend`)."""
    if resource is None:
        return None
    match event:
        case "workitem.created" if resource.id:
            return subjects.work_item_created(resource.id)
        case "workitem.updated":
            item = resource.work_item_id or (resource.revision and resource.revision.id)
            return subjects.work_item_changed(event, item, resource.rev) if item and resource.rev else None
        case "workitem.commented" | "workitem.deleted" | "workitem.restored" if resource.id and resource.rev:
            return subjects.work_item_changed(event, resource.id, resource.rev)
        case "build.complete" if resource.id:
            return subjects.build_complete(resource.id)
        case "git.push" | "git.pullrequest.created" if resource.repository and resource.repository.id:
            return _of_repository(event, written(resource.repository.id), resource)
    return None


def _of_repository(event: str, repository: str, resource: _Resource) -> str | None:
    if event == "git.push":
        return subjects.git_push(repository, resource.push_id) if resource.push_id else None
    return subjects.pull_request_created(repository, resource.pull_request_id) if resource.pull_request_id else None


def scheme(settings: Settings) -> Scheme:
    return ApiKey(settings.get("hook_header") or "X-Api-Key") if settings.get("hook_proof") == "api-key" else Basic()


AZURE_DEVOPS = Source(
    "azure-devops",
    scheme,
    regardless(classify),
    settings=(
        Setting(
            "hook_proof", "what the subscription sends: basic (user and password) or api-key", "basic|api-key", "basic"
        ),
        Setting("hook_header", "with api-key: the header that the subscription sends", HEADER_NAME, "X-Api-Key"),
    ),
    retries=Retries(
        seconds(1, 2, 4, 8, 16, 32, 60, 60),
        after=frozenset({408, 502, 503, 504}),  # every other error puts the subscription on probation
        gives_up_on=frozenset({410}),
    ),
)
