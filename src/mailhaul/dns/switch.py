"""The switch: the records of a snapshot written, and put back.

    present = await read(writers, keys)               # what stands, by the zones' own word
    snapshot = planned(zones, present, wanted, now)    # dns.snapshot: the difference
    applied = await apply(writers, snapshot, keep)     # kept, then written
    returned = await put_back(writers, snapshot)       # exactly what stood before

Both ways compare before they write, and what somebody else has changed since stays as it is. Both
may be interrupted anywhere and done again with the same snapshot: a zone that is where it should be
is left alone. A switch is all zones or none: when one fails, those written before are put back. A
return is every zone that can be returned.

Of TXT, other people's texts at the same name (proofs of ownership, above all) may come and go
meanwhile: they are kept as they are found.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.core.errors import BadInput
from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.dns.diagnosis import finding
from mailhaul.dns.records import Kind
from mailhaul.dns.snapshot import Change, Snapshot, zone_of
from mailhaul.dns.switch_codes import MEANINGS, Code
from mailhaul.dns.zone import (
    Edit,
    Held,
    Key,
    PersonWrites,
    ZoneError,
    ZoneWriter,
    difference,
    held,
    nothing,
)

_VERSION = re.compile(r"v=\w+", re.IGNORECASE)
"""What texts begin with of which there may be one only: v=spf1, v=DMARC1, v=STSv1."""


class Fate(StrEnum):
    """What became of one zone."""

    WRITTEN = "written"
    STOOD = "stood there already"
    WAITS = "a person has to write it"
    UNTOUCHED = "not touched"
    UNDONE = "put back as it was"
    STUCK = "written, and not put back"
    UNKNOWN = "nobody knows"


_FAILED = frozenset({Fate.UNTOUCHED, Fate.STUCK, Fate.UNKNOWN})


class Result(StrEnum):
    """What became of all zones together."""

    DONE = "done"
    WAITS = "waits for a person"
    NOTHING = "nothing is changed"
    PARTLY = "done in part"


@dataclass(frozen=True, slots=True)
class ZoneFate:
    """What became of one zone, and why. `lines` are what a person has to write or, of a zone that
    is not where it should be, what would still have to be written; as `dns.zone.difference`."""

    zone: str
    fate: Fate
    findings: tuple[Finding, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a switch or of a return."""

    zones: tuple[ZoneFate, ...]

    @property
    def result(self) -> Result:
        fates = {each.fate for each in self.zones}
        if fates <= {Fate.WRITTEN, Fate.STOOD}:
            return Result.DONE
        if fates <= {Fate.WRITTEN, Fate.STOOD, Fate.WAITS}:
            return Result.WAITS
        if fates <= {Fate.UNTOUCHED, Fate.UNDONE}:
            return Result.NOTHING
        return Result.PARTLY

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(each for zone in self.zones for each in zone.findings)


async def read(writers: Sequence[ZoneWriter], keys: Iterable[Key]) -> dict[Key, Held]:
    """What the zones hold under the keys, each asked of its innermost zone. A key without records
    is there too. Raises `ZoneError`, and `BadInput` for a name in none of the zones."""
    asked: dict[str, list[Key]] = {writer.zone: [] for writer in writers}
    for key in keys:
        asked[zone_of(key[0], asked)].append(key)
    found: dict[Key, Held] = {}
    for writer in writers:
        found.update(await writer.read(asked[writer.zone]))
    return found


async def apply(
    writers: Sequence[ZoneWriter],
    snapshot: Snapshot,
    keep: Callable[[Snapshot], Awaitable[None]],
) -> Applied:
    """Writes what the snapshot brings, once all zones have been found as it has them and `keep` has
    ended; `keep` comes before the first record is written, each time, with the same snapshot.
    Raises what `keep` raises, and `BadInput` for a zone without a writer; nothing that a server
    could cause."""
    looks = [await _look(writer, change) for writer, change in _paired(writers, snapshot)]
    if any(look.trouble for look in looks):
        return Applied(tuple(look.untouched() for look in looks))
    await keep(snapshot)
    fates: dict[str, ZoneFate] = {}
    failed = False
    # A person can't be made to wait for what a server may yet refuse.
    for look in sorted(looks, key=lambda look: look.writer.by_person):
        fates[look.change.zone] = look.untouched() if failed else await _write(look)
        failed = failed or fates[look.change.zone].fate in _FAILED
    if failed:
        for look in looks:
            fate = fates[look.change.zone]
            if fate.fate in (Fate.WRITTEN, Fate.STOOD):
                fates[look.change.zone] = await _undo(look, fate)
    return Applied(tuple(fates[look.change.zone] for look in looks))


