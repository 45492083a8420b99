"""Headers that no honest sender sends are refused, each with a reason, and none of them raises.

(The security rows "webhook without signature, empty secret, header stripped" and "timing" of the catalogue of faults.)
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stepwell.sources
from stepwell.sources import Refused, Request, Verified
from tests.sources.endpoints import BY_NAME, ENDPOINTS, TIMED, Endpoint, value_of, with_header

MALFORMED = [
    b"",
    b" ",
    b",",
    b"=",
    b"v1",
    b"v1,",
    b"v1,a,b",
    b"v1,====",
    b"v1a,====",
    b"v1a," + b"A" * 86 + b"==",
    b"v0=",
    b"t=,v1=",
    b"t=x,v1=y",
    b"t=1767323045",
    b"t=1767323045,v1",
    b"t=" + b"9" * 5000 + b",v1=00",
    b"sha256=",
    b"sha256=zz",
    b"sha1=0000",
    b"Basic",
    b"Basic ",
    b"Basic ====",
    b"Basic Og==",
    b"Bearer",
    b"Bearer  ",
    b"Digest x",
    b"\xff\xfe\x00",
    "\uff21\uff22".encode(),
    b"{id}",
    b"{timestamp}",
    b"%s%n",
    b"A" * 100_000,
    b"v1,x " * 10_000,
    b"v1=x," * 10_000,
]
TIMES = [b"", b" ", b"-1", b"+1767323045", b"1_767_323_045", b"1767323045.0", b"1.7e9", b"inf", b"nan", b"0x695733e5"]
TIMES += [b"9" * 12, b"9" * 5000, "١٧٦٧٣٢٣٠٤٥".encode(), b"1767323045\x00", b"\xb2", b"0", b"now"]

CASES = [(endpoint, name) for endpoint in ENDPOINTS for name in endpoint.proof_headers]
each = pytest.mark.parametrize(("endpoint", "name"), CASES, ids=lambda value: getattr(value, "name", value))


@each
def test_proof_that_is_missing_is_refused(endpoint: Endpoint, name: str) -> None:
    assert isinstance(endpoint.verify(with_header(endpoint.delivery(), name)), Refused)


@each
@pytest.mark.parametrize("value", MALFORMED, ids=lambda value: repr(value[:20]))
def test_proof_that_is_malformed_is_refused(endpoint: Endpoint, name: str, value: bytes) -> None:
    assert isinstance(endpoint.verify(with_header(endpoint.delivery(), name, value)), Refused)


@each
def test_proof_that_came_twice_is_refused(endpoint: Endpoint, name: str) -> None:
    request = endpoint.delivery()
    right = value_of(request, name)

    assert isinstance(endpoint.verify(with_header(request, name, right, b"wrong")), Refused)
    assert isinstance(endpoint.verify(with_header(request, name, b"wrong", right)), Refused)
    assert isinstance(endpoint.verify(with_header(request, name, right, right)), Refused)


@each
def test_case_of_a_header_and_blanks_around_its_value_say_nothing(endpoint: Endpoint, name: str) -> None:
    request = endpoint.delivery()

    spaced = with_header(request, name.upper(), b" \t" + value_of(request, name) + b" ")

    assert endpoint.verify(spaced) == Verified(0)


@pytest.mark.parametrize("endpoint", TIMED, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("time", TIMES, ids=lambda value: repr(value[:20]))
def test_timestamp_that_is_no_whole_number_or_far_off_is_refused(endpoint: Endpoint, time: bytes) -> None:
    request, now = endpoint.delivery(), b"1767323045"

    hostile = replace(request, headers=[(name, value.replace(now, time)) for name, value in request.headers])

    assert hostile != request
    assert isinstance(endpoint.verify(hostile), Refused)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("secrets", [[], [b""], [b"", b""]], ids=["none", "empty", "empties"])
def test_empty_secret_proves_nothing(endpoint: Endpoint, secrets: list[bytes]) -> None:
    """Not even to somebody who signs with it."""
    for request in (endpoint.delivery(), Request.post({"Authorization": "Basic "}, b""), Request.post({}, b"")):
        verdict = endpoint.verify(request, secrets=secrets)

        assert isinstance(verdict, Refused)
        assert "no secret" in verdict.reason


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_secret_beside_an_empty_one_still_works(endpoint: Endpoint) -> None:
    assert endpoint.verify(endpoint.delivery(), secrets=[b"", endpoint.secret]) == Verified(1)


def test_standard_signatures_are_found_among_others_but_not_behind_too_many() -> None:
    endpoint = BY_NAME["standard-webhooks"]
    request = endpoint.delivery()
    right = value_of(request, "webhook-signature")

    assert endpoint.verify(with_header(request, "webhook-signature", b"v1,AAAA v9,x " + right)) == Verified(0)
    assert isinstance(endpoint.verify(with_header(request, "webhook-signature", b"v1,A " * 30 + right)), Refused)


def test_both_families_of_shopifys_headers_are_taken() -> None:
    endpoint = BY_NAME["shopify"]
    request = endpoint.delivery()
    proof = value_of(request, "X-Shopify-Hmac-Sha256")

    bare = with_header(request, "X-Shopify-Hmac-Sha256")

    assert endpoint.verify(with_header(bare, "shopify-hmac-sha256", proof)) == Verified(0)
    assert isinstance(endpoint.verify(bare), Refused)


def test_token_in_the_query_is_taken_but_not_beside_one_in_the_header() -> None:
    endpoint = BY_NAME["cloudevents"]
    request = endpoint.delivery()
    in_query = replace(with_header(request, "Authorization"), query=b"a=b&access_token=token-0123456789")

    assert endpoint.verify(in_query) == Verified(0)
    assert isinstance(endpoint.verify(replace(request, query=in_query.query)), Refused)
    assert isinstance(endpoint.verify(replace(in_query, query=in_query.query + b"&access_token=x")), Refused)
    assert isinstance(endpoint.verify(replace(in_query, query=b"access_token=" + b"&x" * 5000)), Refused)


header_bytes = st.binary(max_size=80) | st.sampled_from(MALFORMED + TIMES)
header_names = st.binary(max_size=20) | st.sampled_from([name.encode() for _, name in CASES])
requests = st.builds(
    Request,
    st.sampled_from(["POST", "OPTIONS", "GET", ""]),
    st.lists(st.tuples(header_names, header_bytes), max_size=8),
    st.binary(max_size=200),
    st.binary(max_size=60) | st.just(b"access_token=%ff%00"),
)


@given(endpoint=st.sampled_from(ENDPOINTS), request=requests, secrets=st.lists(st.binary(max_size=40), max_size=3))
def test_verifying_never_raises_whatever_the_bytes(endpoint: Endpoint, request: Request, secrets: list[bytes]) -> None:
    assert isinstance(endpoint.verify(request, secrets=[*secrets, endpoint.secret]), Verified | Refused)


def test_reason_of_a_refusal_quotes_no_secret() -> None:
    for endpoint, name in CASES:
        for value in (b"", b"wrong", endpoint.secret + b"x"):
            refused = endpoint.verify(with_header(endpoint.delivery(), name, value))

            assert isinstance(refused, Refused)
            assert endpoint.secret.decode() not in refused.reason


def test_digests_are_compared_in_constant_time_only() -> None:
    """A rule for the source text, not for a clock: no `==` or `in` where bytes of a proof are at hand."""
    folder = Path(stepwell.sources.__file__).parent
    texts = {name: (folder / name).read_text() for name in ("digests.py", "schemes.py")}
    compared = [line.strip() for text in texts.values() for line in text.splitlines() if re.search(r"[=!]=", line)]

    assert compared == [
        "if b64encode(signature) != written:  # bytes that several texts stand for are no two signatures",
        "return len(self._key(secret, self.public_prefix)) == ED25519_KEY_BYTES",
        'return value.strip().encode("latin-1") if name.lower() == scheme else b""',
    ]
    assert "hmac.compare_digest(expected, digest)" in texts["digests.py"]
    assert "compare_digest(digest, sha256(secret).digest())" in texts["schemes.py"]
