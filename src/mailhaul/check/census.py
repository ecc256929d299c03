"""The census of the source: every folder listed, every header fetched, nothing changed.

STATUS, the listing and FETCH are three answers that servers give from three places; where they
disagree, mail may be invisible (failure-modes C18, D24). Memory: some 200 octets a message of one
folder at a time.
"""

import time
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailhaul.check.checked import EDGES, UNMEASURED, FolderCensus, Rate, Step, histogram
from mailhaul.check.oddities import Oddity, oddities_in
from mailhaul.core.errors import CursorExpired, FolderFailed
from mailhaul.core.folder import Folder, shown
from mailhaul.core.message import Entry, Key, Unreadable
from mailhaul.core.store import Source

Work = Callable[[], Awaitable[None]]
Patient = Callable[[Work], Awaitable[None]]
"""Does the work, and does it again from its beginning after a `RetryLater`, as far as one waits."""

HEADERS = 1000
"""Headers asked for at once."""
SAMPLE = 64
SAMPLE_EACH = 8
"""Messages of one folder that are read whole, at the least; all together at most `SAMPLE`."""
SAMPLE_SHARE = 16
"""Of a mailbox with fewer messages than would fill the sample at this share no more than one in so
many is read: reading took half of the time that its whole copy takes."""
SAMPLE_LARGEST = 4 * 1024 * 1024
SAMPLE_OCTETS = 16 * 1024 * 1024
SHOWN = 3
UNKNOWN = -1
FIRST_DATE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Counts:
    """What can be counted of messages. `too_large` are those above the target's limit."""

    messages: int = 0
    octets: int = 0
    older: int = 0
    largest: int = 0
    too_large: int = 0
    too_large_octets: int = 0
    empty: int = 0
    odd_dates: int = 0
    deleted: int = 0
    with_keywords: int = 0
    duplicates: int = 0
    unnamed: int = 0
    keywords: Counter[str] = field(default_factory=Counter)
    steps: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in (*EDGES, None)])

    def add(self, other: "Counts") -> None:
        """Counts `other` in."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest = max(self.largest, other.largest)
        self.keywords += other.keywords
        for own, more in zip(self.steps, other.steps, strict=True):
            own[0] += more[0]
            own[1] += more[1]


_SUMMED = (
    "messages",
    "octets",
    "older",
    "too_large",
    "too_large_octets",
    "empty",
    "odd_dates",
    "deleted",
    "with_keywords",
    "duplicates",
    "unnamed",
)


@dataclass(slots=True)
class SourceCensus:
    """What was found so far. `limit` is the largest message the target takes; sentences name the
    first few of a kind."""

    since: datetime | None
    limit: int | None
    now: datetime
    total: Counts = field(default_factory=Counts)
    folders: list[FolderCensus] = field(default_factory=list)
    not_fetched: set[tuple[str, Key]] = field(default_factory=set)
    """Folder (native) and key of each message that is listed and not handed over."""
    unreadable: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    sampled: int = 0
    sizes_differ: int = 0
    oddities: Counter[Oddity] = field(default_factory=Counter)
    rate: Rate = UNMEASURED

    @property
    def histogram(self) -> tuple[Step, ...]:
        return histogram([(messages, octets) for messages, octets in self.total.steps])


@dataclass(slots=True)
class _Listing:
    """One folder as it was listed."""

    counts: Counts = field(default_factory=Counts)
    keys: list[Key] = field(default_factory=list)
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    sample: list[Entry] = field(default_factory=list)


async def take_census(
    source: Source, folders: Sequence[Folder], census: SourceCensus, patient: Patient
) -> None:
    """Looks through `folders` into `census`. Raises `RetryLater` and `Closed` once patience is
    over; a folder that fails is noted and the others go on."""
    samples: list[tuple[Folder, list[Entry]]] = []
    doubtful: dict[str, int] = {}
    each = max(SAMPLE_EACH, SAMPLE // max(1, len(folders)))
    for folder in folders:
        try:
            listing = await _list(source, folder, each, census, patient)
            await _identify(source, folder, listing, census, patient)
        except (FolderFailed, CursorExpired) as error:
            seen = FolderCensus(folder.path, stated=folder.count, problem=str(error))
            census.folders.append(seen)
            continue
        counts = listing.counts
        census.total.add(counts)
        if folder.count is not None and folder.count != len(listing.keys):
            doubtful[folder.native] = len(listing.keys)
        samples.append((folder, listing.sample))
        census.folders.append(
            FolderCensus(
                path=folder.path,
                messages=counts.messages,
                octets=counts.octets,
                older=counts.older,
                stated=folder.count,
                largest=counts.largest,
            )
        )
    if doubtful:
        await _count_again(source, folders, doubtful, census, patient)
    await _read_sample(source, samples, census, patient)


async def _list(
    source: Source, folder: Folder, each: int, census: SourceCensus, patient: Patient
) -> _Listing:
    listing = _Listing()
    every = max(1, (folder.count or 0) // each)

    async def work() -> None:
        nonlocal listing
        listing = _Listing()
        async for page in source.changes(folder, None):
            for entry in page.entries:
                if len(listing.keys) % every == 0 and len(listing.sample) < each:
                    listing.sample.append(entry)
                listing.keys.append(entry.key)
                listing.sizes.append(UNKNOWN if entry.size is None else entry.size)
                _count(listing.counts, entry, census)

    await patient(work)
    return listing


def _count(counts: Counts, entry: Entry, census: SourceCensus) -> None:
    received = entry.received
    if census.since is not None and received is not None and received < census.since:
        counts.older += 1
        return
    size = entry.size or 0
    counts.messages += 1
    counts.octets += size
    counts.largest = max(counts.largest, size)
    step = counts.steps[bisect_right(EDGES, size)]
    step[0] += 1
    step[1] += size
    if census.limit is not None and size > census.limit:
        counts.too_large += 1
        counts.too_large_octets += size
    counts.empty += entry.size == 0
    odd = received is None or not FIRST_DATE < received < census.now + timedelta(days=1)
    counts.odd_dates += odd
    counts.deleted += "\\Deleted" in entry.flags
    keywords = [flag for flag in entry.flags if not flag.startswith("\\")]
    counts.with_keywords += bool(keywords)
    counts.keywords.update(flag.lower() for flag in keywords)


async def _identify(
    source: Source, folder: Folder, listing: _Listing, census: SourceCensus, patient: Patient
) -> None:
    """Fetches every header: what can't be fetched, what lies there twice, what has no name."""
    keys, sizes, counts = listing.keys, listing.sizes, listing.counts
    seen: set[int] = set()
    silent: set[Key] = set()
    place = 0

    async def work() -> None:
        nonlocal place
        while place < len(keys):
            batch = range(place, min(place + HEADERS, len(keys)))
            told = {
                key: identity
                async for key, identity in source.identify(folder, [keys[n] for n in batch])
            }
            for number in batch:
                identity = told.get(keys[number])
                if identity is None:
                    silent.add(keys[number])
                    continue
                counts.unnamed += not identity.named
                # 64 bits of a keyed hash tell apart what one folder can hold.
                trait = hash((identity.digest, sizes[number]))
                counts.duplicates += trait in seen
                seen.add(trait)
            place = batch.stop

    await patient(work)
    if silent:
        await _ask_again(source, folder, silent, census, patient)


