"""Addresses as control planes are told them: what can be one, and when two are the same.

Providers' addresses are dot-atoms (RFC 5321 section 4.1.2, RFC 6531): nothing that needs quoting,
no blank, no control character, so that no command, path or script is ever ended by one.
"""

import re
import unicodedata
from dataclasses import dataclass

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.names import domain_name

LONGEST_LOCAL_PART = 64
"""Octets (RFC 5321 section 4.5.3.1.1)."""

_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+")
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


@dataclass(frozen=True, slots=True)
class Parts:
    """An address; `domain` as in `dns.names`, `local` as it was written."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parts(address: str) -> Parts:
    """The two sides of the address. Raises `BadInput` for what no account's address can be."""
    local, at, domain = address.rpartition("@")
    if not at or not _sound(local):
        raise BadInput(
            f"{printable(address, 200) or 'an empty text'} can't be an account's address; write "
            "name@domain, the name of letters, digits and !#$%&'*+-/=?^_`{|}~ with single dots"
        )
    return Parts(local, domain_name(domain))


def folded(address: str) -> str:
    """The address to compare by: without regard to case, its domain in A-labels. What is no
    address is equal to itself."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local.casefold()}@{domain_name(domain)}"
    except BadInput:
        return address.casefold()


def same(one: str, other: str) -> bool:
    """Whether both are one address."""
    return folded(one) == folded(other)


def _sound(local: str) -> bool:
    return (
        0 < len(local.encode(errors="replace")) <= LONGEST_LOCAL_PART
        and all(_ATOM.fullmatch(atom) for atom in local.split("."))
        and not any(unicodedata.category(each) in _UNSAFE_CATEGORIES for each in local)
    )
