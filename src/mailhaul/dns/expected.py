"""What a domain's zone is to say for the move: plain values, wherever they come from.

A plan, a file (`--expect`), a built-in profile or a provider gives an `Expected`; checks compare it
with what is found, `dns.desired` turns it into records, the switch writes those.
"""

from dataclasses import dataclass
from enum import StrEnum

from mailhaul.dns.records import Kind, MailHost


class Moment(StrEnum):
    """When a record may be written."""

    NOW = "now"
    """It does no harm before the switch: ownership, the new SPF term, DKIM."""
    SWITCH = "with the switch"
    """It leads mail or programs to the new system: MX, autodiscover."""
    END = "after the sweeps"
    """What is taken away once nothing comes through the old system any more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One record set of which all values are known. `topic` is what it serves, for people:
    `autodiscover`, `DKIM`, `ownership`, `client set-up`."""

    topic: str
    name: str
    kind: Kind
    values: tuple[str, ...]
    moment: Moment
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A third-party filter in front: MX stays as it is, and what changes is where the filter
    forwards to. `name` as people call it; `hosts` are what MX names now."""

    name: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """All that the move of one domain needs.

    `mx` is the whole new set. `spf` are terms that the new system needs (`include:…`), `spf_old`
    those of the old one, which stay until the sweeps end; `spf_all` is what the record ends with,
    or empty to leave that as it is. `dkim` names selectors that must resolve though their values
    are unknown; known ones are in `records`. `old_mx` are hosts of the old system, by which an MX
    that still points there is recognised; empty: whatever was found at first.
    """

    domain: str
    mx: tuple[MailHost, ...] = ()
    old_mx: tuple[str, ...] = ()
    spf: tuple[str, ...] = ()
    spf_old: tuple[str, ...] = ()
    spf_all: str = ""
    dkim: tuple[str, ...] = ()
    records: tuple[Wanted, ...] = ()
    ttl: int = 300
    filter: Filter | None = None
    source: str = ""
    """Where this was taken from, for people: a profile's name, a file."""
