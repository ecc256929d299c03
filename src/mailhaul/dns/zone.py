"""A zone that can be changed: what it holds, edits of it, and who carries them out.

A `ZoneWriter` is a dynamic update (`dns.rfc2136`), a person (`dns.manual`) or a provider. All of
them read before they write and refuse when what stands there isn't what the edit was made from:
nobody's change is ever overwritten.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailhaul.core.errors import MailhaulError
from mailhaul.core.finding import Finding
from mailhaul.dns.diagnosis import finding
from mailhaul.dns.records import Kind, RecordSet, zone_value
from mailhaul.dns.switch_codes import MEANINGS, Code

Key = tuple[str, Kind]


@dataclass(frozen=True, slots=True)
class Held:
    """A record set as a zone holds it. `spelled` are its values in the zone's own words, in the
    order of `records.values`, where these differ from what `dns.records` makes of them: a TXT
    record cut into strings elsewhere, a name in capitals. They are put back as they were."""

    records: RecordSet
    spelled: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.records.key

    @property
    def values(self) -> frozenset[str]:
        return frozenset(self.records.values)

    def texts(self) -> dict[str, str]:
        """Each value, and how a zone file spells it."""
        kind, values = self.records.kind, self.records.values
        if self.spelled:
            return dict(zip(values, self.spelled, strict=True))
        return {value: zone_value(kind, value) for value in values}

    def lines(self) -> Iterator[str]:
        """The records as lines of a zone file."""
        records = self.records
        for text in self.texts().values():
            yield f"{records.name}. {records.ttl} IN {records.kind} {text}"


def held(name: str, kind: Kind, ttl: int, texts: dict[str, str]) -> Held:
    """The record set of these values and their spellings, in canonical order."""
    values = tuple(sorted(texts))
    spelled = tuple(texts[value] for value in values)
    plain = tuple(zone_value(kind, value) for value in values)
    return Held(RecordSet(name, kind, ttl, values), () if spelled == plain else spelled)


def nothing(key: Key) -> Held:
    """There is no such record."""
    return Held(RecordSet(*key, 0, ()))


@dataclass(frozen=True, slots=True)
class Edit:
    """One record set, before and after; without values it isn't there."""

    before: Held
    after: Held

    @property
    def key(self) -> Key:
        return self.after.key

    @property
    def undone(self) -> "Edit":
        """The edit that takes this one back."""
        return Edit(self.after, self.before)

    @property
    def gone(self) -> frozenset[str]:
        """Values that it takes away."""
        return self.before.values - self.after.values

    @property
    def fresh(self) -> frozenset[str]:
        """Values that it brings."""
        return self.after.values - self.before.values


def difference(edits: Iterable[Edit]) -> list[str]:
    """The edits for a person: lines of a zone file, `- ` before those to remove and `+ ` before
    those to write, those to remove first."""
    found = [(set(edit.before.lines()), set(edit.after.lines())) for edit in edits]
    return [
        *(f"- {line}" for before, after in found for line in sorted(before - after)),
        *(f"+ {line}" for before, after in found for line in sorted(after - before)),
    ]


class ZoneError(MailhaulError):
    """The zone could not be read or changed, and why. `written` is false when it is certain that
    nothing was changed; None when nobody knows."""

    def __init__(
        self, code: Code, evidence: str, *, remedy: str = "", written: bool | None = False
    ) -> None:
        self.finding: Finding = finding(MEANINGS, code, evidence, remedy)
        self.code = code
        self.written = written
        super().__init__(f"{evidence}; {self.finding.remedy}")


class PersonWrites(MailhaulError):
    """Nothing was changed, for a person has to. `lines` say what, as `difference` does."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("whoever holds the zone has to write: " + "; ".join(self.lines))


class ZoneWriter(Protocol):
    """One zone, and the right to change it."""

    @property
    def zone(self) -> str:
        """The zone's name, as in `dns.names`."""

    @property
    def by_person(self) -> bool:
        """Whether `change` always ends in `PersonWrites`. Such zones come last, and what a person
        has written is never taken back behind his back."""

    async def read(self, keys: Iterable[Key]) -> dict[Key, Held]:
        """What the zone itself holds under each of the keys, with its TTL as written: no answer of
        a wildcard, nothing that a CNAME leads to. Raises `ZoneError`."""

    async def change(self, edits: Sequence[Edit]) -> None:
        """Carries out all of the edits or none. Those whose `before` is not what stands there
        (values; a TTL may pass unseen) are `ZoneError` with ZONE_EDITED, and none is carried out.
        Done when it returns, as far as the server tells: who must be sure reads again."""
