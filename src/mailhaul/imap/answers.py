"""Which command an untagged response answers, when several are under way.

Servers answer in order but for liberties that RFC 9051 5.5 allows and Dovecot takes: it holds back
the tagged answers of NOOP, STORE and the like while it has other work, and it works on several
FETCH commands by turns when the network is slow. So a response goes to the first command that asks
for its kind and, where it is about a message, for that UID.
"""

from collections.abc import Sequence
from enum import Enum

from mailhaul.core.message import Entry
from mailhaul.imap import sequence
from mailhaul.imap.commands import Command
from mailhaul.imap.responses import Body, Event, Fetched, Listing, Status, Untagged

_MOST_IN_A_SET = 2000
_OPENING = frozenset({b"SELECT", b"EXAMINE"})
_LEAVING = _OPENING | {b"UNSELECT", b"CLOSE"}
_ENTERING = frozenset({b"LOGIN", b"AUTHENTICATE"})
_ASKED_BY = {
    b"LIST": frozenset({b"LIST"}),
    b"XLIST": frozenset({b"XLIST"}),
    b"LSUB": frozenset({b"LSUB"}),
    b"STATUS": frozenset({b"STATUS", b"LIST"}),
    b"ID": frozenset({b"ID"}),
    b"NAMESPACE": frozenset({b"NAMESPACE"}),
    b"QUOTA": frozenset({b"GETQUOTAROOT"}),
    b"QUOTAROOT": frozenset({b"GETQUOTAROOT"}),
    b"ACL": frozenset({b"GETACL"}),
    b"LISTRIGHTS": frozenset({b"LISTRIGHTS"}),
    b"METADATA": frozenset({b"GETMETADATA"}),
    b"EXISTS": _OPENING,
    b"FLAGS": _OPENING,
}


class Kind(Enum):
    """What of messages a command asks for."""

    NOTHING = 0
    LINES = 1
    """Flags, date, size: a listing."""
    HEADERS = 2
    BODIES = 3


class Wants:
    """What a command asks for, read off its line once."""

    __slots__ = ("_highest", "_lowest", "_ranges", "_uids", "enters", "kind", "leaves", "verb")

    def __init__(self, command: Command) -> None:
        self.verb = command.verb
        self.leaves = self.verb in _LEAVING
        """It leaves the folder that is open: what is answered before it never belongs behind it."""
        self.enters = self.verb in _ENTERING
        """It lets us in: nothing behind it is answered before it is."""
        self.kind = Kind.NOTHING
        self._lowest, self._highest = 1, sequence.HIGHEST_UID
        self._ranges: list[range] | None = None
        self._uids: frozenset[int] | None = None
        line = command.parts[-1]
        if not isinstance(line, bytes):
            return
        if self.verb == b"UID FETCH":
            _, _, uids, attributes = line.split(b" ", 3)
            self.kind = Kind.LINES
            if b"BODY.PEEK[]" in attributes:
                self.kind = Kind.BODIES
            elif b"BODY.PEEK[" in attributes:
                self.kind = Kind.HEADERS
            self._only(uids)
        elif self.verb in _OPENING and b" (QRESYNC (" in line:
            self.kind = Kind.LINES

    def uid(self, uid: int) -> bool:
        """Whether it asks for that message."""
        if self._uids is not None:
            return uid in self._uids
        if self._ranges is not None:
            return any(uid in span for span in self._ranges)
        return self._lowest <= uid <= self._highest

    def all_of(self, entries: Sequence[Entry]) -> bool:
        """Whether it asks for every one of these."""
        uids = [entry.key for entry in entries]
        if self._uids is not None:
            return self._uids.issuperset(uids)
        if self._ranges is not None:
            return all(self.uid(uid) for uid in uids if isinstance(uid, int))
        return self._lowest <= min(uids) and max(uids) <= self._highest  # type: ignore[operator]

    def event(self, event: Event) -> bool:
        """Whether an untagged response, which is no `Listing`, answers it."""
        if isinstance(event, Body):
            return self.kind is Kind.BODIES and self.uid(event.uid)
        if isinstance(event, Fetched):
            if event.uid is None or not self.uid(event.uid):
                return False
            header = any(name.startswith(b"BODY[") for name in event.attributes)
            return self.kind is (Kind.HEADERS if header else Kind.LINES)
        assert not isinstance(event, Listing)
        if isinstance(event, Status) and event.code == b"COPYUID":
            return self.verb == b"UID MOVE"
        verbs = _ASKED_BY.get(event.name) if isinstance(event, Untagged) else None
        return verbs is None or self.verb in verbs

    def line(self, entry: Entry) -> bool:
        """Whether a listing line answers it."""
        return self.kind is Kind.LINES and isinstance(entry.key, int) and self.uid(entry.key)

    def _only(self, uids: bytes) -> None:
        first, _, last = uids.partition(b":")
        if last == b"*" and first.isdigit():
            # The last message, which `n:*` names however low it is, is of no use below n.
            self._lowest = int(first)
            return
        ranges = sequence.parsed(uids)
        if ranges is None:  # `*`
            return
        if len(ranges) == 1:
            self._lowest, self._highest = ranges[0].start, ranges[0].stop - 1
        elif sum(map(len, ranges)) <= _MOST_IN_A_SET:
            self._uids = frozenset(uid for span in ranges for uid in span)
        else:
            self._ranges = ranges
