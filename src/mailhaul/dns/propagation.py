"""Whether a change has spread: who still answers what was, and until when anybody may.

Two kinds of servers are looked at. A zone's own servers hand records out, with the whole TTL; a
cache passes on what it was once handed, with what is left of it. So the last moment at which one of
the zone's servers may have handed out what was, and the TTL with which it did, bound every cache in
the world, seen or not (RFC 1035 section 3.2.1, of what isn't there RFC 2308).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from mailhaul.core.text import plural, printable
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.authority import Authority
from mailhaul.dns.names import shown
from mailhaul.dns.network import NO_ROUTE
from mailhaul.dns.records import Kind
from mailhaul.dns.resolver import Network


class Seen(StrEnum):
    """What a server answers, beside what was and what is to be."""

    OLD = "old"
    NEW = "new"
    MIXED = "mixed"
    """Some of both, or something else."""
    SILENT = "silent"
    """It told nothing of the name."""


@dataclass(frozen=True, slots=True)
class Switched:
    """A record set that changes; no values: that there is none. `ttl` is the TTL, in seconds, that
    the old one had when it was last read at the zone before the change (of nothing, how long that
    may be remembered): it counts for servers that were not looked at before."""

    name: str
    kind: Kind
    old: tuple[str, ...]
    new: tuple[str, ...]
    ttl: int

    @property
    def key(self) -> tuple[str, Kind]:
        return self.name, self.kind


@dataclass(frozen=True, slots=True)
class Watched:
    """A server that is looked at; `authoritative`: one of the zone's own."""

    server: Server
    authoritative: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What one server answered at one moment (`at`, seconds since the epoch). `ttl` is what it gave
    along, in seconds."""

    at: float
    server: Server
    authoritative: bool
    name: str
    kind: Kind
    seen: Seen
    values: tuple[str, ...] = ()
    ttl: int | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One record set at every server: its newest look at each, zone's own servers first. `gone` is
    the moment by which no cache may hold what was any more; 0: none ever did; None: not known yet,
    since one of the zone's own servers hasn't been seen to hand out what is new."""

    record: Switched
    looks: tuple[Look, ...]
    gone: float | None

    @property
    def seen(self) -> Seen:
        """What all servers answer, as one word."""
        all_seen = {each.seen for each in self.looks}
        if len(all_seen) == 1:
            return all_seen.pop()
        return Seen.MIXED if all_seen - {Seen.SILENT} else Seen.SILENT

    def spread(self, now: float) -> bool:
        """Whether every server that was asked answers what is new, and no cache anywhere may
        answer otherwise."""
        new = all(each.seen is Seen.NEW for each in self.looks)
        return new and bool(self.looks) and self.gone is not None and self.gone <= now

    def left(self, now: float) -> float | None:
        """Seconds until no cache may hold what was; None: not known yet."""
        return None if self.gone is None else max(0.0, self.gone - now)


@dataclass(frozen=True, slots=True)
class Spread:
    """The table, server by record set."""

    rows: tuple[Row, ...]

    @property
    def gone(self) -> float | None:
        """The moment by which every cache must have let go of all that was; None: not known yet."""
        moments = [each.gone for each in self.rows]
        known = [each for each in moments if each is not None]
        return max(known, default=0.0) if len(known) == len(moments) else None

    def whole(self, now: float) -> bool:
        """Whether all of it has spread."""
        return all(each.spread(now) for each in self.rows)

    def reasons(self, now: float) -> tuple[str, ...]:
        """Why it hasn't spread yet, a sentence for each reason; none: it has."""
        return tuple(reason for row in self.rows for reason in _reasons(row, now))


def watched(authority: Authority, caches: Iterable[Server]) -> tuple[Watched, ...]:
    """Whom to look at: the zone's servers and these caches. A server that has disowned the zone
    hands out nothing and is left out, as is one that can't be asked from here; one that is silent
    or fails may be back with what it had, and stays."""
    returning = frozenset(
        {Outcome.TIMEOUT, Outcome.SERVFAIL, Outcome.MALFORMED, Outcome.UNREACHABLE}
    )
    own = (
        Watched(each.server, True)
        for each in authority.standings
        if each.serving or (each.soa.outcome in returning and each.soa.said != NO_ROUTE)
    )
    return tuple(dict.fromkeys((*own, *(Watched(each, False) for each in caches))))


async def look(
    network: Network,
    servers: Iterable[Watched],
    records: Iterable[Switched],
    clock: Callable[[], float],
) -> list[Look]:
    """One look at every record set at every server, all at once. Raises nothing that a server could
    cause."""
    wanted = tuple(records)

    async def one(each: Watched, record: Switched) -> Look:
        answer = await network.ask(
            each.server, record.name, record.kind, recursive=not each.authoritative
        )
        # The moment after the answer: what was handed out lives no longer than this and its TTL.
        return looked(clock(), each, record, answer)

    return await asyncio.gather(*(one(each, record) for each in servers for record in wanted))


