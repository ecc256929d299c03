"""The commands under way on a connection, oldest first, and which of them gets what is said.

`answers` tells what a command asks for; here it is seen to that each response goes to one command
alone, that nobody sends without end, and that tags are matched strictly (failure-modes F5).
"""

from collections import Counter, deque
from collections.abc import Iterator

from mailhaul.core.blob import MemoryBlob
from mailhaul.core.text import printable
from mailhaul.imap.intake import Intake
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.responses import Body, Event, Listing, Status
from mailhaul.imap.syntax import ProtocolFault

_MOST_RESPONSES = 2_000_000
_MOST_UNSOLICITED = 10_000


class UnderWay:
    """`name` is the server's, for people. Raises `ProtocolFault` for what no server may say."""

    __slots__ = ("_intake", "_name", "_quirks", "_tags", "_unsolicited", "queue")

    def __init__(self, name: str, intake: Intake, quirks: Counter[QuirkName]) -> None:
        self.queue: deque[Pending] = deque()
        self._name = name
        self._intake = intake
        self._quirks = quirks
        self._tags = 0
        self._unsolicited = 0

    def next_tag(self) -> bytes:
        """A tag not used before."""
        self._tags += 1
        return b"M%d" % self._tags

    def verb(self) -> bytes | None:
        """The verb of the command that has waited longest."""
        return self.queue[0].command.verb if self.queue else None

    def has_takers(self) -> bool:
        """Whether anybody waits for an answer at this moment."""
        return any(pending.is_awaited for pending in self.queue)

    def give(self, event: Event) -> None:
        """An untagged response: the command that asks for it gets it."""
        if isinstance(event, Listing):
            self._give_lines(event)
            return
        for pending in self._in_turn():
            if pending.wants.event(event):
                if isinstance(event, Body) and isinstance(event.blob, MemoryBlob):
                    self._intake.hold(0 if pending.abandoned else event.blob.size)
                self._hand(pending, event, 1)
                return
        self._nobody_asked(event)

    def answered(self, status: Status) -> Pending | None:
        """A tagged response: its command, no longer under way; None for one answered before."""
        pending = next((each for each in self._answerable() if each.tag == status.tag), None)
        if pending is None:
            tag = status.tag or b""
            number = int(tag[1:12]) if tag[:1] == b"M" and tag[1:].isdigit() else 0
            if 0 < number <= self._tags and not any(each.tag == tag for each in self.queue):
                self._quirks[QuirkName.STALE_TAG] += 1
                return None
            raise ProtocolFault(
                f"{self._name} answered “{printable(tag, 40)}”, which was not asked now"
            )
        if pending is self.queue[0]:
            self.queue.popleft()
        else:
            self.queue.remove(pending)
        self._unsolicited = 0
        return pending

    def _answerable(self) -> Iterator[Pending]:
        """The commands that may be ended now: behind a login that isn't answered, none."""
        for pending in self.queue:
            yield pending
            if pending.wants.enters:
                return

    def _in_turn(self) -> Iterator[Pending]:
        """The commands that may be answered now. Servers work on several commands of one folder
        by turns, but open the next folder only when they are through with this one."""
        for number, pending in enumerate(self._answerable()):
            if number and pending.wants.leaves:
                return
            yield pending

    def _give_lines(self, listing: Listing) -> None:
        entries = listing.entries
        for pending in self._in_turn():
            if pending.wants.line(entries[0]):
                if pending.wants.all_of(entries):
                    self._hand(pending, listing, len(entries))
                    return
                break
        if len(entries) == 1:
            self._nobody_asked(listing)
            return
        for entry in entries:  # lines of several commands, or some that nobody asked for
            self._give_lines(Listing([entry], listing.whole))

    def _hand(self, pending: Pending, event: Event, count: int) -> None:
        pending.count += count
        if pending.count > _MOST_RESPONSES:
            raise ProtocolFault(f"{self._name} sends answers without end")
        if pending.abandoned:
            self._intake.forget(event, counted=False)
        else:
            pending.events.append(event)
            pending.wake()

    def _nobody_asked(self, event: Event) -> None:
        self._unsolicited += 1
        if self._unsolicited > _MOST_UNSOLICITED:
            raise ProtocolFault(f"{self._name} sends and sends what nobody asked for")
        self._intake.forget(event, counted=False)