async def put_back(
    writers: Sequence[ZoneWriter], snapshot: Snapshot, *, leaving: Collection[Key] = ()
) -> Applied:
    """Puts back what stood before, zone by zone, as far as it can. A zone in which somebody else
    has changed one of the records stays as it is, unless these are in `leaving`, which are left
    alone; a TTL that somebody else has changed is no obstacle. Raises `BadInput` for a zone without
    a writer; nothing that a server could cause."""
    fates = []
    for writer, change in _paired(writers, snapshot):
        back = _way_back(change, leaving)
        look = await _look(writer, back, any_ttl=True)
        fates.append(look.untouched() if look.trouble else await _write(look))
    return Applied(tuple(fates))


@dataclass(frozen=True, slots=True)
class _Look:
    """One zone just before it is written: what is left to do there, or why nothing can be."""

    writer: ZoneWriter
    change: Change
    edits: tuple[Edit, ...] = ()
    trouble: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()

    def untouched(self) -> ZoneFate:
        return ZoneFate(self.change.zone, Fate.UNTOUCHED, self.trouble)


async def _look(writer: ZoneWriter, change: Change, *, any_ttl: bool = False) -> _Look:
    try:
        present = await writer.read([edit.key for edit in change.edits])
    except ZoneError as error:
        return _Look(writer, change, trouble=(error.finding,))
    left, trouble, notes = [], [], []
    for edit in change.edits:
        there = present[edit.key]
        aim = target(edit, there, any_ttl=any_ttl)
        if aim is None:
            trouble.append(_edited(edit, there))
        elif aim != there:
            left.append(Edit(there, aim))
        elif note := _other_ttl(edit, there):
            notes.append(note)
    return _Look(writer, change, tuple(left), tuple(trouble), tuple(notes))


def target(edit: Edit, there: Held, *, any_ttl: bool = False) -> Held | None:
    """What is to stand after the edit where `there` stands now: `there` itself when it is done
    already; None when somebody else has changed it. With `any_ttl`, a TTL that is neither the old
    nor the new one is nobody's change."""
    known = any_ttl or _ttl_known(edit, there)
    only_ttl = edit.before.values == edit.after.values
    if there.values == edit.after.values and not only_ttl:
        return there
    if there.values == edit.after.values:
        if there.records.ttl == edit.after.records.ttl:
            return there
        return edit.after if known else None
    if there.values == edit.before.values:
        return edit.after if known else None
    return _merged(edit, there) if edit.key[1] is Kind.TXT and known else None


def _merged(edit: Edit, there: Held) -> Held | None:
    """The edit of a TXT set in which other people's texts have come or gone."""
    strangers = there.values - edit.before.values - edit.after.values
    ours = {tag for text in edit.gone | edit.fresh if (tag := _tag(text))}
    if any(_tag(text) in ours for text in strangers):
        return None
    done = not edit.gone & there.values and edit.fresh <= there.values
    pending = edit.gone <= there.values and not edit.fresh & there.values
    ttl = edit.after.records.ttl if edit.after.records.values else there.records.ttl
    if done and not pending:
        return there
    if not pending:
        return None
    texts = {value: text for value, text in there.texts().items() if value not in edit.gone}
    texts |= {value: text for value, text in edit.after.texts().items() if value in edit.fresh}
    return held(*edit.key, ttl, texts) if texts else nothing(edit.key)


def _tag(text: str) -> str:
    version = _VERSION.match(text)
    return version.group().casefold() if version else ""


def _ttl_known(edit: Edit, there: Held) -> bool:
    known = [side.records.ttl for side in (edit.before, edit.after) if side.records.values]
    return not there.records.values or there.records.ttl in known


async def _write(look: _Look) -> ZoneFate:
    """Writes what is left to do, and reads whether it stands."""
    zone = look.change.zone
    if not look.edits:
        return ZoneFate(zone, Fate.STOOD, look.notes)
    lost: tuple[Finding, ...] = ()
    try:
        await look.writer.change(look.edits)
    except PersonWrites as person:
        waits = finding(MEANINGS, Code.ZONE_WAITS, "; ".join(person.lines))
        return ZoneFate(zone, Fate.WAITS, (waits, *look.notes), person.lines)
    except ZoneError as error:
        if error.written is False:
            return ZoneFate(zone, Fate.UNTOUCHED, (error.finding,))
        lost = (error.finding,)
    try:
        present = await look.writer.read([edit.key for edit in look.edits])
    except ZoneError as error:
        unsure = finding(MEANINGS, Code.ZONE_UNSURE, error.finding.evidence)
        return ZoneFate(zone, Fate.UNKNOWN, (unsure, *lost))
    if all(_done(edit, present[edit.key]) for edit in look.edits):
        told = [finding(MEANINGS, Code.ZONE_ANSWER_LOST, each.evidence) for each in lost]
        other = [_other_ttl(edit, present[edit.key]) for edit in look.edits]
        return ZoneFate(zone, Fate.WRITTEN, (*told, *filter(None, other), *look.notes))
    if lost and all(_done(edit.undone, present[edit.key]) for edit in look.edits):
        return ZoneFate(zone, Fate.UNTOUCHED, lost)
    return await _half_taken(look, present, lost)