def looked(at: float, asked: Watched, record: Switched, answer: Answer) -> Look:
    """The look that the answer makes."""
    values = tuple(sorted(answer.values)) if answer.told else ()
    seen = _seen(record, values) if answer.told else Seen.SILENT
    ttl = answer.ttl if answer.told else None
    said = answer.said
    if not answer.told:
        said = f"{answer.outcome} ({answer.said})" if answer.said else str(answer.outcome)
    return Look(
        at,
        asked.server,
        asked.authoritative,
        record.name,
        record.kind,
        seen,
        values,
        ttl,
        printable(said, 200),
    )


def spread(
    records: Iterable[Switched],
    looks: Iterable[Look],
    asked: Iterable[Watched] | None = None,
) -> Spread:
    """The table that all looks make, whenever they were made: those from before the switch say with
    which TTL the old records were handed out. Looks at other records don't count; what was seen is
    judged anew by the records given.

    `asked` are the servers that are looked at now, where not all that ever were: of the others,
    such as a name server that was taken out meanwhile, counts what they had handed out by then.
    """
    wanted = None if asked is None else {_address(each) for each in asked}
    by_key: dict[tuple[str, Kind], list[Look]] = {}
    for each in sorted(looks, key=lambda one: one.at):
        by_key.setdefault((each.name, each.kind), []).append(each)
    return Spread(tuple(_row(record, by_key.get(record.key, []), wanted) for record in records))


_Address = tuple[str, int, bool]


def _address(each: Watched | Look) -> _Address:
    """What makes it the same server, whatever it is called."""
    return each.server.address, each.server.port, each.authoritative


def _seen(record: Switched, values: Sequence[str]) -> Seen:
    if set(values) == set(record.new):
        return Seen.NEW
    return Seen.OLD if set(values) == set(record.old) else Seen.MIXED


def _row(record: Switched, looks: Sequence[Look], wanted: Set[_Address] | None) -> Row:
    histories: dict[_Address, list[Look]] = {}
    for each in looks:
        histories.setdefault(_address(each), []).append(each)
    if wanted is None:
        wanted = frozenset(histories)
    bounds = [
        _handed_out(record, history) if address in wanted and address[2] else _held(record, history)
        for address, history in histories.items()
    ]
    # Without a word of the zone's own servers nothing bounds the caches that nobody asked.
    if not any(address[2] for address in histories if address in wanted):
        bounds.append(None)
    known = [each for each in bounds if each is not None]
    newest = sorted(
        (history[-1] for address, history in histories.items() if address in wanted),
        key=lambda each: not each.authoritative,
    )
    return Row(record, tuple(newest), max(known) if len(known) == len(bounds) else None)


def _handed_out(record: Switched, history: Sequence[Look]) -> float | None:
    """Until when a cache may hold what this server of the zone's own has handed out of old: from
    each look that saw it, until the next look that told something, the server went on doing so."""
    told = [each for each in history if each.seen is not Seen.SILENT]
    if not told or _seen(record, told[-1].values) is not Seen.NEW:
        return None
    if all(_seen(record, each.values) is Seen.NEW for each in told):
        # It may have changed just before it was looked at first.
        return told[0].at + record.ttl if set(record.old) != set(record.new) else 0.0
    return max(
        following.at + (record.ttl if earlier.ttl is None else earlier.ttl)
        for earlier, following in pairwise(told)
        if _seen(record, earlier.values) is not Seen.NEW
    )


def _held(record: Switched, history: Sequence[Look]) -> float:
    """Until when caches may hold what was seen here, if nothing was handed out since; 0: nothing
    old ever was seen."""
    return max(
        (
            each.at + (record.ttl if each.ttl is None else each.ttl)
            for each in history
            if each.seen is not Seen.SILENT and _seen(record, each.values) is not Seen.NEW
        ),
        default=0.0,
    )


def _reasons(row: Row, now: float) -> Iterator[str]:
    what = f"{row.record.kind} of {shown(row.record.name)}"
    if not row.looks:
        yield f"nobody has been asked for {what} yet"
        return
    for each in row.looks:
        if each.seen is Seen.SILENT:
            yield f"{each.server} tells nothing of {what}: {each.said}"
        elif each.seen is not Seen.NEW:
            words = "the old" if each.seen is Seen.OLD else "neither the old nor the new"
            held = ""
            if not each.authoritative and each.ttl is not None:
                held = f", for {_seconds(each.at + each.ttl - now)} yet"
            yield f"{each.server} answers {words} {what}{held}"
    left = row.left(now)
    if left:
        yield f"caches may hold the old {what} for {_seconds(left)} yet"


def _seconds(number: float) -> str:
    return plural(max(0, round(number)), "second")
