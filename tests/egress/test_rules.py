"""Which addresses a request may go to (FAULTS: SSRF)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from stepwell.egress.rules import EgressRefused, Rules, refusal
from stepwell.errors import InvalidOption

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8"]

REFUSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.1.2.3",
    "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1", "::ffff:0:0", "::127.0.0.1", "::a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::a00:1", "100::1", "2001:db8::1",
    "2001:10::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff00::1", "ff02::1", "ff05::1:3",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(ip_address(address)) is None


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_of_the_public_internet_are_refused(address: str) -> None:
    assert refusal(ip_address(address))


def test_one_bad_address_of_a_host_is_reason_enough() -> None:
    with pytest.raises(EgressRefused, match=r"169\.254\.169\.254 is link-local.*STEPWELL_EGRESS_ALLOW=evil.example"):
        Rules().check("evil.example", ["8.8.8.8", "169.254.169.254"])


def test_hosts_addresses_and_networks_can_be_allowed() -> None:
    rules = Rules.allowing(["Intra.Example.", "10.1.0.0/16", "::1", " "])

    assert rules.check("intra.example", ["192.168.0.1"]) == ("192.168.0.1",)
    assert rules.check("other.example", ["10.1.2.3", "::1"]) == ("10.1.2.3", "::1")
    with pytest.raises(EgressRefused):
        rules.check("other.example", ["10.2.0.1"])
    with pytest.raises(EgressRefused):
        rules.check("sub.intra.example", ["192.168.0.1"])


@pytest.mark.parametrize("text", ["10.0.0.0/99", "http://x", "10.0.0.1/8"])
def test_rule_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="neither a host's name, an address nor a network"):
        Rules.allowing([text])
