"""Whom questions go to: network, resolvers and delegations, put together for one look."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

import dns.exception
import dns.resolver

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.answers import Server
from mailhaul.dns.authority import Delegations
from mailhaul.dns.direct import DirectResolver
from mailhaul.dns.guard import Allowance
from mailhaul.dns.network import Patience, WireNetwork
from mailhaul.dns.recursive import PUBLIC, RecursiveResolver, Remembering
from mailhaul.dns.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Asking:
    """For one look at any number of domains; a later look is made with a new one, since answers
    and delegations are remembered. `caches` are the recursive servers that the spreading of a
    change is watched at, `recursive` is the world's view, `delegations` finds zones."""

    network: WireNetwork
    caches: tuple[Server, ...]
    recursive: Resolver
    delegations: Delegations

    def own(self, *domains: str) -> Resolver:
        """The view of these domains' own servers; of other names, the world's."""
        return Remembering(DirectResolver(self.network, self.delegations, self.recursive, domains))


def asking(
    allowance: Allowance,
    resolvers: Iterable[str] = (),
    *,
    port: int = 53,
    patience: Patience | None = None,
) -> Asking:
    """Asks the recursive servers given, as `9.9.9.9` or `127.0.0.1@5353`; without any, well-known
    public ones, and this machine's own where none of these can be reached. `port` is where the
    servers of zones are asked. Raises `BadInput` for what is no address, or one that isn't
    allowed."""
    caches = tuple(_resolver(each, allowance) for each in resolvers)
    own: tuple[Server, ...] = ()
    if not caches:
        caches, own = PUBLIC, machines_own()
    network = WireNetwork(allowance, trusted=own, patience=patience)
    order = (*caches, *(each for each in own if each not in caches))
    recursive = Remembering(RecursiveResolver(network, order))
    return Asking(network, caches, recursive, Delegations(network, recursive, port=port))


def machines_own() -> tuple[Server, ...]:
    """The resolvers that this machine is set up with; none where it isn't."""
    try:
        found = dns.resolver.Resolver().nameservers
    except (dns.exception.DNSException, OSError):
        return ()
    return tuple(Server(str(each), host="this machine's") for each in found if _is_address(each))


def _resolver(text: str, allowance: Allowance) -> Server:
    address, at, port = text.strip().partition("@")
    if not _is_address(address) or (at and not _is_port(port)):
        raise BadInput(
            f"“{printable(text, 80)}” is no resolver; write its address as 9.9.9.9 or"
            " 192.0.2.53@5353"
        )
    allowance.check(address)
    return Server(address, int(port or 53))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def _is_address(text: object) -> bool:
    try:
        ip_address(str(text))
    except ValueError:
        return False
    return True
