"""GitHub: signed, never sent again by itself; "redeliver" sends the same delivery id.

Sources: docs.github.com/webhooks (using-webhooks: validating, handling-failed-deliveries; webhook-events-and-payloads).
"""

from __future__ import annotations

from datetime import timedelta

from msgspec import Raw, Struct
from msgspec.json import Decoder

from stepwell.core.webhooks import Envelope
from stepwell.sources import subjects
from stepwell.sources.digests import HmacDigest
from stepwell.sources.reading import FORM, NOTHING, Scalar, envelope, form, hash_of, read, written
from stepwell.sources.request import Request
from stepwell.sources.schemes import Signature
from stepwell.sources.source import MIB, Retries, Sent, Source, always, regardless
from stepwell.sources.verdicts import Refused

_OBJECT_OF = {
    "issues": "issue",
    "issue_comment": "comment",
    "pull_request": "pull_request",
    "pull_request_review_comment": "comment",
    "release": "release",
}
_ONCE = {"opened", "created", "deleted"}
_AGAIN = {"closed", "reopened"}


class _Body(Struct):
    """Of the objects only the one that the event is about is read further."""

    action: str | None = None
    repository: Raw = NOTHING
    organization: Raw = NOTHING
    issue: Raw = NOTHING
    comment: Raw = NOTHING
    pull_request: Raw = NOTHING
    release: Raw = NOTHING


class _Account(Struct):
    login: str | None = None


class _Repository(Struct):
    owner: _Account | None = None


class _Object(Struct):
    id: Scalar = None
    updated_at: str | None = None
    published_at: str | None = None


_BODY, _ACCOUNT, _REPOSITORY = Decoder(_Body), Decoder(_Account), Decoder(_Repository)
_OBJECT = Decoder(_Object)


def classify(request: Request) -> Envelope | Refused:
    event = request.header("X-GitHub-Event")
    if not event:
        return Refused("header X-GitHub-Event is missing, empty or there twice")
    text = form(request).get("payload", "").encode() if request.media_type == FORM else request.body
    body = read(_BODY, text)
    if body is None:
        return Refused("the body is no JSON object, nor a form with one as its payload")
    repository = read(_REPOSITORY, bytes(body.repository))
    return envelope(
        f"{event}.{body.action}" if body.action else event,
        request.header("X-GitHub-Delivery") or hash_of(request.body),
        subject=_subject(event, body),
        tenant=_owner(body, repository),
    )


def _owner(body: _Body, repository: _Repository | None) -> str:
    """The organisation or user whose repository it is, by its name."""
    account = (repository and repository.owner) or read(_ACCOUNT, bytes(body.organization))
    return (account and account.login) or ""


def _subject(event: str, body: _Body) -> str | None:
    """None for pushes: a branch can come back to a commit, and then that is another push."""
    if event not in _OBJECT_OF or not body.action:
        return None
    about = read(_OBJECT, bytes(getattr(body, _OBJECT_OF[event])))
    return _of_object(event, body.action, about) if about and about.id else None


def _of_object(event: str, action: str, about: _Object) -> str | None:
    """None for what may happen twice in a second, such as labels."""
    id = written(about.id)
    if event == "release":
        is_published = action == "published" and about.published_at
        return subjects.github_at(event, action, id, about.published_at or "") if is_published else None
    if action in _ONCE:
        return subjects.github_once(event, action, id)
    if action in _AGAIN and about.updated_at:
        return subjects.github_at(event, action, id, about.updated_at)
    return None


def headers(sent: Sent) -> dict[str, str]:
    return {"X-GitHub-Event": sent.type.partition(".")[0], "X-GitHub-Delivery": sent.id}


GITHUB = Source(
    "github",
    always(Signature(("X-Hub-Signature-256",), (HmacDigest(prefix=b"sha256="),), "the webhook's secret")),
    regardless(classify),
    headers=headers,
    answer_within=timedelta(seconds=10),
    retries=Retries(),
    max_body_bytes=25 * MIB,  # its own cap on payloads
)
