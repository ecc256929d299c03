"""What every server says of a zone's records: to a person, and as lines of JSON. Pure; nothing here
prints."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.figures import duration, plural
from mailhaul.core.text import printable
from mailhaul.dns.names import shown
from mailhaul.dns.propagation import Look, Seen
from mailhaul.journey.zone_looks import Sighted, Told

_SHOULD = {Seen.OLD: "the old system's", Seen.NEW: "the new system's"}


def sight_blocks(found: Sighted, zone: tzinfo) -> list[Block]:
    """One domain for a person: a table for each record set, and by when caches have let go."""
    wrong = sum(not each.good for each in found.told)
    name = f"{shown(found.row.name)}: {found.stage}"
    if found.good:
        text = f"{name}; every server says what should stand" if found.told else f"{name}; nothing"
        blocks: list[Block] = [Line(text, Tone.GOOD)]
    else:
        count = f"{wrong} of {plural(len(found.told), 'record set')}"
        blocks = [Line(f"{name}; {count} not as it should be", Tone.BAD)]
    if found.trouble:
        blocks.append(Line(f"  can't be said of all: {found.trouble}", Tone.BAD))
    for each in found.told:
        blocks += _told(each)
    return [*blocks, Line(), *_caches(found, zone), Line()]


def sight_lines(found: Sighted) -> Iterator[dict[str, Json]]:
    """The same for `--json`: each record set, then each server's answer of it."""
    for each in found.told:
        record = each.record
        gone = None if not each.gone else datetime.fromtimestamp(each.gone, UTC).isoformat()
        yield {
            "event": "zone_record",
            "domain": found.row.name,
            "name": record.name,
            "kind": record.kind.value,
            "should": each.should.value,
            "good": each.good,
            "old": list(record.old),
            "new": list(record.new),
            "ttl": each.ttl,
            "gone": gone,
            "left": None if each.gone is None else max(0, round(each.gone - found.at)),
        }
        for look in each.looks:
            yield {
                "event": "zone_answer",
                "domain": found.row.name,
                "name": record.name,
                "kind": record.kind.value,
                "server": str(look.server),
                "own": look.authoritative,
                "says": look.seen.value,
                "values": [printable(value, 2000) for value in look.values],
                "ttl": look.ttl,
                "said": look.said,
            }


def _told(each: Told) -> Iterator[Block]:
    record = each.record
    sign, tone = ("✓", Tone.GOOD) if each.good else ("✗", Tone.BAD)
    wanted = record.new if each.should is Seen.NEW else record.old
    what = f"{sign} {record.kind} {shown(record.name)}"
    yield Line()
    if each.ttl is not None:
        yield Line(f"{what}: its TTL should be {each.ttl} s", tone)
    else:
        yield Line(f"{what}: {_SHOULD[each.should]} should stand", tone)
        for value in wanted or ("nothing",):
            yield Line(f"    {printable(value, 500)}")
    yield Table(("", "server", "", "says", "TTL"), tuple(_row(each, one) for one in each.looks),
                frozenset({4}))  # fmt: skip
    if each.ttl is None:
        yield from _others(each, wanted)


def _row(each: Told, look: Look) -> tuple[str, ...]:
    sign = "✓" if look.seen is each.should else "✗"
    whose = "the zone's own" if look.authoritative else "resolver"
    ttl = "" if look.ttl is None else f"{look.ttl} s"
    return (sign, str(look.server), whose, look.said or _word(each, look), ttl)


def _word(each: Told, look: Look) -> str:
    if each.ttl is None or look.seen is Seen.NEW:
        return look.seen.value
    return "another TTL" if look.seen is Seen.OLD else look.seen.value


def _others(each: Told, wanted: Sequence[str]) -> Iterator[Block]:
    """What is said instead, each once."""
    said: dict[tuple[str, ...], list[str]] = {}
    for look in each.looks:
        if look.seen not in (each.should, Seen.SILENT) and set(look.values) != set(wanted):
            said.setdefault(look.values, []).append(str(look.server))
    for values, servers in said.items():
        text = ", ".join(printable(value, 500) for value in values) or "nothing"
        yield Line(f"  {', '.join(servers)}: {text}", Tone.WARNING)


def _caches(found: Sighted, zone: tzinfo) -> Iterator[Block]:
    if not found.told:
        return
    gone = found.gone
    if gone is None:
        text = "As long as not all of the zone's own servers say so, caches go on taking it up."
        yield Line(text, Tone.WARNING)
    elif gone > found.at:
        at = datetime.fromtimestamp(gone, zone).strftime("%Y-%m-%d %H:%M:%S %Z").strip()
        left = duration(gone - found.at)
        yield Line(f"Caches may hold what was until {at}, for {left} yet.", Tone.WARNING)
    else:
        yield Line("No cache anywhere may hold what was any more.", Tone.GOOD)
