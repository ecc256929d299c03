"""Which addresses may be connected to at all.

Host names come from less trusted people, and what a name resolves to comes from anyone: nothing
that asks a name server, fetches a policy or speaks to a mail host may be led into the operator's
own network (security.md 6, ASVS 1.3.6). So an address is judged, never a name, and who connects,
connects to the address that was judged: looking it up again is how rebinding works.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

_CLOSED_4 = tuple(
    (IPv4Network(network), name)
    for network, name in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "an address shared behind a carrier's NAT"),
        ("127.0.0.0/8", "a loopback address"),
        ("168.63.129.16/32", "a cloud's metadata address"),
        ("169.254.169.254/32", "a cloud's metadata address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "an address reserved for protocols"),
        ("192.0.2.0/24", "an address for documentation"),
        ("192.88.99.0/24", "a 6to4 relay's address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "an address for benchmarks"),
        ("198.51.100.0/24", "an address for documentation"),
        ("203.0.113.0/24", "an address for documentation"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
"""IANA's IPv4 special-purpose registry (RFC 6890) but for what is reachable from anywhere, and
Azure's wire server, which is a public address that isn't."""

_CLOSED_6 = tuple(
    (IPv6Network(network), name)
    for network, name in (
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("64:ff9b:1::/48", "an address of a local NAT64"),
        ("2001::/23", "an address reserved for protocols"),
        ("2001:db8::/32", "an address for documentation"),
        ("3fff::/20", "an address for documentation"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
"""What has a name of its own; 2001::/23 holds Teredo."""

_PUBLIC_6 = IPv6Network("2000::/3")
"""All that is handed out as global unicast (RFC 4291 section 2.4)."""

_INSIDE_LAST = tuple(map(IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))
"""Mapped (RFC 4291 section 2.5.5.2) and NAT64 (RFC 6052): the last 32 bits are an IPv4 address."""

_SIX_TO_FOUR = IPv6Network("2002::/16")
"""6to4 (RFC 3056 section 2): the 32 bits after the prefix are an IPv4 address."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be connected to: any public address, and whatever lies in `networks`, which the
    operator has allowed by name."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def allowed(self, address: str) -> bool:
        """Whether it may be connected to. False for what is no IP address."""
        return self.refusal(address) is None

    def check(self, address: str) -> None:
        """Raises `BadInput` with one sentence when it may not be connected to."""
        why = self.refusal(address)
        if why is not None:
            raise BadInput(
                f"{printable(address, 60)} is {why} and isn't connected to; allow its network to"
                " mailhaul if it is meant"
            )

    def refusal(self, address: str) -> str | None:
        """What it is that keeps it from being connected to, such as `a private address`; None: it
        may be. An IPv6 address that stands for an IPv4 one is judged by that."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return "no IP address"
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            return "an address of one link only"
        if any(parsed in network for network in self.networks):
            return None
        if isinstance(parsed, IPv4Address):
            return _named(parsed, _CLOSED_4)
        inside = _inside(parsed)
        if inside is not None:
            return self.refusal(str(inside))
        if name := _named(parsed, _CLOSED_6):
            return name
        return None if parsed in _PUBLIC_6 else "a reserved address"


def allowance(networks: Iterable[str]) -> Allowance:
    """The allowance of networks as a person writes them: `127.0.0.0/8`, `fd00::/8`, or one address.
    Raises `BadInput` for what is no network."""
    return Allowance(tuple(_parsed(networks)))


def _parsed(networks: Iterable[str]) -> Iterator[IPv4Network | IPv6Network]:
    for text in networks:
        try:
            yield ip_network(text.strip())
        except ValueError as error:
            raise BadInput(
                f"“{printable(text, 60)}” is no network; write it as 10.1.0.0/16 or fd00::/8"
            ) from error


def _named(
    address: IPv4Address | IPv6Address,
    table: Iterable[tuple[IPv4Network | IPv6Network, str]],
) -> str | None:
    return next((name for network, name in table if address in network), None)


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that it stands for."""
    number = int(address)
    if any(address in network for network in _INSIDE_LAST):
        return IPv4Address(number & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFFFFFF)
    return None