async def _ask_again(
    source: Source,
    folder: Folder,
    silent: set[Key],
    census: SourceCensus,
    patient: Patient,
) -> None:
    """Messages that were listed and whose headers didn't come: gone meanwhile, or still listed and
    not to be had, which is counted."""
    still: list[Entry] = []

    async def look() -> None:
        still.clear()
        async for page in source.changes(folder, None):
            still.extend(entry for entry in page.entries if entry.key in silent)

    await patient(look)
    reasons: dict[Key, str] = {entry.key: "its header is not handed over" for entry in still}

    async def read() -> None:
        async for each in source.fetch(folder, still[:SAMPLE]):
            if isinstance(each, Unreadable):
                reasons[each.entry.key] = each.reason
            else:
                each.blob.close()
                reasons.pop(each.entry.key, None)

    await patient(read)
    census.not_fetched |= {(folder.native, key) for key in reasons}
    for key, reason in list(reasons.items())[:SHOWN]:
        _remember(census.unreadable, f"{shown(folder.path)} {key}: {reason}")


async def _count_again(
    source: Source,
    folders: Sequence[Folder],
    doubtful: dict[str, int],
    census: SourceCensus,
    patient: Patient,
) -> None:
    """Counts that differ may only mean that mail has come or gone between the two answers: they
    count when they still differ, from both what was stated before and what is stated now."""
    now: dict[str, int | None] = {}

    async def work() -> None:
        now.update({folder.native: folder.count for folder in await source.folders()})

    await patient(work)
    for folder in folders:
        listed, after = doubtful.get(folder.native), now.get(folder.native)
        if listed is None or folder.count is None or after is None:
            continue
        if not min(folder.count, after) <= listed <= max(folder.count, after):
            _remember(
                census.differing,
                f"{shown(folder.path)}: counted {folder.count:,}, listed {listed:,}",
                most=10,
            )


async def _read_sample(
    source: Source,
    samples: Sequence[tuple[Folder, list[Entry]]],
    census: SourceCensus,
    patient: Patient,
) -> None:
    """Reads a few messages of each folder whole: how fast that goes, and what is odd in them."""
    left = min(SAMPLE, max(SAMPLE_EACH, census.total.messages // SAMPLE_SHARE))
    room = SAMPLE_OCTETS
    each_of = -(-sum(len(entries) for _, entries in samples) // left)
    octets, began = 0, time.monotonic()
    for folder, entries in samples:
        wanted = [entry for entry in entries if (entry.size or 0) <= SAMPLE_LARGEST]
        wanted = wanted[:: max(1, each_of)][:left]
        while wanted and sum(entry.size or 0 for entry in wanted) > room:
            wanted.pop()
        if not wanted:
            continue
        left -= len(wanted)
        room -= sum(entry.size or 0 for entry in wanted)
        done: set[Key] = set()

        async def work(
            folder: Folder = folder, wanted: list[Entry] = wanted, done: set[Key] = done
        ) -> None:
            nonlocal octets
            rest = [entry for entry in wanted if entry.key not in done]
            async for each in source.fetch(folder, rest):
                done.add(each.entry.key)
                if isinstance(each, Unreadable):
                    census.not_fetched.add((folder.native, each.entry.key))
                    told = f"{shown(folder.path)} {each.entry.key}: {each.reason}"
                    _remember(census.unreadable, told)
                    continue
                octets += each.blob.size
                census.sampled += 1
                size = each.entry.size
                census.sizes_differ += size is not None and size != each.blob.size
                census.oddities.update(oddities_in(b"".join(each.blob.chunks())))
                each.blob.close()

        try:
            await patient(work)
        except (FolderFailed, CursorExpired):
            # It opened a moment ago; whoever removed it meanwhile knows.
            continue
    seconds = time.monotonic() - began
    if census.sampled and seconds > 0:
        census.rate = Rate(octets_read=octets / seconds, messages_read=census.sampled / seconds)


def _remember(sentences: list[str], sentence: str, most: int = SHOWN) -> None:
    if len(sentences) < most and sentence not in sentences:
        sentences.append(sentence)
