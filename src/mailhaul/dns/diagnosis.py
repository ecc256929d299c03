"""The diagnosis of a domain, as it is told: expected beside found, record by record."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailhaul.core.finding import Finding, Meaning, Severity
from mailhaul.dns.records import Kind, RecordSet


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that was looked at. `expected` and `found` are values as in `dns.records`, or
    sentences where no value is known; `write` is what the zone should hold instead, ready to be
    pasted by `dns.records.zone_lines` (a set without values is to be removed); empty when nothing
    is to be written."""

    topic: str
    name: str
    kind: Kind
    expected: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    ttl: int | None = None
    findings: tuple[Finding, ...] = ()
    write: tuple[RecordSet, ...] = field(default=())

    @property
    def severity(self) -> Severity | None:
        """The worst of its findings; None: it is as it should be."""
        return min((each.severity for each in self.findings), key=lambda s: s.rank, default=None)

    @property
    def good(self) -> bool:
        """Green or red: whether nothing in it blocks or warns."""
        return all(each.severity is Severity.TELLS for each in self.findings)


def finding(meanings: Mapping[str, Meaning], code: str, evidence: str, remedy: str = "") -> Finding:
    """The finding of that code; the table's remedy unless there is a better one."""
    meaning = meanings[code]
    return Finding(code, meaning.severity, evidence, remedy or meaning.remedy)