async def _half_taken(
    look: _Look, present: Mapping[Key, Held], lost: tuple[Finding, ...]
) -> ZoneFate:
    """The server holds something else than what it was to write: what it did take goes back."""
    zone = look.change.zone
    wrong = [edit for edit in look.edits if not _done(edit, present[edit.key])]
    # Without its yes, somebody else may have been faster.
    code = Code.ZONE_EDITED if lost else Code.ZONE_NOT_TAKEN
    told = tuple(
        finding(
            MEANINGS,
            code,
            f"{edit.key[1]} {edit.key[0]}: {_told(present[edit.key])} stands, "
            f"not {_told(edit.after)}",
        )
        for edit in wrong
    )
    back = [Edit(present[edit.key], edit.before) for edit in look.edits if edit not in wrong]
    try:
        if back:
            await look.writer.change(back)
            present = await look.writer.read([edit.key for edit in back])
    except ZoneError as error:
        stuck = (*told, *lost, error.finding)
        return ZoneFate(zone, Fate.STUCK, stuck, tuple(difference(back)))
    left = [edit for edit in back if not _done(edit, present[edit.key])]
    fate = Fate.STUCK if left else Fate.UNTOUCHED
    return ZoneFate(zone, fate, (*told, *lost), tuple(difference(left)))


async def _undo(look: _Look, fate: ZoneFate) -> ZoneFate:
    """Puts a zone back because another one failed. What a person wrote, a person takes back."""
    zone = look.change.zone
    back = await _look(look.writer, _way_back(look.change), any_ttl=True)
    undone = ZoneFate(zone, Fate.UNTOUCHED, back.trouble) if back.trouble else await _write(back)
    if undone.fate is Fate.STOOD:
        return ZoneFate(zone, Fate.UNTOUCHED, fate.findings)
    if undone.fate is Fate.WRITTEN:
        note = finding(MEANINGS, Code.ZONE_UNDONE, f"{zone} holds again what it held")
        return ZoneFate(zone, Fate.UNDONE, (*fate.findings, note))
    why = "; ".join(each.evidence for each in undone.findings)
    stuck = finding(
        MEANINGS, Code.ZONE_STUCK, f"{zone} is changed and could not be put back: {why}"
    )
    edits = [edit.undone for edit in look.change.edits]
    return ZoneFate(zone, Fate.STUCK, (*fate.findings, stuck), tuple(difference(edits)))


def _way_back(change: Change, leaving: Collection[Key] = ()) -> Change:
    return Change(
        change.zone, tuple(edit.undone for edit in change.edits if edit.key not in leaving)
    )


def _paired(writers: Sequence[ZoneWriter], snapshot: Snapshot) -> list[tuple[ZoneWriter, Change]]:
    by_zone = {writer.zone: writer for writer in writers}
    for change in snapshot.changes:
        if change.zone not in by_zone:
            raise BadInput(
                f"nobody can change the zone {printable(change.zone, 253)}: give it a writer"
            )
    return [(by_zone[change.zone], change) for change in snapshot.changes]


def _done(edit: Edit, there: Held) -> bool:
    return target(edit, there, any_ttl=True) == there


def _edited(edit: Edit, there: Held) -> Finding:
    name, kind = edit.key
    return finding(
        MEANINGS,
        Code.ZONE_EDITED,
        f"{kind} {name}: {_told(there)} stands there, when it was read it was {_told(edit.before)}",
    )


def _other_ttl(edit: Edit, there: Held) -> Finding | None:
    """Servers and panels have limits of their own, and people write what they are used to."""
    name, kind = edit.key
    if not edit.after.records.values or there.records.ttl == edit.after.records.ttl:
        return None
    return finding(
        MEANINGS,
        Code.ZONE_TTL_DIFFERS,
        f"{kind} {name} has a TTL of {there.records.ttl} s, not of {edit.after.records.ttl} s",
    )


def _told(there: Held) -> str:
    if not there.records.values:
        return "nothing"
    values = ", ".join(printable(value, 120) for value in there.records.values)
    return f"{values} (TTL {there.records.ttl} s)"
