"""Which addresses a request may go to: those of the public internet, and what somebody has allowed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from stepwell.errors import InvalidOption, Permanent

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Addresses that stand for an IPv4 address, with the bits behind it: what they lead to is what counts.
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215
_COMPATIBLE = ip_network("::/96")  # RFC 4291, section 2.5.5.1: deprecated, still routed by some


class EgressRefused(Permanent):
    """A request was to go where none may go: `host` is where, `reason` why not."""

    def __init__(self, host: str, reason: str) -> None:
        self.host, self.reason = host, reason
        super().__init__(f"no request may go to '{host}': {reason}")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed beyond the public internet: hosts by name, and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def allowing(cls, allowed: Iterable[str]) -> Rules:
        """The rules that allow these host names, addresses and networks ("10.1.0.0/16"). Raises InvalidOption."""
        hosts, networks = set(), []
        for text in filter(None, (part.strip().lower() for part in allowed)):
            try:
                networks.append(ip_network(text))
            except ValueError:
                if "/" in text or ":" in text:
                    raise InvalidOption(f"'{text}' is neither a host's name, an address nor a network") from None
                hosts.add(text.rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def check(self, host: str, addresses: Iterable[str]) -> tuple[str, ...]:
        """The addresses, if a request to the host may go to all of them; one that may not is reason enough to refuse.

        Raises EgressRefused.
        """
        found = tuple(addresses)
        if host.lower().rstrip(".") in self.hosts:
            return found
        for text in found:
            address = ip_address(text.partition("%")[0])
            if not self._is_allowed(address) and (reason := refusal(address)):
                raise EgressRefused(host, f"{text} is {reason}; STEPWELL_EGRESS_ALLOW={host} would allow it")
        return found

    def _is_allowed(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)


def refusal(address: Address) -> str | None:
    """Why no request may go to that address; None if it is one of the public internet (IANA's special registries)."""
    inner = _embedded(address)
    if inner is not None:
        reason = refusal(inner)
        return None if reason is None else f"another form of {inner}, which is {reason}"
    if address.is_loopback:
        return "this machine"
    if address.is_link_local:
        return "link-local, where clouds keep credentials"
    if address.is_multicast:
        return "multicast"
    if address.is_unspecified or address.is_reserved:
        return "reserved"
    if not address.is_global or (isinstance(address, IPv6Address) and address.is_site_local):
        return "private"
    return None


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 or 6to4."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _COMPATIBLE and int(address) > 1:
        return IPv4Address(int(address))
    return None
