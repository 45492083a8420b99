"""Scopes and the texts of tokens."""

from __future__ import annotations

import pytest

from stepwell.core.tokens import PREFIX, SECRET_BYTES, Scope, digest_of, secret_of


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope.READ, {Scope.READ}),
        (Scope.OPERATE, {Scope.READ, Scope.OPERATE}),
        (Scope.ADMIN, {Scope.READ, Scope.OPERATE, Scope.ADMIN}),
    ],
)
def test_scope_covers_itself_and_what_stands_before_it(scope: Scope, covered: set[Scope]) -> None:
    assert {one for one in Scope if scope.covers(one)} == covered


def test_text_of_a_token_says_what_it_is_and_holds_all_its_randomness() -> None:
    secret = secret_of(bytes(range(SECRET_BYTES)))

    assert secret.startswith(PREFIX)
    assert secret != secret_of(bytes(range(1, SECRET_BYTES + 1)))
    assert len(secret) == len(PREFIX) + 43
    assert secret.removeprefix(PREFIX).replace("-", "").replace("_", "").isalnum()


def test_digest_does_not_show_the_text() -> None:
    assert digest_of("sw_x") != digest_of("sw_y")
    assert len(digest_of("sw_x")) == 32
    assert b"sw_" not in digest_of("sw_x")


def test_text_that_is_no_unicode_has_a_digest_like_any_other() -> None:
    assert digest_of("\udcff") != digest_of("x")
