"""URLs that answer a wait: made once, and the same on every pass, though no history holds one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec

from stepwell.codec import codec_for
from stepwell.core.callbacks import PATH, NewCallback
from stepwell.core.duration import DurationLike
from stepwell.core.model import Kind, NewCheckpoint
from stepwell.core.replay import derived_uuid
from stepwell.errors import Diverged, InvalidOption
from stepwell.runtime.calls import durable, recall
from stepwell.runtime.outages import outlast
from stepwell.runtime.passes import Key, Pass
from stepwell.runtime.times import end_of
from stepwell.runtime.topics import checked_event
from stepwell.schemas import json_schema

MAX_PROMPT = 4_000  # characters; a page of text

_UNUSABLE = re.compile(r"[\x00\ud800-\udfff]")


class Links(Protocol):
    """Makes the URLs: knows the server's address, and the keys that sign."""

    @property
    def base(self) -> str:
        """The address of the server that takes the answers. Raises InvalidOption when nobody has said it."""

    @property
    def key_id(self) -> str:
        """The key that signs. Raises InvalidOption when there is none."""

    def url(self, base: str, callback: UUID, key_id: str) -> str | None:
        """The URL, the same each time; None when that key is not here."""


class Question(NamedTuple):
    """What is asked, as it was asked for."""

    name: str
    schema: bytes
    prompt: str | None
    until: Callable[[], datetime]


class Stored(msgspec.Struct):
    """The checkpoint: what the URL is made of, but not the URL. Whoever can read a history cannot answer."""

    id: UUID
    expires_at: datetime
    key_id: str
    base: str


def base_of(value: bytes) -> str:
    """The address in what a checkpoint of such a call holds."""
    return msgspec.json.decode(value, type=Stored).base


def question(pass_: Pass, name: str, *, type: Any, expires: DurationLike | datetime, prompt: str | None) -> Question:
    """Raises InvalidOption."""
    codec_for(type)
    schema = msgspec.json.encode(json_schema(type))
    return Question(checked_event(name), schema, _checked_prompt(prompt), end_of(pass_, name, expires))


def _checked_prompt(prompt: str | None) -> str | None:
    if prompt is None or (isinstance(prompt, str) and len(prompt) <= MAX_PROMPT and not _UNUSABLE.search(prompt)):
        return prompt
    raise InvalidOption(f"prompt {prompt!r:.100}: use text of at most {MAX_PROMPT:,} characters, none of them NUL")


@durable
async def url(pass_: Pass, key: Key, asked: Question) -> str:
    """The URL that answers it. Raises InvalidOption when this process cannot make one."""
    found = await recall(pass_, key, Kind.VALUE)
    if found is not None:
        return await _again(pass_, key, asked, _read(key, found.value))
    await pass_.begin_work(key)
    try:
        links = _links(pass_)
        made = Stored(_own_id(pass_, key), asked.until(), links.key_id, links.base)
        made.expires_at = await _open(pass_, key, asked, made.expires_at)
        text = links.url(made.base, made.id, made.key_id)
        assert text is not None, "the key has just been named"
        await pass_.store(NewCheckpoint(pass_.id, key, Kind.VALUE, 0, msgspec.json.encode(made)))
        return text
    finally:
        pass_.leave()


async def _again(pass_: Pass, key: Key, asked: Question, stored: Stored) -> str:
    """The URL that was made before.

    A fork keeps that of the execution it was made from, which its steps were given, and has a callback of its own
    beside it. Where the key has gone since, another one signs, so that the URL is good; calls that were given the old
    one are not held to their arguments then.
    """
    if stored.id != _own_id(pass_, key):
        await _open(pass_, key, asked, stored.expires_at)
    links = pass_.around.links
    if links is not None and (text := links.url(stored.base, stored.id, stored.key_id)) is not None:
        return text
    pass_.is_lenient = True
    return _signed_anew(key, links, stored) if links else stored.base + PATH  # no keys


def _signed_anew(key: Key, links: Links, stored: Stored) -> str:
    try:
        return links.url(stored.base, stored.id, links.key_id) or stored.base + PATH
    except InvalidOption as error:
        raise Diverged(
            step=key, expected=f"signed with key '{stored.key_id}'", met="without any", way_out=str(error)
        ) from error


def _links(pass_: Pass) -> Links:
    if pass_.around.links is None:
        raise InvalidOption("no URL that answers a wait can be made here: there is neither a server nor a key")
    return pass_.around.links


async def _open(pass_: Pass, key: Key, asked: Question, until: datetime) -> datetime:
    new = NewCallback(_own_id(pass_, key), pass_.id, key, asked.name, asked.prompt, asked.schema, until)
    return await outlast(pass_.around, lambda: pass_.around.store.callbacks.open_callback(new))


def _own_id(pass_: Pass, key: Key) -> UUID:
    """Depends on this execution and the call alone: a pass that died before its checkpoint has made the same one."""
    return derived_uuid(pass_.id, f"{key}/callback")


def _read(key: Key, value: bytes) -> Stored:
    try:
        return msgspec.json.decode(value, type=Stored)
    except msgspec.ValidationError as error:
        raise Diverged(step=key, expected="another value", met="a URL that answers a wait") from error
