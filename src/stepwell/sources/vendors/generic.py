"""Any other sender, as an endpoint's settings describe it: a signature, a user and password, or a key in a header."""

from __future__ import annotations

from stepwell.core.webhooks import Envelope
from stepwell.sources.digests import HmacDigest, as_base64, as_hex
from stepwell.sources.reading import UNTYPED, envelope, field, hash_of
from stepwell.sources.request import Request
from stepwell.sources.schemes import ApiKey, Basic, Scheme, Signature
from stepwell.sources.source import Retries, Setting, Settings, Source, seconds
from stepwell.sources.vendors.settings import FIELD_PATH, HEADER_NAME
from stepwell.sources.verdicts import Refused

SIGNATURE_HEADER, KEY_HEADER = "X-Signature", "X-Api-Key"

SETTINGS = (
    Setting("hook_proof", "hmac (a signature), basic (user and password) or api-key (a key in a header)",
            "hmac|basic|api-key", "hmac"),
    Setting("hook_header", f"where the signature or key stands; {SIGNATURE_HEADER} or {KEY_HEADER}", HEADER_NAME),
    Setting("hook_algorithm", "sha256, sha512 or, for old senders, sha1", "sha256|sha512|sha1", "sha256"),
    Setting("hook_encoding", "how the signature is written: hex or base64", "hex|base64", "hex"),
    Setting("hook_prefix", "what stands before it, such as sha256=", r"[!-~]{0,100}"),
    Setting("hook_timestamp_header", "where the time of sending stands, in Unix seconds, signed too", HEADER_NAME),
    Setting("hook_signed", "what is signed: {body} last, before it any text with {timestamp} and {id}",
            r"([^{}\0]|\{timestamp\}|\{id\}){0,200}\{body\}", "{body}, or {timestamp}.{body} with a timestamp"),
    Setting("hook_id_header", "where the delivery's id stands", HEADER_NAME),
    Setting("hook_id_field", "or the field of the JSON body that holds it, such as data.id", FIELD_PATH),
    Setting("hook_type_header", "where the event's type stands", HEADER_NAME),
    Setting("hook_type_field", "or the field of the JSON body that holds it", FIELD_PATH),
    Setting("hook_subject_field", "a field that names the event itself, the same in each delivery of it", FIELD_PATH),
    Setting("hook_tenant_field", "a field that names the sender's account", FIELD_PATH),
)  # fmt: skip


def scheme(settings: Settings) -> Scheme:
    match settings.get("hook_proof"):
        case "basic":
            return Basic()
        case "api-key":
            return ApiKey(settings.get("hook_header") or KEY_HEADER)
        case _:
            return _signature(settings)


def _signature(settings: Settings) -> Signature:
    before = _before_body(settings)
    encode = as_base64 if settings.get("hook_encoding") == "base64" else as_hex
    prefix = settings.get("hook_prefix", "").encode("latin-1")
    return Signature(
        (settings.get("hook_header") or SIGNATURE_HEADER,),
        (HmacDigest(settings.get("hook_algorithm") or "sha256", encode, prefix),),
        before_body=before,
        id_header=settings.get("hook_id_header") if "{id}" in before else None,
        timestamp_header=settings.get("hook_timestamp_header"),
    )


def _before_body(settings: Settings) -> str:
    default = "{timestamp}.{body}" if settings.get("hook_timestamp_header") else "{body}"
    return (settings.get("hook_signed") or default).removesuffix("{body}")


def fault(settings: Settings) -> str | None:
    """What does not go together, as a sentence.

    A time that is not signed is worth nothing: whoever has an old delivery can send it with a new one.
    """
    before = _before_body(settings)
    if settings.get("hook_proof", "hmac") != "hmac":
        return None
    if settings.get("hook_timestamp_header") and "{timestamp}" not in before:
        return "hook_signed has no {timestamp}, so anybody could put a new time on an old delivery"
    if "{timestamp}" in before and not settings.get("hook_timestamp_header"):
        return "hook_signed has {timestamp}; name its header as hook_timestamp_header"
    if "{id}" in before and not settings.get("hook_id_header"):
        return "hook_signed has {id}; name its header as hook_id_header"
    return None


def classify(request: Request, settings: Settings) -> Envelope | Refused:
    """Without an id two deliveries with the same bytes are one."""
    id = _found(request, settings, "id") or hash_of(request.body)
    subject = _found(request, settings, "subject") or None
    return envelope(
        _found(request, settings, "type") or UNTYPED, id, subject=subject, tenant=_found(request, settings, "tenant")
    )


def _found(request: Request, settings: Settings, what: str) -> str:
    """What stands in the header or field that the settings name for it; nothing without."""
    header, path = settings.get(f"hook_{what}_header"), settings.get(f"hook_{what}_field")
    return (request.header(header) if header else field(request.body, path) if path else None) or ""


GENERIC = Source(
    "generic",
    scheme,
    classify,
    settings=SETTINGS,
    fault=fault,
    retries=Retries(seconds(1, 5, 30, 120, 600)),
)
