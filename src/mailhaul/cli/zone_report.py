"""What is to be written to a plan's zones, and what came of it: to a person, and as lines of JSON.
Pure; nothing here prints."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo

from mailhaul.cli.blocks import Block, Json, Line, Tone
from mailhaul.cli.figures import plural
from mailhaul.core.finding import Severity
from mailhaul.core.text import printable
from mailhaul.dns.expected import Moment
from mailhaul.dns.names import shown
from mailhaul.dns.records import zone_lines
from mailhaul.dns.switch import Result
from mailhaul.dns.zone import Edit, difference
from mailhaul.journey.watching import AHEAD, END, SWITCH
from mailhaul.journey.zone_orders import Written, ZonePlan
from mailhaul.journey.zone_plans import Share, Stage, Ttls

GATE = (
    "The records of the switch are not written by mailhaul dns apply: they go with the gate go "
    "(mailhaul cutover --go)."
)
_TITLES = {
    Moment.NOW: "now",
    Moment.SWITCH: "with the switch",
    Moment.END: "after the sweeps",
}
_WORDS = {
    Result.DONE: "done",
    Result.WAITS: "waits",
    Result.NOTHING: "nothing",
    Result.PARTLY: "partly",
}


def plan_blocks(found: ZonePlan, zone: tzinfo) -> list[Block]:
    """One domain's zone for a person: what changes, moment by moment, who writes it, and TTLs."""
    whose = "whoever holds the zone writes" if found.by_person else "mailhaul writes"
    blocks: list[Block] = [Line(f"{shown(found.row.name)}: {found.stage}; {whose}", Tone.HEADING)]
    for share in found.shares:
        blocks += _share(found, share)
    if found.stage is Stage.BEFORE:
        blocks += [Line(), *_ttls(found.ttls, zone)]
    return [*blocks, Line()]


def due_blocks(found: ZonePlan) -> list[Block]:
    """Only what would be written now, for a person."""
    due = [share for share in found.due if share.snapshot.edits or share.trouble]
    blocks: list[Block] = [
        Line(
            f"{shown(found.row.name)}: {found.stage}; "
            + ("would be written now" if due else "nothing is to be written now"),
            Tone.HEADING,
        )
    ]
    for share in due:
        blocks += _share(found, share)
    return [*blocks, Line()]


def share_lines(found: ZonePlan) -> Iterator[dict[str, Json]]:
    """The same for `--json`: a line for each moment, and one about TTLs before the switch."""
    due = found.due
    for share in found.shares:
        remove, write = _apart(share.snapshot.edits)
        yield {
            "event": "zone_change",
            "domain": found.row.name,
            "stage": found.stage.name.lower(),
            "moment": share.moment.name.lower(),
            "due": share in due,
            "by": "person" if found.by_person else "mailhaul",
            "records": len(share.snapshot.edits),
            "remove": remove,
            "write": write,
            "trouble": share.trouble,
        }
    if found.stage is Stage.BEFORE:
        yield _ttl_line(found)


def to_write(found: ZonePlan) -> int:
    """How many record sets are to be written now, apart from the switch."""
    return sum(len(share.snapshot.edits) for share in found.due)


def written_blocks(domain: str, done: Sequence[Written], *, back: bool) -> list[Block]:
    """What came of an order for one domain, for a person."""
    name = shown(domain)
    if not done:
        text = "nothing of it is left to be put back" if back else "nothing is to be written now"
        return [Line(f"{name}: {text}", Tone.GOOD)]
    blocks: list[Block] = []
    for each in done:
        what = f"{plural(len(each.edits), 'record set')} {_OF[each.moment]}"
        match each.result:
            case Result.DONE:
                word = "put back as before" if back else "written"
                blocks.append(Line(f"{name}: {word}: {what}", Tone.GOOD))
            case Result.WAITS if each.lines:
                text = f"{name}: {what}, to be written by whoever holds the zone:"
                blocks += [Line(text, Tone.WARNING), *by_hand(each.lines)]
            case Result.WAITS:
                blocks.append(Line(f"{name}: {what}: waits: {each.why}", Tone.WARNING))
            case Result.NOTHING:
                blocks.append(Line(f"{name}: nothing was changed: {each.why}", Tone.BAD))
            case Result.PARTLY:
                blocks.append(Line(f"{name}: not all of it is done: {each.why}", Tone.BAD))
                blocks += by_hand(each.lines)
        blocks += [
            Line(f"  {finding.code}: {finding.evidence}", Tone.FAINT)
            for finding in each.findings
            if finding.severity is not Severity.BLOCKS
        ]
    return blocks


