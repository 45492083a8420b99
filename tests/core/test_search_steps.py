"""How far the next look goes when a page is not full yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell.core.search import FIRST_ID, LOOK_ROWS, Piece, Place, further

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def looked(rows: int, *, down_to: datetime = NOON - HOUR) -> Piece:
    return Piece(rows, NOON, Place(down_to, FIRST_ID))


def down_to(piece: Piece) -> datetime | None:
    return piece.reached.created_at if piece.reached else None


def test_next_look_goes_for_twice_what_is_missing() -> None:
    assert down_to(further(looked(200), found=10, missing=40)) == NOON - HOUR - 8 * HOUR


def test_looks_add_up() -> None:
    assert further(looked(200), found=10, missing=40).looked_at == 9 * 200


def test_next_look_takes_thousands_when_nothing_was_found() -> None:
    assert down_to(further(looked(LOOK_ROWS // 10), found=0, missing=50)) == NOON - HOUR - 10 * HOUR


def test_what_thousands_have_not_shown_is_looked_for_to_the_end() -> None:
    assert further(looked(LOOK_ROWS), found=0, missing=50).reached is None


def test_many_at_one_moment_are_looked_beyond() -> None:
    at = down_to(further(looked(100, down_to=NOON), found=1, missing=50))
    assert at is not None
    assert at < NOON


@pytest.mark.parametrize("piece", [Piece(10, NOON, None), Piece(0, None, None)])
def test_nothing_comes_after_the_end(piece: Piece) -> None:
    assert further(piece, found=3, missing=5).reached is None


def test_look_back_beyond_the_first_day_goes_to_the_end() -> None:
    early = datetime(1, 1, 2, tzinfo=UTC)
    assert further(Piece(5, NOON, Place(early, FIRST_ID)), found=1, missing=50).reached is None
