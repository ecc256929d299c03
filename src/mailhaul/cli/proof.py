"""What `verify` says: its events as lines of JSON, its end on paper, and its events as those of a
pass, so that both are shown alike while they run. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mailhaul.cli.blocks import NONE, Block, Json, Line, Table, Tone
from mailhaul.cli.figures import count, key_text, plural
from mailhaul.cli.figures import octets as octets_text
from mailhaul.cli.json_events import lines_for
from mailhaul.core.folder import FolderPath
from mailhaul.core.folder_text import path_text
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import Carried, Event, FolderDone, FolderLink, Listed, Mapped
from mailhaul.engine.verdict import (
    Difference,
    FolderCompared,
    Kind,
    Progress,
    Severity,
    Verdict,
    Verified,
    VerifyEvent,
)

MOST_LISTED = 200
"""Differences shown one by one; `--json` names every one."""
NOT_COMPARED = frozenset({Kind.FOLDER_FAILED, Kind.UNREADABLE})
"""Kinds that say that something could not be looked at, not that it differs."""
LACKING = frozenset({Kind.MISSING, Kind.FOLDER_MISSING})


@dataclass(slots=True)
class Findings:
    """What was found, kept small however much it is."""

    folders: list[FolderCompared] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    unlisted: int = 0
    verdict: Verdict | None = None

    def take(self, event: VerifyEvent) -> None:
        match event:
            case FolderCompared():
                self.folders.append(event)
            case Difference(severity=Severity.DIFFERENCE):
                if len(self.differences) < MOST_LISTED:
                    self.differences.append(event)
                else:
                    self.unlisted += 1
            case Verified():
                self.verdict = event.verdict
            case _:
                pass


class AsPass:
    """Tells the events of a verification as those of a pass: listed is what is to be compared,
    carried what has been. Octets count only when octets are compared."""

    def __init__(self, deep: bool) -> None:
        self._deep = deep
        self._to_come: dict[FolderPath, tuple[int, int]] = {}

    def events(self, event: VerifyEvent) -> Iterator[Event]:
        match event:
            case Mapped():
                yield self._mapped(event)
            case Progress():
                compared = event.read if self._deep else event.listed
                if compared:
                    if event.folder in self._to_come:
                        yield Listed(event.folder, *self._to_come.pop(event.folder))
                    octets = event.octets if self._deep else 0
                    yield Carried(event.folder, compared, octets)
            case FolderCompared():
                yield FolderDone(event.target)
            case Difference() | Verified():
                pass
            case _:
                yield event

    def _mapped(self, event: Mapped) -> Mapped:
        links: dict[FolderPath, FolderLink] = {}
        for link in event.links:
            # Octets are read on both sides.
            size = 2 * (link.size or 0) if self._deep else 0
            known = links.get(link.target)
            messages = (link.count or 0) + (known.count or 0 if known else 0)
            size += known.size or 0 if known else 0
            links[link.target] = replace(link, source=link.target, count=messages, size=size)
            self._to_come[link.target] = (messages, size)
        return replace(event, links=tuple(links.values()))


def proof_lines(event: VerifyEvent) -> Iterator[dict[str, Json]]:
    """The lines of `--json` that tell `event`; the verdict is the last there is."""
    match event:
        case Progress():
            yield {
                "event": "progress",
                "folder": list(event.folder),
                "listed": event.listed,
                "read": event.read,
                "bytes": event.octets,
            }
        case Difference():
            yield {
                "event": "difference",
                "kind": event.kind.value,
                "severity": event.severity.value,
                "folder": list(event.folder),
                "detail": event.detail,
                "source_key": event.source_key,
                "target_key": event.target_key,
                "subject": event.subject,
                "count": event.count,
            }
        case FolderCompared():
            yield {
                "event": "compared",
                "sources": [list(path) for path in event.sources],
                "target": list(event.target),
                "messages": event.messages,
                "at_target": event.at_target,
                "paired": event.paired,
                "identical": event.identical,
                "differences": event.differences,
                "notes": event.notes,
            }
        case Verified():
            yield _verdict_line(event.verdict)
        case _:
            yield from lines_for(event)


def proof(findings: Findings, verdict: Verdict, notices: tuple[str, ...]) -> list[Block]:
    """The end of `verify` for a person."""
    lines = _folders(findings, verdict)
    if grave := grave_findings(findings, verdict):
        lines += [Line(), *grave] if lines else grave
    if verdict.explained:
        lines += [Line(), Line("what the servers did to messages, and why it is no loss:")]
        lines += [
            Line(f"  {plural(number, 'message')}: {name}", Tone.FAINT)
            for name, number in verdict.explained.items()
        ]
    notes = [f"{kind.value}: {count(number)}" for kind, number in verdict.notes.items()]
    if notes:
        lines += [Line(), Line(f"harmless: {', '.join(notes)} (--json names each)", Tone.FAINT)]
    remarks = dict.fromkeys((*verdict.remarks, *notices))
    if remarks:
        lines += [Line(), *(Line(f"note: {text}", Tone.WARNING) for text in remarks)]
    return [*lines, Line(), *_sentence(verdict)]


def grave_findings(findings: Findings, verdict: Verdict) -> list[Line]:
    """What `--quiet` still tells: every difference."""
    lines = [Line(f"problem: {text}", Tone.BAD) for text in verdict.problems]
    lines += [Line(difference_text(each), Tone.BAD) for each in findings.differences]
    if findings.unlisted:
        lines.append(Line(f"and {count(findings.unlisted)} more: --json names each", Tone.BAD))
    return lines


def difference_text(found: Difference) -> str:
    """One difference in one line."""
    keys = []
    if found.source_key is not None:
        keys.append(key_text(found.source_key))
    if found.target_key is not None:
        keys.append(f"at the target {key_text(found.target_key)}")
    where = " ".join([path_text(found.folder), ", ".join(keys)]).rstrip()
    subject = f" “{printable(found.subject, 80)}”" if found.subject else ""
    return f"{found.kind.value}: {where}{subject}: {found.detail}"


def only_unread(verdict: Verdict) -> bool:
    """Whether all that speaks against equality is that something could not be read."""
    return bool(verdict.differences) and NOT_COMPARED.issuperset(verdict.differences)


def _sentence(verdict: Verdict) -> list[Line]:
    looked = "identities, flags, dates"
    if verdict.deep:
        looked += f" and all octets ({octets_text(verdict.octets)} read)"
    if verdict.problems:
        return [Line("nothing was compared, see above", Tone.BAD)]
    if verdict.equal:
        held = f"{plural(verdict.messages, 'message')} in {plural(verdict.folders, 'folder')}"
        lines = [Line(f"equal: the target holds all of the source: {held}", Tone.GOOD)]
        lines.append(Line(f"compared: {looked}", Tone.FAINT))
        if not verdict.deep:
            lines.append(Line("next: --deep compares every octet as well"))
        return lines
    found = ", ".join(
        f"{kind.value} {count(number)}" for kind, number in verdict.differences.items()
    )
    if only_unread(verdict):
        return [
            Line(f"incomplete: not all could be compared ({found}), see above", Tone.BAD),
            Line("next: run it again; what stays unreadable is for the server's administrator"),
        ]
    lines = [
        Line(f"different: {found}, see above", Tone.BAD),
        Line(f"compared: {looked}", Tone.FAINT),
    ]
    if not LACKING.isdisjoint(verdict.differences):
        lines.append(
            Line(
                "next: mailhaul copy carries what has never been carried; what people removed at "
                "the target stays removed"
            )
        )
    return lines


def _folders(findings: Findings, verdict: Verdict) -> list[Block]:
    rows = [
        (path_text(each.target), *_row(each, verdict.deep))
        for each in findings.folders
        if each.messages or each.at_target or each.differences
    ]
    if not findings.folders:
        return []
    heading = ["folder", "source", "target", "paired", "identical", "differences", "harmless"]
    whole = FolderCompared(
        (),
        (),
        verdict.messages,
        verdict.at_target,
        verdict.paired,
        verdict.identical,
        sum(verdict.differences.values()),
        sum(verdict.notes.values()),
    )
    foot = ("in all", *_row(whole, verdict.deep))
    if not verdict.deep:
        del heading[4]
    right = frozenset(range(1, len(heading)))
    lines: list[Block] = [Table(tuple(heading), tuple(rows), right, foot)]
    empty = len(findings.folders) - len(rows)
    if empty:
        lines.append(Line(f"{plural(empty, 'folder')} without messages", Tone.FAINT))
    return lines


def _row(each: FolderCompared, deep: bool) -> list[str]:
    numbers = [each.messages, each.at_target, each.paired]
    if deep:
        numbers.append(each.identical)
    numbers += [each.differences, each.notes]
    return [NONE if number == 0 else count(number) for number in numbers]


def _verdict_line(verdict: Verdict) -> dict[str, Json]:
    return {
        "event": "verdict",
        "equal": verdict.equal,
        "deep": verdict.deep,
        "folders": verdict.folders,
        "messages": verdict.messages,
        "at_target": verdict.at_target,
        "paired": verdict.paired,
        "identical": verdict.identical,
        "bytes": verdict.octets,
        "differences": {kind.value: number for kind, number in verdict.differences.items()},
        "notes": {kind.value: number for kind, number in verdict.notes.items()},
        "explained": dict(verdict.explained),
        "problems": list(verdict.problems),
        "remarks": list(verdict.remarks),
    }
