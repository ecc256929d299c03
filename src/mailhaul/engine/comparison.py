"""Compares one target folder with what goes there: pairs, reads, and tells what is not the same.

`Match` holds what is known of one folder; the functions here fill it, in the order in which they
stand, and yield differences as they find them; engine/absences.py tells what has no other half.
engine/verify.py calls them and says what the whole is for.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from mailhaul.core.folder import Folder, FolderPath
from mailhaul.core.store import Source
from mailhaul.core.text import plural
from mailhaul.engine.census import (
    Census,
    Pairs,
    content_rungs,
    groups,
    listing_rungs,
    out_of_order,
    pair_off,
)
from mailhaul.engine.listed import flag_difference, received_difference, sizes_differ
from mailhaul.engine.outcomes import FolderLink, Side, Waiting
from mailhaul.engine.reading import (
    PairRead,
    Patience,
    read_digests,
    read_pairs,
)
from mailhaul.engine.sides import closing
from mailhaul.engine.verdict import (
    Difference,
    FolderCompared,
    Kind,
    Progress,
    Severity,
    Verdict,
    VerifyEvent,
    VerifyOptions,
)

IDENTIFY_PAGE = 5000
DOUBTS = 200
"""So many messages of a folder level 1 reads because their sizes or headers differ."""

EMPTY = "empty at the source: there is nothing to carry"

HARD, SOFT = Severity.DIFFERENCE, Severity.NOTE


@dataclass(frozen=True, slots=True)
class Job:
    """A target folder, and the source folders that go there."""

    path: FolderPath
    there: Folder | None
    links: tuple[FolderLink, ...]
    sources: tuple[Folder, ...]


@dataclass(slots=True)
class Run:
    """One verification: what it was given, and what it has counted."""

    source: Source
    target: Source
    options: VerifyOptions
    patience: Patience
    now: float
    vanished: int = 0
    empty: int = 0
    octets: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    _totals: Counter[str] = field(default_factory=Counter)
    _found: Counter[tuple[Severity, Kind]] = field(default_factory=Counter)

    @property
    def stores(self) -> list[tuple[Side, Source]]:
        return [(Side.SOURCE, self.source), (Side.TARGET, self.target)]

    def count(self, event: VerifyEvent) -> None:
        if isinstance(event, Difference):
            self._found[event.severity, event.kind] += event.count
        elif isinstance(event, FolderCompared):
            self._totals["folders"] += 1
            for name in ("messages", "at_target", "paired", "identical"):
                self._totals[name] += getattr(event, name)

    def verdict(self) -> Verdict:
        remarks = [*self.remarks]
        if self.vanished:
            gone = "message that vanished meanwhile was", "messages that vanished meanwhile were"
            remarks.append(f"{plural(self.vanished, *gone)} left out")
        if self.empty:
            remarks.append(f"{plural(self.empty, 'message is', 'messages are')} {EMPTY}")
        return Verdict(
            deep=self.options.deep,
            folders=self._totals["folders"],
            messages=self._totals["messages"],
            at_target=self._totals["at_target"],
            paired=self._totals["paired"],
            identical=self._totals["identical"],
            octets=self.octets,
            differences=self._of(HARD),
            notes=self._of(SOFT),
            explained=dict(self.explained),
            remarks=tuple(remarks),
        )

    def _of(self, severity: Severity) -> dict[Kind, int]:
        return {kind: self._found[severity, kind] for kind in Kind if self._found[severity, kind]}


@dataclass(slots=True)
class Match:
    """What is known of one folder so far. `pairs` are certain; `guesses` have other headers and
    the same place in the listing, and are read before they count."""

    ours: Census = field(default_factory=Census)
    theirs: Census = field(default_factory=Census)
    pairs: Pairs = field(default_factory=list)
    guesses: Pairs = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    same: set[int] = field(default_factory=set)
    """Source numbers whose pair is known to have the same octets."""
    identical: int = 0


def identifications(
    store: Source, side: Side, census: Census
) -> list[tuple[Side, Callable[[], Awaitable[None]]]]:
    """Calls that learn all identities of one side, page by page."""
    return [
        (side, partial(identify_page, store, side, census, folder, numbers))
        for folder, span in census.parts
        for start in range(span.start, span.stop, IDENTIFY_PAGE)
        if (numbers := range(start, min(start + IDENTIFY_PAGE, span.stop)))
    ]


async def identify_page(
    store: Source, side: Side, census: Census, folder: Folder, numbers: Iterable[int]
) -> None:
    by_key = {census.keys[number]: number for number in numbers}
    async with closing(side, store.identify(folder, list(by_key))) as found:
        async for key, identity in found:
            if key in by_key:
                census.identify(by_key[key], identity.digest)


async def learn_digests(
    run: Run, side: Side, census: Census, numbers: Sequence[int], into: dict[int, bytes]
) -> AsyncIterator[Waiting]:
    """As `reading.read_digests`; what was read is counted."""
    store = dict(run.stores)[side]
    async for event in read_digests(run.patience, store, side, census, numbers, into):
        if isinstance(event, Waiting):
            yield event
        else:
            run.octets += event


async def pair_up(run: Run, match: Match) -> AsyncIterator[Waiting]:
    """Fills `pairs`, `guesses`, `missing`, `extra` and `doubled`; deep, copies of one identity are
    read to tell them apart."""
    ours, theirs = match.ours, match.theirs
    several: list[tuple[list[int], list[int]]] = []
    for left, right in groups(ours, theirs):
        if len(left) == len(right) == 1:
            match.pairs.append((left[0], right[0]))
        elif not left:
            match.extra += right
        elif not right:
            match.missing += left
        else:
            several.append((left, right))
    contents: dict[int, bytes] = {}
    others: dict[int, bytes] = {}
    if run.options.deep:
        left_numbers = sorted(number for left, _ in several for number in left)
        right_numbers = sorted(number for _, right in several for number in right)
        async for wait in learn_digests(run, Side.SOURCE, ours, left_numbers, contents):
            yield wait
        async for wait in learn_digests(run, Side.TARGET, theirs, right_numbers, others):
            yield wait
    rungs = [*content_rungs(contents, others), *listing_rungs()]
    for left, right in several:
        pairs, missing, doubled = pair_off(ours, theirs, left, right, rungs)
        match.pairs += pairs
        match.missing += missing
        match.doubled += doubled
        match.same.update(
            number
            for number, other in pairs
            if number in contents and contents[number] == others.get(other)
        )
    match.pairs.sort()
    _guess(run, match)


def _guess(run: Run, match: Match) -> None:
    """Pairs what is missing with what is extra where the listing lines agree: perhaps the header
    was altered. They are read, and count as a pair only when they turn out alike."""
    rungs = listing_rungs()[:2]
    if run.options.deep:
        rungs = listing_rungs()[:-1]
    guesses, missing, extra = pair_off(
        match.ours, match.theirs, sorted(match.missing), sorted(match.extra), rungs
    )
    if not run.options.deep:
        for left, right in guesses[DOUBTS:]:
            missing.append(left)
            extra.append(right)
        guesses = guesses[:DOUBTS]
    match.guesses, match.missing, match.extra = sorted(guesses), missing, extra


async def read_and_tell(
    run: Run, job: Job, match: Match
) -> AsyncIterator[Difference | Progress | Waiting]:
    """Reads what is to be read and tells alterations; level 1 reads only what it doubts."""
    ours, theirs = match.ours, match.theirs
    doubted = [pair for pair in match.pairs if sizes_differ(ours, theirs, *pair)]
    wanted = match.pairs if run.options.deep else doubted[:DOUBTS]
    unread = [pair for pair in wanted if pair[0] not in match.same]
    match.identical += len(wanted) - len(unread)
    guessed = set(match.guesses)
    gone: set[tuple[int, int]] = set()
    altered = False
    async for read in read_pairs(
        run.patience, (run.source, ours), (run.target, theirs), sorted([*unread, *match.guesses])
    ):
        if isinstance(read, Waiting):
            yield read
            continue
        yield Progress(job.path, read=1, octets=read.octets)
        run.octets += read.octets
        pair = (read.ours, read.theirs)
        if read.gone:
            run.vanished += 1
            gone.add(pair)
        elif pair in guessed and not _alike(match, read):
            match.missing.append(read.ours)
            match.extra.append(read.theirs)
        else:
            if pair in guessed:
                match.pairs.append(pair)
            difference = _read_difference(run, match, read)
            if difference is not None:
                altered = True
                yield difference
    match.pairs = sorted(pair for pair in match.pairs if pair not in gone)
    if not run.options.deep:
        for difference in _sizes(match, doubted[DOUBTS:], HARD if altered else SOFT):
            yield difference


def _alike(match: Match, read: PairRead) -> bool:
    """Whether two messages with different headers are one: a known alteration tells so, or nearly
    the same octets that came at the same second."""
    if read.unreadable:
        return False
    if read.alteration is None or read.alteration.explained:
        return True
    return read.similar and match.ours.received[read.ours] == match.theirs.received[read.theirs]


def _read_difference(run: Run, match: Match, read: PairRead) -> Difference | None:
    if read.unreadable:
        kind, severity, detail = Kind.UNREADABLE, HARD, read.unreadable
    elif read.alteration is None:
        match.identical += 1
        return None
    elif read.alteration.explained:
        run.explained.update(read.alteration.names)
        detail = f"altered by target: {read.alteration.detail}"
        kind, severity = Kind.ALTERED, SOFT
    else:
        detail = f"altered, unexplained: {read.alteration.detail}"
        kind, severity = Kind.ALTERED, HARD
    return _about(match, kind, severity, read.ours, read.theirs, detail, read.subject)


def _sizes(match: Match, doubted: Pairs, severity: Severity) -> Iterator[Difference]:
    """Sizes that level 1 had no time to look into: harmless when all that it read was the same
    (some servers announce other sizes than they deliver, D11)."""
    for left, right in doubted:
        detail = (
            f"announced with {match.ours.sizes[left]} octets at the source, "
            f"{match.theirs.sizes[right]} at the target; not read, --deep tells more"
        )
        yield _about(match, Kind.SIZE, severity, left, right, detail)


def compare_listings(run: Run, match: Match) -> Iterator[Difference]:
    """Flags, received dates and order of all pairs."""
    ours, theirs = match.ours, match.theirs
    can = run.target.capabilities
    for left, right in match.pairs:
        flags = flag_difference(ours.flags(left), theirs.flags(right), can.keeps_keywords)
        if flags is not None:
            severity = HARD if flags.serious else SOFT
            yield _about(match, Kind.FLAGS, severity, left, right, flags.detail)
        received = received_difference(ours.received[left], theirs.received[right], run.now)
        if received is not None:
            severity = HARD if received.serious and can.keeps_received else SOFT
            yield _about(match, Kind.RECEIVED, severity, left, right, received.detail)
    for folder, span in ours.parts:
        moved = out_of_order(right for left, right in match.pairs if left in span)
        if moved:
            detail = f"{plural(moved, 'message lies', 'messages lie')} in another order"
            yield Difference(Kind.ORDER, SOFT, folder.path, detail, count=moved)


def _about(
    match: Match,
    kind: Kind,
    severity: Severity,
    left: int,
    right: int,
    detail: str,
    subject: str = "",
) -> Difference:
    path = match.ours.folder(left).path
    keys = match.ours.keys[left], match.theirs.keys[right]
    return Difference(kind, severity, path, detail, *keys, subject)
