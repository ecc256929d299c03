"""How long a plan will take, when it must start at the latest, and what would shorten it. Pure.

The model is a fluid: mail flows as fast as the tightest limit of the moment lets it. Limits by the
second (a mailbox's own rate, connections, messages a second) make the work last so many seconds;
limits by the day (octets a day, working hours) make the calendar pass. A forecast is a forecast:
throttling that nobody announced is not in it, and `MARGIN` is for that.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from mailhaul.plan.model import Budget, Hours

MARGIN = 0.25
"""So much of the forecast time is kept in reserve before a cutover,"""
LEAST_MARGIN = timedelta(hours=12)
"""and never less than this."""
HORIZON = 3650
"""Days; what takes longer never ends."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What one mailbox holds."""

    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What one connection pair carries, as measured on a sample of the mailboxes themselves."""

    messages_per_second: float
    octets_per_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """All that holds the flow back. `connections_each` is (source, target)."""

    rate: Rate
    source: Budget
    target: Budget
    connections_each: tuple[int, int] = (1, 1)
    hours: Hours | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


@dataclass(frozen=True, slots=True)
class Relief:
    """A limit that binds: what it is, and how many seconds earlier all would be done without it."""

    limit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """For some mailboxes from `start` on. `ends` is None when it would never end. The reliefs are
    those worth a thought, the largest first."""

    messages: int
    octets: int
    start: datetime
    ends: datetime | None
    reliefs: tuple[Relief, ...] = ()

    @property
    def seconds(self) -> float:
        """How long, by the calendar; infinite when it never ends."""
        return float("inf") if self.ends is None else (self.ends - self.start).total_seconds()


def forecast(amounts: Sequence[Amount], limits: Limits, start: datetime) -> Forecast:
    """When the mailboxes will have been carried that are begun at `start` (aware)."""
    ends = _end(amounts, limits, start)
    whole = float("inf") if ends is None else (ends - start).total_seconds()
    reliefs = []
    for name, lifted in _lifted(limits):
        without = _end(amounts, lifted, start)
        if without is not None and (ends is None or without < ends):
            saved = whole - (without - start).total_seconds()
            if saved >= 0.02 * whole:
                reliefs.append(Relief(name, saved))
    reliefs.sort(key=lambda relief: -relief.seconds)
    messages = sum(amount.messages for amount in amounts)
    octets = sum(amount.octets for amount in amounts)
    return Forecast(messages, octets, start, ends, tuple(reliefs))


def latest_start(
    amounts: Sequence[Amount], limits: Limits, cutover: datetime, earliest: datetime
) -> datetime | None:
    """The latest moment from `earliest` on at which the mailboxes can be begun to be there, with
    the margin, at `cutover`; None when it is too late already."""

    def in_time(start: datetime) -> bool:
        ends = _end(amounts, limits, start)
        if ends is None:
            return False
        margin = max((ends - start) * MARGIN, LEAST_MARGIN)
        return ends + margin <= cutover

    if not in_time(earliest):
        return None
    good, bad = 0.0, max(0.0, (cutover - earliest).total_seconds())
    while bad - good > 60:
        middle = (good + bad) / 2
        if in_time(earliest + timedelta(seconds=middle)):
            good = middle
        else:
            bad = middle
    return (earliest + timedelta(seconds=good)).replace(second=0, microsecond=0)


def _end(amounts: Sequence[Amount], limits: Limits, start: datetime) -> datetime | None:
    """The calendar, day by day: what of the whole each day lets through."""
    work = _work_seconds(amounts, limits)
    if work == 0:
        return start
    a_day = min(_days_share(amounts, limits), default=float("inf"))
    left = 1.0
    for opens, closes in _open_hours(limits.hours, limits.zone, start):
        seconds = sum(
            (end - begin).total_seconds() for begin, end in zip(opens, closes, strict=True)
        )
        share = min(seconds / work, a_day)
        if share < left:
            left -= share
            continue
        # The day on which it ends; within it the flow is the fastest there is.
        needed = left * work
        for begin, end in zip(opens, closes, strict=True):
            length = (end - begin).total_seconds()
            if needed <= length + 1e-6:
                return begin + timedelta(seconds=needed)
            needed -= length
    return None


def _work_seconds(amounts: Sequence[Amount], limits: Limits) -> float:
    """How long it takes without any pause."""
    source, target = limits.source, limits.target
    lengths = [_alone(amount, limits) for amount in amounts]
    longest = max(lengths, default=0.0)
    found = [longest, _in_turns(lengths, _side_by_side(limits))]
    messages = sum(amount.messages for amount in amounts)
    found += [
        messages / budget.messages_per_second
        for budget in (source, target)
        if budget.messages_per_second
    ]
    return max(found)


def _alone(amount: Amount, limits: Limits) -> float:
    """One mailbox by itself: by its messages or by its octets, whichever takes longer."""
    lanes = min(limits.connections_each)
    rate = limits.rate
    a_second = rate.messages_per_second * lanes
    for budget in (limits.source, limits.target):
        if budget.messages_per_second_each:
            a_second = min(a_second, budget.messages_per_second_each)
    return max(amount.messages / a_second, amount.octets / (rate.octets_per_second * lanes))


def _side_by_side(limits: Limits) -> int | None:
    """How many mailboxes the connections allow at a time; None: as many as there are."""
    pairs = zip((limits.source, limits.target), limits.connections_each, strict=True)
    found = [max(1, b.connections // each) for b, each in pairs if b.connections is not None]
    return min(found, default=None)


def _in_turns(lengths: Sequence[float], side_by_side: int | None) -> float:
    """How long until all are done, so many at a time, in their order."""
    if side_by_side is None or side_by_side >= len(lengths):
        return max(lengths, default=0.0)
    free = [0.0] * side_by_side
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def _days_share(amounts: Sequence[Amount], limits: Limits) -> Iterator[float]:
    """What part of the whole each limit lets through a day."""
    octets = sum(amount.octets for amount in amounts)
    largest = max((amount.octets for amount in amounts), default=0)
    for budget in (limits.source, limits.target):
        if budget.octets_per_day and octets:
            yield budget.octets_per_day / octets
        if budget.octets_per_day_each and largest:
            yield budget.octets_per_day_each / largest


def _open_hours(
    hours: Hours | None, zone: ZoneInfo, start: datetime
) -> Iterator[tuple[list[datetime], list[datetime]]]:
    """For each day from that of `start` on: when work may begin and must end, in UTC. Days are
    those of `zone`, with their 23 or 25 hours where clocks change."""
    first = start.astimezone(zone).date()
    for number in range(HORIZON):
        day = first + timedelta(days=number)
        begin, end = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
        begin = max(begin, start.astimezone(UTC))
        spans = [(begin, end)] if hours is None else _spans(hours, day, zone)
        clipped = [(max(opens, begin), min(closes, end)) for opens, closes in spans]
        kept = [(opens, closes) for opens, closes in clipped if opens < closes]
        yield [opens for opens, _ in kept], [closes for _, closes in kept]


def _spans(hours: Hours, day: date, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """The open spans that touch `day`: the night that began the day before, and its own."""
    spans = []
    for begun in (day - timedelta(days=1), day):
        if begun.isoweekday() not in hours.days:
            continue
        over = begun if hours.start < hours.end else begun + timedelta(days=1)
        opens = datetime.combine(begun, hours.start, zone).astimezone(UTC)
        closes = datetime.combine(over, hours.end, zone).astimezone(UTC)
        spans.append((opens, closes))
    return spans


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


_LIFTS: tuple[tuple[str, str], ...] = (
    ("connections", "connections in all"),
    ("messages_per_second", "messages a second in all"),
    ("messages_per_second_each", "messages a second of one mailbox"),
    ("octets_per_day", "octets a day in all"),
    ("octets_per_day_each", "octets a day of one mailbox"),
)


def _lifted(limits: Limits) -> Iterator[tuple[str, Limits]]:
    """The same without one of the limits, by name."""
    for key, name in _LIFTS:
        none: dict[str, None] = {key: None}
        if getattr(limits.source, key):
            source = limits.source.model_copy(update=none)
            yield f"{name} at the source", replace(limits, source=source)
        if getattr(limits.target, key):
            target = limits.target.model_copy(update=none)
            yield f"{name} at the target", replace(limits, target=target)
    if limits.hours is not None:
        yield "working hours", replace(limits, hours=None)
    fast = Rate(limits.rate.messages_per_second * 2, limits.rate.octets_per_second * 2)
    yield "the rate of a connection (twice as fast)", replace(limits, rate=fast)