def written_line(order: str, domain: str, each: Written) -> dict[str, Json]:
    """The same for `--json`."""
    remove, write = _by_sign(each.lines) if each.lines else _apart(each.edits)
    return {
        "event": "zone_ordered",
        "order": order,
        "domain": domain,
        "moment": each.moment,
        "result": _WORDS[each.result],
        "records": len(each.edits),
        "remove": remove,
        "write": write,
        "why": each.why,
    }


def by_hand(lines: Iterable[str]) -> Iterator[Block]:
    """Lines of `dns.zone.difference`, to be copied one by one."""
    remove, write = _by_sign(lines)
    for title, those in (("take away", remove), ("write", write)):
        if those:
            yield Line(f"  {title}:")
            yield from (Line(f"    {printable(text, 5000)}", whole=True) for text in those)


_OF = {AHEAD: "ahead of the switch", SWITCH: "of the switch", END: "after the sweeps"}


def _share(found: ZonePlan, share: Share) -> Iterator[Block]:
    count = plural(len(share.snapshot.edits), "record set")
    yield Line()
    if share.trouble:
        text = f"{_TITLES[share.moment]}: can't be said: {share.trouble}"
        yield Line(printable(text, 1000), Tone.BAD)
    elif not share.snapshot.edits:
        yield Line(f"{_TITLES[share.moment]}: nothing", Tone.GOOD)
    else:
        yield Line(f"{_TITLES[share.moment]}: {count} ({_when(found, share)})", Tone.HEADING)
        if found.by_person:
            yield from by_hand(difference(share.snapshot.edits))
            return
        for edit in share.snapshot.edits:
            for text in difference([edit]):
                yield Line(f"  {printable(text, 5000)}", whole=True)


def _when(found: ZonePlan, share: Share) -> str:
    if share.moment is Moment.SWITCH:
        return "goes with the gate go, not before"
    whose = "to be written by whoever holds the zone" if found.by_person else "mailhaul dns apply"
    return whose if share in found.due else "not before its time"


def _ttls(found: Ttls, zone: tzinfo) -> Iterator[Block]:
    wanted = f"{found.wanted} s"
    until = found.cached_until
    if found.lower:
        longest = f"to {wanted}"
        if found.plan is None:
            yield Line(
                f"TTL: lower it {longest} well before the cutover, for which there is no time yet",
                Tone.WARNING,
            )
            return
        cutover, clear = (_at(each, zone) for each in (found.plan.cutover, found.plan.clear_at))
        if found.plan.late:
            yield Line(
                f"TTL: too late for the cutover at {cutover}: lowered now, caches may hold what "
                f"was until {clear}",
                Tone.BAD,
            )
        else:
            by = _at(found.plan.lower_by, zone)
            yield Line(
                f"TTL: lower it {longest} by {by}, for the cutover at {cutover}", Tone.WARNING
            )
    elif until is not None and found.plan is not None and found.plan.late:
        yield Line(
            f"TTL: low, but caches may hold what was until {_stamp(until, zone)}, after the "
            f"cutover at {_at(found.plan.cutover, zone)}",
            Tone.BAD,
        )
    elif until is not None:
        yield Line(
            f"TTL: low; caches let go of what was at {_stamp(until, zone)}; it is raised again "
            "after the sweeps",
            Tone.GOOD,
        )
    else:
        yield Line("TTL: low enough; it is raised again after the sweeps", Tone.GOOD)
    if found.seen is not None and found.low_since is None and not found.lower:
        yield Line(f"  last seen by a worker: {found.seen} s", Tone.FAINT)


def _ttl_line(found: ZonePlan) -> dict[str, Json]:
    ttls, plan = found.ttls, found.ttls.plan
    return {
        "event": "zone_ttl",
        "domain": found.row.name,
        "wanted": ttls.wanted,
        "lower": [line for each in ttls.lower for line in zone_lines(each)],
        "cutover": None if plan is None else plan.cutover.isoformat(),
        "lower_by": None if plan is None else plan.lower_by.isoformat(),
        "clear_at": None if plan is None else plan.clear_at.isoformat(),
        "late": plan is not None and plan.late,
        "seen": ttls.seen,
        "low_since": ttls.low_since,
        "cached_until": ttls.cached_until,
    }


def _apart(edits: Iterable[Edit]) -> tuple[list[str], list[str]]:
    return _by_sign(difference(edits))


def _by_sign(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    remove: list[str] = []
    write: list[str] = []
    for line in lines:
        (remove if line.startswith("- ") else write).append(line[2:])
    return remove, write


def _at(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z").strip()


def _stamp(at: float, zone: tzinfo) -> str:
    return _at(datetime.fromtimestamp(at, zone), zone)
