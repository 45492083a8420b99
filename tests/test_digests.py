"""Digests of arguments: the same for the same ones, in any process, and saying nothing of secrets."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from stepwell.codec import digest
from stepwell.core.connections import Secret
from tests.test_codec import Box, Client, Customer, changing, plain, texts


@given(st.dictionaries(texts, plain), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_change_a_digest(value: dict[str, Any], chance: random.Random) -> None:
    shuffled = dict(chance.sample(list(value.items()), len(value)))

    assert digest((value,), {}) == digest((shuffled,), {})
    assert digest((), value) == digest((), shuffled)


@given(st.recursive(plain | changing, lambda children: st.lists(children) | st.tuples(children), max_leaves=5))
def test_a_digest_is_32_bits_whatever_the_arguments(value: Any) -> None:
    assert -(2**31) <= digest((value,), {"also": value, "\ud800": 1}) < 2**31


@given(plain, plain)
def test_other_arguments_have_another_digest(one: Any, other: Any) -> None:
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))

    assert digest((one,), {}) != digest((other,), {})


def test_what_has_no_encoding_counts_by_the_name_of_its_type() -> None:
    assert digest((Client(), lambda: 1), {}) == digest((Client(), lambda: 2), {})
    assert digest((Client(),), {}) != digest((lambda: 1,), {})
    assert digest(({1: Client()}, 7), {}) != digest(({1: Client()}, 8), {})


def test_a_changed_field_changes_the_digest_beside_a_part_without_encoding() -> None:
    assert digest((Box(Client(), Box(1)),), {}) != digest((Box(Client(), Box(2)),), {})
    assert digest((Customer(name="a"),), {}) != digest((Customer(name="b"),), {})


def test_a_digest_is_the_same_in_another_process() -> None:
    program = (
        "from stepwell.codec import digest; from datetime import *; from decimal import Decimal;"
        "print(digest((7, {'x', 'y', 'z'}, datetime(2024, 1, 1, tzinfo=UTC), lambda: 1),"
        " {'d': Decimal('1.0'), 'c': {'b': 0.1, 'a': None}}))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert answers == {"294168812\n"}


def test_digest_of_a_secret_does_not_depend_on_it() -> None:
    """A digest is stored: it must not tell what a guess would be."""
    assert digest((Secret("one"),), {}) == digest((Secret("other"),), {})
