"""What a look at DNS says: to a person, and as lines of JSON. Pure; nothing here prints."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.core.finding import Severity
from mailhaul.core.text import printable
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.names import shown
from mailhaul.dns.records import RecordSet, zone_lines
from mailhaul.dns.ttl_plan import TtlPlan

LINE_MOST = 100_000
"""Characters of a line to be written: a TXT record of 64 KiB with every octet escaped is cut, and
nobody pastes that."""
_TONES = {
    Severity.BLOCKS: Tone.BAD,
    Severity.WARNS: Tone.WARNING,
    Severity.TELLS: Tone.PLAIN,
}
_STAGES = {
    Moment.NOW: "before the switch",
    Moment.SWITCH: "since the switch",
    Moment.END: "after the sweeps",
}


def verdict(aspects: Iterable[Aspect]) -> Exit:
    """Incomplete where something blocks."""
    blocked = any(aspect.severity is Severity.BLOCKS for aspect in aspects)
    return Exit.INCOMPLETE if blocked else Exit.COMPLETE


def blocks_of(expected: Expected, moment: Moment, aspects: Sequence[Aspect]) -> list[Block]:
    """One domain for a person: all that was looked at, then what is to be said and written."""
    blocks: list[Block] = [_heading(expected, moment, aspects), Line(), _table(aspects)]
    for aspect in sorted(aspects, key=_rank):
        blocks += _details(aspect)
    blocks.append(Line())
    return blocks


def aspect_line(domain: str, aspect: Aspect) -> dict[str, Json]:
    """One thing that was looked at, for `--json`."""
    return {
        "event": "dns",
        "domain": domain,
        "topic": aspect.topic,
        "name": aspect.name,
        "kind": aspect.kind.value,
        "good": aspect.good,
        "expected": [printable(value, 2000) for value in aspect.expected],
        "found": [printable(value, 2000) for value in aspect.found],
        "ttl": aspect.ttl,
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity.value,
                "evidence": finding.evidence,
                "remedy": finding.remedy,
            }
            for finding in aspect.findings
        ],
        "write": [_records(records) for records in aspect.write],
    }


def ttl_blocks(plan: TtlPlan) -> list[Block]:
    """When TTLs are to be lowered for the cutover, for a person."""
    cutover, clear = _moment(plan.cutover), _moment(plan.clear_at)
    if not plan.lower:
        return [Line(f"TTL: low enough for the cutover at {cutover}", Tone.GOOD), Line()]
    if plan.late:
        text = (
            f"TTL: too late for the cutover at {cutover}: lowered now, what stands may still be "
            f"remembered until {clear}"
        )
        blocks: list[Block] = [Line(text, Tone.BAD)]
    else:
        by = _moment(plan.lower_by)
        blocks = [Line(f"TTL: to be lowered by {by} for the cutover at {cutover}", Tone.WARNING)]
    for records in plan.lower:
        blocks += _to_write(records)
    return [*blocks, Line()]


def ttl_line(domain: str, plan: TtlPlan) -> dict[str, Json]:
    """The same for `--json`."""
    return {
        "event": "dns_ttl",
        "domain": domain,
        "cutover": plan.cutover.isoformat(),
        "lower_by": plan.lower_by.isoformat(),
        "clear_at": plan.clear_at.isoformat(),
        "late": plan.late,
        "lower": [_records(records) for records in plan.lower],
    }


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M %Z").strip()


def end_line(found: Mapping[str, Sequence[Aspect]], moment: Moment, code: Exit) -> dict[str, Json]:
    """The end for `--json`."""
    worst = [aspect.severity for aspects in found.values() for aspect in aspects]
    return {
        "event": "dns_check",
        "domains": len(found),
        "moment": moment.name.lower(),
        "aspects": len(worst),
        "blocks": sum(each is Severity.BLOCKS for each in worst),
        "warns": sum(each is Severity.WARNS for each in worst),
        "exit": code.value,
    }


def _records(records: RecordSet) -> dict[str, Json]:
    return {
        "name": records.name,
        "kind": records.kind.value,
        "ttl": records.ttl,
        "values": list(records.values),
        "lines": list(zone_lines(records)),
    }


def _rank(aspect: Aspect) -> int:
    return len(Severity) if aspect.severity is None else aspect.severity.rank


def _heading(expected: Expected, moment: Moment, aspects: Sequence[Aspect]) -> Line:
    blocking = sum(each.severity is Severity.BLOCKS for each in aspects)
    warning = sum(each.severity is Severity.WARNS for each in aspects)
    source = f", by {printable(expected.source, 120)}" if expected.source else ""
    stage = f"{_STAGES[moment]}{source}: " if expected.source or expected.mx else ""
    if not blocking and not warning:
        return Line(f"{shown(expected.domain)}: {stage}all is as it should be", Tone.GOOD)
    said = [f"{plural(blocking, 'record')} to mend"] if blocking else []
    said += [plural(warning, "warning")] if warning else []
    tone = Tone.BAD if blocking else Tone.WARNING
    return Line(f"{shown(expected.domain)}: {stage}{', '.join(said)}", tone)


def _table(aspects: Sequence[Aspect]) -> Table:
    rows = tuple(
        (
            _sign(aspect),
            aspect.topic,
            f"{printable(aspect.name, 253)} {aspect.kind}",
            _cell(aspect.found),
            "" if aspect.ttl is None else f"{aspect.ttl} s",
        )
        for aspect in aspects
    )
    return Table(("", "what", "record", "found", "TTL"), rows, frozenset({4}))


def _sign(aspect: Aspect) -> str:
    return "✓" if aspect.good else "✗"


def _cell(values: Sequence[str]) -> str:
    """The first values, as far as a table has room; whole they are among the details."""
    if not values:
        return "nothing"
    more = f" and {len(values) - 1} more" if len(values) > 1 else ""
    return f"{printable(values[0], 60)}{more}"


def _details(aspect: Aspect) -> Iterator[Line]:
    if not aspect.findings:
        return
    yield Line()
    yield Line(f"{_sign(aspect)} {aspect.topic}  {shown(aspect.name)} {aspect.kind}", Tone.HEADING)
    for title, values in (("expected", aspect.expected), ("found", aspect.found)):
        for value in values:
            yield Line(f"  {title:<9} {printable(value, 500)}")
    for finding in aspect.findings:
        yield Line(
            f"  {finding.severity.value}: {finding.code}: {finding.evidence}",
            _TONES[finding.severity],
        )
        if finding.remedy:
            yield Line(f"  → {finding.remedy}", Tone.FAINT)
    for records in aspect.write:
        yield from _to_write(records)


def _to_write(records: RecordSet) -> Iterator[Line]:
    if not records.values:
        yield Line(f"  take away: {records.name}. {records.kind}, all of them", Tone.HEADING)
    for text in zone_lines(records):
        yield Line(f"  write: {printable(text, LINE_MOST)}", Tone.HEADING)
