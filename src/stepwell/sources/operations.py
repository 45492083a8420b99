"""What is done with a source: an endpoint of it is checked, a request of it verified, read and answered, or made.

`settings` and secrets are those of the endpoint; settings whose names do not begin with `hook_` are passed over.
Nothing here waits, reads a clock, or raises for what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from stepwell.core.webhooks import Envelope
from stepwell.errors import InvalidOption
from stepwell.sources.request import Request
from stepwell.sources.schemes import Signature, proof_by, verify_by
from stepwell.sources.source import Sent, Settings, Source
from stepwell.sources.verdicts import Answer, Refused, Verified

NO_SETTINGS: Settings = {}

PREFIX = "hook_"
"""A connection has settings for its connector too; a misspelt one of ours must not pass for such a one."""

ALWAYS_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that are never stored, whatever the source."""

_UNSENDABLE = re.compile(rb"[\0\r\n]")


def check_settings(source: Source, settings: Settings) -> None:
    """Raise InvalidOption for a setting `hook_...` that the source does not have, or that makes no sense."""
    if fault := _fault(source, settings):
        raise InvalidOption(f"webhooks of {source.name}: {fault}")


def _fault(source: Source, settings: Settings) -> str | None:
    """What is wrong with the settings, as a sentence. Those without the prefix are the connector's."""
    ours = {name: str(value) for name, value in settings.items() if name.startswith(PREFIX)}
    known = {setting.name: setting for setting in source.settings}
    for name, value in ours.items():
        if name not in known:
            return f"there is no setting {name!r:.100}; there are: {', '.join(known) or 'none'}"
        if not re.fullmatch(known[name].pattern, value):
            return f"{name} is {value!r:.100}; it is {known[name].meaning}"
    return source.fault(ours)


def check_secret(source: Source, secret: bytes, *, settings: Settings = NO_SETTINGS) -> None:
    """Raise InvalidOption for a secret that can prove nothing, above all an empty one. Never quotes it."""
    if not secret.strip():
        raise InvalidOption(f"the webhook secret of {source.name} is empty, so anybody could send; give one")
    if secret != secret.strip() or _UNSENDABLE.search(secret):
        raise InvalidOption(f"the webhook secret of {source.name} has white space around it or a line break in it")
    source.scheme(settings).check_secret(secret)


def verify(
    source: Source, request: Request, secrets: Sequence[bytes], *, settings: Settings = NO_SETTINGS, now: datetime
) -> Verified | Refused:
    """Whether the request is from who it says, by one of the active secrets. Never raises, whatever the bytes."""
    if not any(secrets):
        return Refused("this endpoint has no secret, so nothing can be verified")
    if fault := _fault(source, settings):
        return Refused(f"this endpoint is not set up right: {fault}")
    return verify_by(source.scheme(settings), request, secrets, now)


def classify(source: Source, request: Request, *, settings: Settings = NO_SETTINGS) -> Envelope | Refused:
    """What a verified delivery is, by the few fields that say so. Never raises, whatever the bytes."""
    return source.classify(request, settings)


def handshake(
    source: Source, request: Request, secrets: Sequence[bytes], *, settings: Settings = NO_SETTINGS, now: datetime
) -> Answer | None:
    """The answer to a request that is no delivery; None for all others, and for those that are not proven.

    CloudEvents asks for leave before it has anything to prove: with no proof it gets its answer, with a wrong one none.
    """
    if source.handshake is None or _fault(source, settings):
        return None
    if (answer := source.handshake(request, settings)) is None:
        return None
    scheme = source.scheme(settings)
    if source.is_handshake_open and not isinstance(scheme, Signature) and not scheme.presented(request):
        return answer
    return answer if isinstance(verify(source, request, secrets, settings=settings, now=now), Verified) else None


def sign(
    source: Source,
    body: bytes,
    secret: bytes,
    *,
    type: str,
    id: str,
    now: datetime,
    tenant: str | None = None,
    settings: Settings = NO_SETTINGS,
) -> dict[str, str]:
    """The headers with which the vendor would send this body. Raises InvalidOption for a secret that cannot sign."""
    check_settings(source, settings)
    said = {"Content-Type": source.content_type, **source.headers(Sent(type, id, tenant))}
    if header := settings.get("hook_id_header"):
        said[header] = id
    if header := settings.get("hook_type_header"):
        said[header] = type
    return said | proof_by(source.scheme(settings), body, secret, id=id, now=now)


def stored_headers(source: Source, request: Request, *, settings: Settings = NO_SETTINGS) -> dict[str, str]:
    """The headers that may be kept: by names in lower case, repeated ones joined, without whatever is a secret."""
    secret = ALWAYS_SECRET | source.scheme(settings).secret_headers
    kept: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = _text(raw_name).lower(), _text(raw_value)
        if name not in secret:
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def _text(raw: bytes) -> str:
    """No database keeps NUL in a text (F68)."""
    return raw.decode("latin-1").replace("\0", "�")
