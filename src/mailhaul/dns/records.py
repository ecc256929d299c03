"""Records: what stands, or is to stand, in a zone.

A value is the record's data in one canonical spelling, so that equal data are equal texts: names as
in `dns.names`; `10 mx.example.org` for MX, `0 0 443 host.example.org` for SRV; the whole text of a
TXT record joined, without quotes (RFC 7208 section 3.3), octets of it that are no UTF-8 as lone
surrogates (PEP 383); addresses as `ipaddress` writes them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

STRING = 255
"""Octets of one character-string of a TXT record (RFC 1035 section 3.3)."""


class Kind(StrEnum):
    """Types of records that the move of mail is about."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    SOA = "SOA"
    SRV = "SRV"
    TXT = "TXT"
    TLSA = "TLSA"
    DS = "DS"


NAMED = frozenset({Kind.CNAME, Kind.MX, Kind.NS, Kind.SRV})
"""Kinds whose value ends with a name."""


@dataclass(frozen=True, slots=True)
class RecordSet:
    """All records of one name and kind. `ttl` is in seconds; no values: there is no such record."""

    name: str
    kind: Kind
    ttl: int
    values: tuple[str, ...]

    @property
    def key(self) -> tuple[str, Kind]:
        return self.name, self.kind


@dataclass(frozen=True, slots=True)
class MailHost:
    """One MX record (RFC 5321 section 5.1). An empty host is the null MX of RFC 7505."""

    preference: int
    host: str

    def __str__(self) -> str:
        return f"{self.preference} {self.host or '.'}"


def mail_hosts(values: Iterable[str]) -> list[MailHost]:
    """The hosts of MX values, best first."""
    found = []
    for value in values:
        preference, _, host = value.partition(" ")
        found.append(MailHost(int(preference), host.rstrip(".")))
    return sorted(found, key=lambda each: (each.preference, each.host))


def zone_lines(records: RecordSet) -> Iterator[str]:
    """The records as lines of a zone file (RFC 1035 section 5), to be pasted as they are."""
    for value in records.values:
        yield f"{records.name}. {records.ttl} IN {records.kind} {zone_value(records.kind, value)}"


def zone_value(kind: Kind, value: str) -> str:
    """The value as a zone file spells it: names absolute, texts quoted and cut into strings."""
    if kind is Kind.TXT:
        return " ".join(_strings(value))
    if kind in NAMED:
        return value if value.endswith(".") else f"{value}."
    return value


def _strings(text: str) -> Iterator[str]:
    octets = text.encode(errors="surrogateescape")
    for start in range(0, max(1, len(octets)), STRING):
        piece = octets[start : start + STRING]
        yield '"' + "".join(map(_quoted, piece)) + '"'


def _quoted(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 32 <= octet < 127 else f"\\{octet:03}"
