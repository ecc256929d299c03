"""What a switch changes, as a value that is kept: the way there and the way back.

It is written down before the first record is, and never changed after: whoever was interrupted
applies or returns the one that was kept.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.names import inside
from mailhaul.dns.records import Kind, RecordSet, zone_value
from mailhaul.dns.zone import Edit, Held, Key, difference, held, nothing

FORMAT = "mailhaul-zone-1"
"""What a snapshot's text begins with; another one is another format."""

WRITABLE = frozenset(Kind) - {Kind.SOA, Kind.NS, Kind.DS}
"""The others say whose the zone is, and not where mail goes."""


@dataclass(frozen=True, slots=True)
class Change:
    """The edits of one zone; they are carried out all or none."""

    zone: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The records that a switch changes, as they were when it was planned and as they are to be.
    `taken` is aware."""

    taken: datetime
    changes: tuple[Change, ...]

    @property
    def edits(self) -> tuple[Edit, ...]:
        return tuple(edit for change in self.changes for edit in change.edits)

    def lines(self) -> list[str]:
        """The whole difference for a person, as `dns.zone.difference` has it."""
        return difference(self.edits)


def planned(
    zones: Iterable[str], present: Mapping[Key, Held], wanted: Iterable[RecordSet], now: datetime
) -> Snapshot:
    """What must change so that `wanted` stands, where `present` does. What stands already is no
    edit; a snapshot without edits has nothing to do. `present` holds what the zones hold
    (`dns.switch.read`) under every key of `wanted`, and better all that stands beside them.

    Raises `BadInput` for a name in none of the zones, for kinds that aren't written this way, and
    where a CNAME would stand beside something (RFC 1034 section 3.6.2)."""
    by_zone: dict[str, list[Edit]] = {zone: [] for zone in zones}
    after = {key: there.records for key, there in present.items()}
    for records in wanted:
        zone = zone_of(records.name, by_zone)
        _check(records, zone)
        before = present.get(records.key, nothing(records.key))
        after[records.key] = records
        texts = before.texts()
        aim = held(
            *records.key,
            records.ttl,
            {each: texts.get(each, zone_value(records.kind, each)) for each in records.values},
        )
        ttl_moves = bool(records.values) and records.ttl != before.records.ttl
        if aim.values != before.values or ttl_moves:
            by_zone[zone].append(Edit(before, aim if records.values else nothing(records.key)))
    _check_aliases(after.values())
    return Snapshot(
        now, tuple(Change(zone, tuple(edits)) for zone, edits in by_zone.items() if edits)
    )


def zone_of(name: str, zones: Iterable[str]) -> str:
    """The innermost of the zones that hold the name. Raises `BadInput` where none does."""
    holding = [zone for zone in zones if inside(name, zone)]
    if not holding:
        raise BadInput(
            f"{printable(name, 253)} lies in none of the zones that can be changed here: "
            f"{', '.join(zones) or 'there is none'}; give its zone a writer"
        )
    return max(holding, key=len)


def to_text(snapshot: Snapshot) -> str:
    """The snapshot as canonical JSON: equal snapshots are equal texts. ASCII only."""
    return json.dumps(
        {
            "format": FORMAT,
            "taken": snapshot.taken.astimezone(UTC).isoformat(),
            "changes": [
                {
                    "zone": change.zone,
                    "edits": [
                        {
                            "name": edit.key[0],
                            "kind": edit.key[1].value,
                            "before": _plain(edit.before),
                            "after": _plain(edit.after),
                        }
                        for edit in change.edits
                    ],
                }
                for change in snapshot.changes
            ],
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def from_text(text: str) -> Snapshot:
    """The snapshot that `to_text` wrote. Raises `BadInput` for anything else."""
    try:
        read = json.loads(text)
        if read["format"] != FORMAT:
            raise ValueError(read["format"])
        taken = datetime.fromisoformat(read["taken"])
        if taken.tzinfo is None:
            raise ValueError("its time has no offset")
        return Snapshot(
            taken,
            tuple(
                Change(str(change["zone"]), tuple(_edit(edit) for edit in change["edits"]))
                for change in read["changes"]
            ),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"this is no snapshot of a zone ({printable(str(error), 100)}); take one as mailhaul "
            "has kept it"
        ) from error


def _check(records: RecordSet, zone: str) -> None:
    at_top = records.name == zone
    if records.kind not in WRITABLE:
        raise BadInput(
            f"{records.kind} of {records.name} is not written with the records of mail; have it "
            "changed where the zone is hosted"
        )
    if records.kind is Kind.CNAME and records.values and at_top:
        raise BadInput(
            f"a CNAME can't stand at the top of a zone ({records.name}); write what it leads to"
        )
    if records.kind is Kind.CNAME and len(records.values) > 1:
        raise BadInput(f"{records.name} can't have two CNAMEs; leave one of them out")


def _check_aliases(after: Iterable[RecordSet]) -> None:
    standing: dict[str, set[Kind]] = {}
    for records in after:
        if records.values:
            standing.setdefault(records.name, set()).add(records.kind)
    for name, kinds in standing.items():
        if Kind.CNAME in kinds and len(kinds) > 1:
            others = ", ".join(sorted(kinds - {Kind.CNAME}))
            raise BadInput(
                f"{name} can't have a CNAME beside {others}; remove these or leave the CNAME out"
            )


def _plain(there: Held) -> dict[str, Any]:
    plain: dict[str, Any] = {"ttl": there.records.ttl, "values": there.records.values}
    if there.spelled:
        plain["spelled"] = there.spelled
    return plain


def _edit(plain: dict[str, Any]) -> Edit:
    key = str(plain["name"]), Kind(plain["kind"])
    return Edit(_held(key, plain["before"]), _held(key, plain["after"]))


def _held(key: Key, plain: dict[str, Any]) -> Held:
    values, spelled = _texts(plain["values"]), _texts(plain.get("spelled", []))
    if spelled and len(spelled) != len(values):
        raise ValueError("values and their spellings differ in number")
    return Held(RecordSet(*key, int(plain["ttl"]), values), spelled)


def _texts(plain: object) -> tuple[str, ...]:
    if not isinstance(plain, list) or not all(isinstance(each, str) for each in plain):
        raise TypeError("values are no list of texts")
    return tuple(plain)
