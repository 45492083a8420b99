"""Who may use the HTTP API: on memory and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stepwell.core.tokens import NewToken, Scope, Token, digest_of
from stepwell.store.base import Tokens
from stepwell.store.identity import new_id
from tests.store.world import DAY, HOUR, MINUTE, World


async def made(
    tokens: Tokens,
    name: str = "ci",
    *,
    secret: str = "sw_one",
    scope: Scope = Scope.OPERATE,
    expires_in: timedelta | None = None,
) -> Token | None:
    return await tokens.create_token(NewToken(new_id(), digest_of(secret), name, scope, "ann", expires_in))


async def test_token_is_found_by_the_digest_of_its_text_only(world: World) -> None:
    created = await made(world.store.tokens)

    admitted = await world.store.tokens.identify(digest_of("sw_one"))

    assert created == admitted.token
    assert created is not None
    assert (created.name, created.scope, created.created_by) == ("ci", Scope.OPERATE, "ann")
    for other in (digest_of("sw_two"), b"", b"sw_one", None):
        assert await world.store.tokens.identify(other) == (True, None)


async def test_without_any_token_the_store_says_so(world: World) -> None:
    assert await world.store.tokens.identify(None) == (False, None)
    assert await world.store.tokens.identify(digest_of("sw_one")) == (False, None)


async def test_name_is_taken_until_it_is_revoked(world: World) -> None:
    tokens = world.store.tokens
    await made(tokens)

    assert await made(tokens, secret="sw_two") is None
    await tokens.revoke_token("ci", by="bob")
    assert await made(tokens, secret="sw_two") is not None

    assert [(one.name, one.revoked_by) for one in await tokens.tokens()] == [("ci", "bob"), ("ci", None)]


async def test_revoked_token_is_refused_and_still_counts_as_one(world: World) -> None:
    tokens = world.store.tokens
    await made(tokens)

    revoked = await tokens.revoke_token("ci", by="bob")

    assert revoked is not None
    assert revoked.revoked_at is not None
    assert await tokens.identify(digest_of("sw_one")) == (True, None)
    assert await tokens.revoke_token("ci", by="bob") is None
    assert await tokens.revoke_token("nobody", by="bob") is None


async def test_token_is_good_until_it_expires(world: World) -> None:
    await made(world.store.tokens, expires_in=HOUR)
    assert (await world.store.tokens.identify(digest_of("sw_one"))).token is not None

    world.advance(HOUR)

    assert await world.store.tokens.identify(digest_of("sw_one")) == (True, None)


async def test_use_of_a_token_is_noted_to_the_minute(world: World) -> None:
    tokens = world.store.tokens
    await made(tokens)

    await tokens.identify(digest_of("sw_one"))
    (first,) = await tokens.tokens()
    await tokens.identify(digest_of("sw_one"))
    (second,) = await tokens.tokens()
    world.advance(2 * MINUTE)
    await tokens.identify(digest_of("sw_one"))
    (third,) = await tokens.tokens()

    assert first.last_used_at is not None
    assert second.last_used_at == first.last_used_at
    assert third.last_used_at is not None
    assert third.last_used_at - first.last_used_at < DAY
    assert third != second


@pytest.mark.parametrize("scope", Scope)
async def test_every_scope_is_kept(world: World, scope: Scope) -> None:
    await made(world.store.tokens, scope=scope)

    (kept,) = await world.store.tokens.tokens()

    assert kept.scope is scope
