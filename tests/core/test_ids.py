"""UUIDv7."""

from __future__ import annotations

from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.ids import uuid7

MOMENTS = st.integers(0, 2**48 - 1)
CHANCE = st.integers(0, 2**74 - 1)


@given(MOMENTS, CHANCE)
def test_id_is_a_version_7_uuid_that_says_its_moment(unix_ms: int, random_bits: int) -> None:
    """RFC 9562, section 5.7."""
    made = uuid7(unix_ms=unix_ms, random_bits=random_bits)

    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == unix_ms


@given(MOMENTS, CHANCE, MOMENTS, CHANCE)
def test_order_of_ids_is_the_order_of_moments_then_of_chance(first: int, one: int, second: int, other: int) -> None:
    earlier, later = uuid7(unix_ms=first, random_bits=one), uuid7(unix_ms=second, random_bits=other)

    assert (earlier < later) == ((first, one) < (second, other))


def test_the_example_of_the_rfc_is_made_from_its_parts() -> None:
    """RFC 9562, appendix A.6."""
    made = uuid7(unix_ms=0x017F22E279B0, random_bits=0xCC3 << 62 | 0x18C4DC0C0C07398F)

    assert str(made) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
