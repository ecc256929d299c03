"""Folders on their way, side by side, each through all temporary trouble.

What doesn't depend on one another goes out together: making the target's folder and listing the
source's, subscribing and carrying, and counting the source anew while the target still stores what
has been read.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from mailhaul.core.errors import Disconnected, FolderFailed, MailhaulError, RetryLater
from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.store import Changes, Foresees
from mailhaul.engine.accounting import Effects
from mailhaul.engine.carry import carry
from mailhaul.engine.ledger import FolderRow
from mailhaul.engine.outcomes import Carried, Event, FolderDone, FolderLink, Side
from mailhaul.engine.pair import Pair
from mailhaul.engine.sides import Ahead, together
from mailhaul.engine.visit import Carrier, Postponed

FOLDERS_AT_ONCE = 24
"""Folders on their way at the same time: enough to hide the round trips, few enough for memory."""

LARGE_FOLDER = 4 * 1024 * 1024
USUAL_MESSAGE = 16 * 1024
LARGE_FOLDERS_AT_ONCE = 3
"""Folders of more octets than that hold whole batches in memory: few of them at the same time."""

SETTLING = 3.0
"""Seconds in which a server is through with what it had received before a connection ended."""


@dataclass(slots=True)
class Trip:
    """One folder on its way: where it is, and how it went."""

    link: FolderLink
    source: Folder
    target: Folder | None
    """None: it has to be made."""
    row: FolderRow
    effects: Effects = field(default_factory=Effects)
    anew: bool = False
    look: bool = False
    error: str = ""
    unmade: bool = False
    """The target won't have its folder."""
    postponed: Postponed | None = None
    """What is left to be done together with the removals."""


class _Census:
    """The source's folders, counted as soon as the last of `trips` has read all it will read; so
    that the answer comes while the target stores. Whoever reads on makes that count void."""

    def __init__(self, pair: Pair, trips: Sequence[Trip]) -> None:
        self._pair = pair
        self._reading = {trip.link.source for trip in trips}
        self._task: asyncio.Task[list[Folder]] | None = None

    def read(self, trip: Trip) -> None:
        """The trip has read all that its folder holds."""
        self._reading.discard(trip.link.source)
        if not self._reading and self._task is None:
            self._task = asyncio.create_task(self._pair.source.folders())

    def reads(self, trip: Trip) -> None:
        """It reads again."""
        self._reading.add(trip.link.source)
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def taken(self) -> list[Folder] | None:
        """The count; None when there is none that holds."""
        if self._task is None:
            return None
        try:
            return await self._task
        except MailhaulError:
            return None

    async def drop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task.cancelled() or self._task.exception()


async def carry_all(pair: Pair, trips: Sequence[Trip]) -> list[Folder] | None:
    """Carries every folder; what stays undone is written down in its trip. Gives the source's
    folders as counted when all had been read, if that could be done beside the rest."""
    places = asyncio.Semaphore(FOLDERS_AT_ONCE)
    wide = asyncio.Semaphore(LARGE_FOLDERS_AT_ONCE)
    alone = defaultdict[FolderPath, asyncio.Lock](asyncio.Lock)
    census = _Census(pair, trips)

    async def one(trip: Trip) -> None:
        # Two folders that share a target would take each other's copies for strangers.
        size = trip.source.size
        if size is None:
            size = (trip.source.count or 0) * USUAL_MESSAGE
        large = size > LARGE_FOLDER
        async with wide if large else nullcontext(), places, alone[trip.link.target]:
            await _carry_one(pair, trip, census)

    try:
        await together(*(one(trip) for trip in trips))
        return await census.taken()
    finally:
        await census.drop()


async def _carry_one(pair: Pair, trip: Trip, census: _Census) -> None:
    ahead = None
    if trip.target is None and not pair.ledger.known(trip.row):
        _foresee(pair, trip, pair.options.since is None and trip.source.tail is not None)
        ahead = Ahead(pair.source.changes(trip.source, None))
    beside: list[asyncio.Task[None]] = []
    try:
        if trip.target is None and not await _make(pair, trip):
            return
        if not trip.row.subscribed:
            beside.append(asyncio.create_task(_subscribe(pair, trip)))
        await _carry_on(pair, trip, ahead, census)
        await asyncio.gather(*beside)
    except (FolderFailed, RetryLater) as error:
        trip.error = trip.error or str(error)
    finally:
        for task in beside:
            task.cancel()
        if ahead is not None:
            await ahead.aclose()
        _foresee(pair, trip, False)
        census.read(trip)
    pair.ledger.commit()
    trip.anew = trip.look = False
    pair.tell(FolderDone(trip.link.source, trip.error))


def _foresee(pair: Pair, trip: Trip, wanted: bool) -> None:
    """All of a folder that is new to us and to the target will be carried; else nothing is known
    beforehand."""
    if isinstance(pair.source, Foresees):
        pair.source.foresee(trip.source, wanted)


async def _make(pair: Pair, trip: Trip) -> bool:
    """Makes the trip's target folder; false, and told, when the target won't have it."""
    link = trip.link
    try:
        folder = await pair.patiently(
            lambda: pair.target.create(link.target, link.role), Side.TARGET
        )
    except (FolderFailed, RetryLater) as error:
        pair.unfinished.append(f"{shown(link.target)} could not be made: {error}")
        trip.unmade = True
        pair.tell(FolderDone(link.source, str(error)))
        return False
    row = trip.row
    if pair.ledger.known(row):
        row = pair.ledger.lose_targets(row)
        pair.ledger.forget(each.id for each in pair.ledger.unkeyed(row) if each.id)
    trip.target = folder
    trip.row = replace(
        row, target_tail=folder.tail, target_seen=folder.tail, target_anchor=folder.tail
    )
    pair.ledger.move(trip.row)
    return True


async def _subscribe(pair: Pair, trip: Trip) -> None:
    """Done once for a folder; later the person decides."""
    target = trip.target
    assert target is not None
    if trip.source.subscribed and not target.subscribed:
        await pair.patiently(lambda: pair.target.subscribe(target), Side.TARGET)
    pair.ledger.subscribed(trip.row)


async def _carry_on(pair: Pair, trip: Trip, ahead: Ahead[Changes] | None, census: _Census) -> None:
    pace = pair.pace()

    def tell(event: Event) -> None:
        if isinstance(event, Carried):
            pace.progressed()
        pair.tell(event)

    if trip.postponed is not None:  # all of it is found again
        trip.postponed, trip.row = None, pair.ledger.folder(trip.row.id)
    carrier = Carrier(
        *(pair.source, pair.target, pair.ledger, pair.options),
        *(tell, lambda: census.read(trip), trip.effects, pair.beside),
    )
    trip.error = ""
    assert trip.target is not None
    while True:
        try:
            trip.row = await carry(
                *(carrier, trip.row, trip.source, trip.target),
                look=trip.look,
                anew=trip.anew,
                ahead=ahead,
            )
            trip.postponed = carrier.postponed
            return
        except RetryLater as error:
            census.reads(trip)
            _foresee(pair, trip, False)
            pause = pace.pause(error)
            if pause is None:
                trip.error = f"given up after {pace.failures} tries: {error}"
                return
            if isinstance(error, Disconnected) and pair.ledger.intended(trip.row):
                pause = max(pause, SETTLING)
            await pair.wait(error, pause)
            trip.look = True
            trip.row = pair.ledger.folder(trip.row.id)
            ahead = None
        except FolderFailed as error:
            trip.error = str(error)
            return
