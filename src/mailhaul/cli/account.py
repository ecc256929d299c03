"""The end of `copy` on paper: the accounting, what did not come over, and what to do next. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailhaul.cli.blocks import NONE, Block, Line, Table, Tone
from mailhaul.cli.figures import count, duration, key_text, octets, plural, rate
from mailhaul.core.folder import FolderPath
from mailhaul.core.folder_text import path_text
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import Fate, Finished, Mapped, Settled, Side, Tally

MOST_LISTED = 200
"""Refused and missing messages shown one by one; the rest are in `--json` and in the state."""
_FIGURES = ("messages", "copied", "adopted", "skipped", "refused", "missing")


@dataclass(slots=True)
class Leftovers:
    """What did not come over, kept small however much it is: the first grave ones word for word,
    the others as numbers."""

    grave: list[Settled] = field(default_factory=list)
    unlisted: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def take(self, event: Settled) -> None:
        if event.fate is Fate.SKIPPED:
            self.skipped[event.reason] = self.skipped.get(event.reason, 0) + 1
        elif len(self.grave) < MOST_LISTED:
            self.grave.append(event)
        else:
            self.unlisted += 1


def accounting(finished: Finished, leftovers: Leftovers) -> list[Block]:
    """The tables and lists at the end of a pass."""
    lines: list[Block] = [*_folders(finished), *_effort(finished), *_problems(finished, leftovers)]
    if finished.notes:
        lines += [Line(), *(Line(f"note: {note}", Tone.WARNING) for note in finished.notes)]
    return lines


def grave_matters(finished: Finished, leftovers: Leftovers) -> list[Line]:
    """What `--quiet` still tells: what did not come over and what is not done."""
    lines = _problems(finished, Leftovers(leftovers.grave, leftovers.unlisted))
    return [line for line in lines if line.text]


def _problems(finished: Finished, leftovers: Leftovers) -> list[Line]:
    lines = _left_behind(leftovers)
    if finished.unfinished:
        lines += [Line(), *(Line(f"not done: {text}", Tone.BAD) for text in finished.unfinished)]
    return lines


def verdict(finished: Finished, again: str, proof: str) -> list[Line]:
    """How it went and what to do next, one line each. `again` is the command that goes on, `proof`
    the one that verifies."""
    tally = finished.tally
    if finished.complete:
        return [
            Line(),
            Line(f"complete: {_everything(tally)}", Tone.GOOD),
            Line("the same command, run again, carries what is new since"),
            Line(f"next: prove it: {proof}"),
        ]
    left = tally.refused + tally.missing
    if not finished.unfinished and tally.adds_up:
        return [
            Line(),
            Line(
                f"incomplete: {plural(left, 'message')} could not be carried, listed above",
                Tone.BAD,
            ),
            Line(f"next: {_advice(tally)}"),
        ]
    what = "not all could be done, see above"
    if not tally.adds_up:
        done = tally.copied + tally.adopted
        of_source = f"of {plural(tally.census, 'message')} {_is(done)} at the target so far"
        what = f"{count(done)} {of_source}" + (f", {count(left)} refused or missing" * bool(left))
    return [
        Line(),
        Line(f"incomplete: {what}", Tone.BAD),
        Line(f"next: mend what is not done, then run it again: {again}"),
    ]


def folder_map(mapped: Mapped) -> list[Block]:
    """What `--dry-run` shows: which folder goes where, and what was changed in its name."""
    rows = []
    for link in mapped.links:
        same = link.source == link.target
        rows.append(
            (
                path_text(link.source),
                "=" if same else path_text(link.target),
                link.role.value if link.role else "",
                "there" if link.exists else "new",
                "?" if link.count is None else count(link.count),
                "?" if link.size is None else octets(link.size),
            )
        )
    heading = ("source", "target", "role", "", "messages", "size")
    lines: list[Block] = []
    if rows:
        lines.append(Table(heading, tuple(rows), right=frozenset({4, 5})))
    for link in mapped.links:
        lines += [Line(f"  {path_text(link.source)}: {note}", Tone.WARNING) for note in link.notes]
    if mapped.idle:
        lines.append(Line(f"{plural(mapped.idle, 'folder')} unchanged since the last pass"))
    if mapped.excluded:
        names = ", ".join(path_text(path, 60) for path in mapped.excluded[:8])
        more = f" and {len(mapped.excluded) - 8} more" if len(mapped.excluded) > 8 else ""
        lines.append(Line(f"left out: {names}{more}", Tone.FAINT))
    lines += [Line(f"problem: {text}", Tone.WARNING) for text in mapped.problems]
    return lines


def settled_line(event: Settled) -> str:
    """One message that did not come over, in one line."""
    where = f"{path_text(event.folder)} {key_text(event.key)}"
    subject = f" “{printable(event.subject, 80)}”" if event.subject else ""
    saved = f"; saved as {printable(str(event.saved), 400)}" if event.saved is not None else ""
    return f"{event.fate.value}: {where}{subject}: {event.reason}{saved}"


def to_be_carried(
    mapped: Mapped, accounted: Mapping[FolderPath, int], *, some_only: bool
) -> list[Line]:
    """What a pass would carry, as far as it can be known by counting: what the target holds already
    of it (or, with `some_only`, what wasn't asked for) is found only by carrying."""
    messages = size = 0
    sized = True
    for link in mapped.links:
        new = max(0, (link.count or 0) - accounted.get(link.source, 0))
        messages += new
        if new and (link.size is None or not link.count):
            sized = False
        elif new and link.size is not None and link.count:
            size += round(link.size * new / link.count)
    uncounted = sum(link.count is None for link in mapped.links)
    unknown = any(link.exists and link.source not in accounted for link in mapped.links)
    most = "at most " if messages and (some_only or unknown) else ""
    text = f"to be carried: {most}{plural(messages, 'message')}"
    if sized and messages:
        text += f", about {octets(size)}"
    if uncounted == len(mapped.links) > 0:
        text = f"to be carried: all of {plural(uncounted, 'folder')}, which only carrying counts"
    elif uncounted:
        text += f"; {plural(uncounted, 'folder')} not counted"
    before = sum(accounted.get(link.source, 0) for link in mapped.links)
    lines = [Line(), Line(text)]
    if before:
        lines.append(Line(f"{plural(before, 'message')} accounted for by earlier passes"))
    return lines


def _advice(tally: Tally) -> str:
    parts = []
    if tally.missing:
        parts.append("the same command asks the source again for what is missing")
    if tally.refused:
        parts.append("with --retry-refused it offers the target again what that refused")
    return "; ".join(parts)


def _everything(tally: Tally) -> str:
    done = tally.copied + tally.adopted
    if not tally.census:
        return "the source holds no messages"
    if done == tally.census:
        every = "all " if tally.census > 1 else ""
        of_source = f"{plural(tally.census, 'message')} of the source"
        return f"{every}{of_source} {_is(tally.census)} at the target"
    return (
        f"{count(done)} of {plural(tally.census, 'message')} {_is(done)} at the target, "
        f"{count(tally.skipped)} skipped as asked"
    )


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _folders(finished: Finished) -> list[Block]:
    rows = tuple(
        (path_text(path), *_row(tally))
        for path, tally in finished.folders.items()
        if tally.census or tally.flagged or tally.removed
    )
    quiet = len(finished.folders) - len(rows)
    foot = ("in all", *_row(finished.tally))
    lines: list[Block] = [Table(("folder", *_FIGURES), rows, frozenset(range(1, 7)), foot)]
    if quiet:
        lines.append(Line(f"{plural(quiet, 'folder')} without messages", Tone.FAINT))
    return lines


def _row(tally: Tally) -> tuple[str, ...]:
    numbers = (
        tally.census,
        tally.copied,
        tally.adopted,
        tally.skipped,
        tally.refused,
        tally.missing,
    )
    return tuple(NONE if number == 0 else count(number) for number in numbers)


def _effort(finished: Finished) -> list[Line]:
    tally = finished.tally
    seconds = finished.seconds
    did = f"carried {plural(tally.carried, 'message')}, {octets(tally.octets)}"
    did += f" in {duration(seconds)}"
    if tally.carried and seconds >= 0.1:
        did += f" ({rate(tally.octets / seconds)}, {tally.carried / seconds:,.0f} messages/s)"
    changed = []
    if tally.flagged:
        changed.append(f"flags of {plural(tally.flagged, 'message')} brought up to date")
    if tally.removed:
        changed.append(f"{plural(tally.removed, 'message')} removed at the target")
    trips = ", ".join(f"{count(finished.round_trips.get(side, 0))} {side}" for side in Side)
    return [
        Line(),
        Line(did),
        *(Line(text) for text in changed),
        Line(
            f"round trips: {trips}; {plural(finished.wire_writes, 'writing command')}", Tone.FAINT
        ),
    ]


def _left_behind(leftovers: Leftovers) -> list[Line]:
    lines = [Line()] if leftovers.grave else []
    lines += [Line(settled_line(event), Tone.BAD) for event in leftovers.grave]
    if leftovers.unlisted:
        lines.append(Line(f"and {count(leftovers.unlisted)} more: --json names each", Tone.BAD))
    if leftovers.skipped:
        lines.append(Line())
        lines += [
            Line(f"skipped: {plural(number, 'message')}: {reason}", Tone.FAINT)
            for reason, number in leftovers.skipped.items()
        ]
    return lines
