"""What a plan has agreed to: to whom canary mail may go at all, how fast, and how it speaks.

A probe troubles somebody else's mail host, so there are none without `Terms`, and `canary.smtp`
says no address to any host that isn't in them: never one outside the plan's domains, never one
that the plan doesn't move. The one exception is a *stranger*, an address of a domain of the plan
that nobody has, by which a host that accepts everything is told from one that knows its people; no
message is ever sent to it.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

PER_MINUTE = 30.0
PER_CONNECTION = 20
"""Recipients named in one connection: Postfix hangs up at 20 errors (smtpd_hard_error_limit)."""
PATIENCE = 60.0
"""Seconds for one answer: tarpits let one wait for half a minute."""
CONNECTING = 15.0

_STRANGER = "mailhaul-nobody-"
_LONGEST_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
_LONGEST = 254  # section 4.5.3.1.3, without the brackets
_DOT_ATOM = re.compile(r'[^\s.()<>\[\]:;@\\,"]+(\.[^\s.()<>\[\]:;@\\,"]+)*')
_QUOTED = re.compile(r'"([^"\\]|\\[ -~])*"')
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_LITERAL = re.compile(r"\[(\d+\.\d+\.\d+\.\d+|IPv6:[0-9A-Fa-f:.]+)\]")


class Encryption(StrEnum):
    """What to do about TLS."""

    WANTED = "wanted"
    """As mail hosts among themselves do (RFC 7435): STARTTLS where it is offered, whatever the
    certificate, else in the clear; what was wrong with it is told."""
    REQUIRED = "required"
    """As one does that knows a policy (RFC 8461 section 4): STARTTLS with a certificate that stands
    for the host, or nothing is said."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed to; made by `agreed`. Addresses are as `address_of` writes them."""

    addresses: frozenset[str]
    domains: frozenset[str]
    speaker: str = ""
    """What we call ourselves in EHLO: this machine's name, or its address as `[192.0.2.1]`; empty:
    the address from which the host is connected to (RFC 5321 section 4.1.4)."""
    sender: str = ""
    """The envelope sender; empty: the null sender, to which nothing ever bounces."""
    per_minute: float = PER_MINUTE
    per_connection: int = PER_CONNECTION
    encryption: Encryption = Encryption.WANTED
    patience: float = PATIENCE
    connecting: float = CONNECTING


def agreed(
    addresses: Iterable[str],
    domains: Iterable[str],
    *,
    speaker: str = "",
    sender: str = "",
    per_minute: float = PER_MINUTE,
    per_connection: int = PER_CONNECTION,
    encryption: Encryption = Encryption.WANTED,
    patience: float = PATIENCE,
    connecting: float = CONNECTING,
) -> Terms:
    """The terms of a plan that moves these addresses of these domains (A-labels). Raises `BadInput`
    for what is no address, for one of another domain, and for a speed that is none."""
    own = frozenset(domain.lower().rstrip(".") for domain in domains)
    for domain in own:
        if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
            raise BadInput(
                f"{printable(domain, 100) or 'an empty text'} is no domain as mail hosts know it; "
                "write it as example.org, with its A-labels"
            )
    moved = frozenset(map(address_of, addresses))
    for address in moved:
        if domain_of(address) not in own:
            raise BadInput(
                f"{address} is in none of the plan's domains; canary mail never leaves them"
            )
    if speaker and not (_DOMAIN.fullmatch(speaker.lower()) or _LITERAL.fullmatch(speaker)):
        raise BadInput(
            f"“{printable(speaker, 100)}” is no name to greet a mail host with; "
            "give this machine's full name, or its address as [192.0.2.1] (RFC 5321 4.1.4)"
        )
    if not (math.isfinite(per_minute) and per_minute > 0 and per_connection >= 2):
        raise BadInput("canary mail needs a rate above 0 a minute, and 2 recipients a connection")
    return Terms(
        moved,
        own,
        speaker,
        address_of(sender) if sender else "",
        per_minute,
        per_connection,
        encryption,
        patience,
        connecting,
    )


def address_of(text: str) -> str:
    """The address (RFC 5321 section 4.1.2, RFC 6531), its domain in small letters. Raises
    `BadInput` for what no mail host can be told."""
    local, at, domain = text.strip().rpartition("@")
    lowered = domain.lower()
    if not (
        at
        and local == printable(local, _LONGEST)
        and (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local))
        and len(local.encode()) <= _LONGEST_LOCAL
        and len(text.strip().encode()) <= _LONGEST
        and _DOMAIN.fullmatch(lowered)
    ):
        raise BadInput(
            f"“{printable(text, 120)}” is no address that mail can be sent to; write "
            "name@example.org, the domain with its A-labels"
        )
    return f"{local}@{lowered}"


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def stranger(domain: str, token: str) -> str:
    """An address of the domain that nobody has; `token` makes it so."""
    return f"{_STRANGER}{token[:16]}@{domain}"


def may_be_named(terms: Terms, address: str) -> bool:
    """Whether a host may be asked about the address."""
    known = domain_of(address) in terms.domains and address.startswith(_STRANGER)
    return known or may_be_sent_to(terms, address)


def may_be_sent_to(terms: Terms, address: str) -> bool:
    """Whether a message may be sent to the address."""
    return address in terms.addresses and domain_of(address) in terms.domains
