"""How far a pass is: sums its events up for whoever shows progress. Pure; time is handed in."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailhaul.cli.figures import duration
from mailhaul.core.folder import FolderPath
from mailhaul.engine.outcomes import (
    Carried,
    Event,
    Fate,
    Finished,
    FolderDone,
    Listed,
    Mapped,
    Opened,
    Settled,
    Side,
    Waiting,
)

WINDOW = 15.0
"""Seconds that the rate looks back: steady enough to read, quick enough to show a throttle."""
AVERAGE = 50_000
"""Octets of a message whose size nobody has told yet."""


@dataclass(slots=True)
class FolderMeter:
    """One folder: what is to be carried, as far as it is listed, and what has been.

    `expected` and `expected_octets` guess at what is still to be listed and carried in all.
    """

    path: FolderPath
    count: int = 0
    size: int = 0
    expected: int = 0
    messages: int = 0
    octets: int = 0
    carried_messages: int = 0
    carried_octets: int = 0
    listed: bool = False
    done: bool = False
    error: str = ""
    touched: float = 0.0

    @property
    def to_come(self) -> int:
        """Messages that are expected to be listed yet."""
        return 0 if self.done else max(0, self.expected - self.messages)

    @property
    def share(self) -> tuple[float, float]:
        """Done, and whole: in octets where they are known, else in messages."""
        octets = self.octets + self.octets_to_come
        if octets and octets >= self.carried_octets:
            return self.carried_octets, octets
        return self.carried_messages, self.messages + self.to_come

    @property
    def octets_to_come(self) -> int:
        if self.messages:
            average = self.octets / self.messages
        else:
            average = self.size / self.count if self.count else 0.0
        return round(self.to_come * average)


@dataclass(slots=True)
class Meter:
    """The whole pass. `take` each event with the time (any clock that only goes forward)."""

    started: float
    folders: dict[FolderPath, FolderMeter] = field(default_factory=dict)
    servers: dict[Side, str] = field(default_factory=dict)
    links: int = 0
    idle: int = 0
    mapped: bool = False
    finished: bool = False
    messages: int = 0
    octets: int = 0
    carried_messages: int = 0
    carried_octets: int = 0
    fates: dict[Fate, int] = field(default_factory=dict)
    waits: dict[Side, tuple[Waiting, float]] = field(default_factory=dict)
    _samples: deque[tuple[float, int, int]] = field(default_factory=deque)

    def take(self, event: Event, now: float) -> None:
        match event:
            case Opened():
                self.servers[event.side] = event.server
            case Mapped():
                self._take_map(event)
            case Listed():
                folder = self._folder(event.folder, now)
                folder.listed = True
                folder.messages += event.messages
                folder.octets += event.octets
                self.messages += event.messages
                self.octets += event.octets
            case Carried():
                folder = self._folder(event.folder, now)
                folder.carried_messages += event.messages
                folder.carried_octets += event.octets
                self.carried_messages += event.messages
                self.carried_octets += event.octets
                # Something moved: what a side had asked us to wait for is over.
                self.waits.clear()
                self._sample(now)
            case Settled():
                self.fates[event.fate] = self.fates.get(event.fate, 0) + 1
            case Waiting():
                self.waits[event.side] = (event, now + event.seconds)
            case FolderDone():
                self._finish(self._folder(event.folder, now), event.error)
            case Finished():
                self.finished = True
                self.waits.clear()

    @property
    def folders_done(self) -> int:
        return sum(folder.done for folder in self.folders.values())

    def active(self, most: int) -> list[FolderMeter]:
        """The folders being carried, those that moved last, in the order in which they began."""
        open_ones = [
            folder
            for folder in self.folders.values()
            if folder.listed and not folder.done and folder.messages
        ]
        latest = sorted(open_ones, key=lambda folder: folder.touched, reverse=True)[:most]
        return [folder for folder in open_ones if folder in latest]

    def pending(self, now: float) -> str:
        """What is waited for, in words; empty while mail flows."""
        texts = [
            _awaited(event, until - now) for event, until in self.waits.values() if until > now
        ]
        if texts:
            return "; ".join(texts)
        if self.finished:
            return ""
        missing = [side.value for side in Side if side not in self.servers]
        if missing:
            return f"connecting to the {' and the '.join(missing)}"
        if not self.mapped:
            return "reading the folder lists"
        if self.messages == self.carried_messages + sum(self.fates.values()):
            return "comparing"
        return ""

    def wait_left(self, now: float) -> float:
        """Seconds until the longest wait is over; 0 when nothing asked us to wait."""
        return max((until - now for _, until in self.waits.values()), default=0.0)

    def speed(self, now: float) -> tuple[float, float]:
        """Messages and octets a second, over the last `WINDOW` seconds."""
        self._forget(now)
        if not self._samples:
            return 0.0, 0.0
        began, messages, octets = self._samples[0]
        span = max(now - began, 0.2)
        return (self.carried_messages - messages) / span, (self.carried_octets - octets) / span

    def expect(self, accounted: Mapping[FolderPath, int]) -> None:
        """Guesses at what is still to come: what the source counted, less the messages that the
        ledger has `accounted` for, folder by folder."""
        for path, folder in self.folders.items():
            left = folder.count - accounted.get(path, 0)
            folder.expected = max(0, left + folder.carried_messages)

    def messages_expected(self) -> int:
        """Messages to be carried in all; a guess until all folders are listed."""
        return self.messages + sum(folder.to_come for folder in self.folders.values())

    def octets_expected(self) -> int:
        """Octets to be carried in all; a guess until all folders are listed."""
        return self.octets + sum(folder.octets_to_come for folder in self.folders.values())

    @property
    def share(self) -> tuple[float, float]:
        """Done, and whole: in octets where they are known, else in messages."""
        octets = self.octets_expected()
        if octets and octets >= self.carried_octets:
            return self.carried_octets, octets
        return self.carried_messages, max(self.messages_expected(), self.carried_messages)

    def seconds_left(self, now: float) -> float | None:
        """A guess; None as long as there is nothing to guess by."""
        messages, octets = self.speed(now)
        done, whole = self.share
        speed = octets if self.octets_expected() >= max(1, self.carried_octets) else messages
        elapsed = now - self.started
        if speed <= 0 or elapsed < 2.0 or not self.mapped:
            return None
        # A short window jumps; the whole run forgets throttles too slowly. Half of each.
        steady = (speed + done / elapsed) / 2
        return max(0.0, whole - done) / steady + self.wait_left(now)

    def _take_map(self, event: Mapped) -> None:
        self.mapped = True
        self.links = len(event.links)
        self.idle = event.idle
        for link in event.links:
            count = link.count or 0
            size = count * AVERAGE if link.size is None else link.size
            self.folders[link.source] = FolderMeter(link.source, count, size)

    def _finish(self, folder: FolderMeter, error: str) -> None:
        """What was listed and not carried (refused, missing, given up) no longer counts."""
        folder.done = folder.listed = True
        folder.error = error
        self.messages -= folder.messages - folder.carried_messages
        self.octets -= folder.octets - folder.carried_octets
        folder.messages = folder.carried_messages
        folder.octets = folder.carried_octets

    def _folder(self, path: FolderPath, now: float) -> FolderMeter:
        folder = self.folders.get(path)
        if folder is None:
            folder = self.folders[path] = FolderMeter(path)
        folder.touched = now
        return folder

    def _sample(self, now: float) -> None:
        if not self._samples:
            self._samples.append((self.started, 0, 0))
        # Four points a second are enough, however small the batches are.
        if now - self._samples[-1][0] >= 0.25:
            self._samples.append((now, self.carried_messages, self.carried_octets))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while len(self._samples) > 1 and now - self._samples[1][0] > WINDOW:
            self._samples.popleft()


def _awaited(event: Waiting, left: float) -> str:
    """`waiting 30 s for the target, which asked for it: too many requests`."""
    time = f" {duration(left)}" if left >= 1 else ""
    asked = ", which asked for it" if event.throttled else ""
    return f"waiting{time} for the {event.side}{asked}: {event.reason}"
