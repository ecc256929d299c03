"""Whole messages out of a folder, in the order asked, without one of them spoiling the others.

A few commands of many messages each are under way at once. What a batch doesn't hand over is
asked for again: a refused batch is halved until the culprit stands alone (failure-modes B14);
what an OK left out is asked for by itself, and is gone, or unreadable (C3, D13).
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from mailhaul.core.blob import Blob, MemoryBlob, Spool
from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import Folder
from mailhaul.core.identity import header_identity
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.text import printable
from mailhaul.imap import commands, sequence
from mailhaul.imap.client import Pending
from mailhaul.imap.commands import Attribute
from mailhaul.imap.failures import failure_of_many, words
from mailhaul.imap.lane import Lane, Selection
from mailhaul.imap.quirks import LARGEST_SUBSTITUTE, looks_like_substitute
from mailhaul.imap.responses import Body, Event, Fetched, Status
from mailhaul.stores.imap_mailbox import Mailbox

_MOST_MESSAGES = 200
_MOST_OCTETS = 4 * 1024 * 1024
_UNKNOWN_SIZE = 64 * 1024
_UNDER_WAY = 3
_MOST_HELD = 8 * 1024 * 1024
_MOST_IDENTITIES = 300
_WHOLE = (Attribute.UID, Attribute.WHOLE)
_SIZE = (Attribute.UID, Attribute.SIZE)
_IDENTITY = (Attribute.UID, Attribute.IDENTITY)


@dataclass(slots=True, eq=False)
class _Batch:
    """Messages asked for with one command: `hand` has come and not been looked at, `arrived` has
    come out of turn."""

    entries: Sequence[Entry]
    pending: Pending
    selection: Selection
    hand: deque[Event] = field(default_factory=deque)
    arrived: dict[int, Blob] = field(default_factory=dict)
    held: int = 0


async def fetch(
    mailbox: Mailbox, folder: Folder, entries: Sequence[Entry]
) -> AsyncIterator[Message | Unreadable]:
    """`Source.fetch`."""
    lane = mailbox.lane(folder.native, folder.count or 1)
    waiting = _groups(entries)
    under_way: deque[_Batch] = deque()
    suspects = _Suspects()
    begun = False
    checked: Selection | None = None
    try:
        while waiting or under_way:
            while waiting and len(under_way) < _UNDER_WAY:
                group = waiting.popleft()
                under_way.append(await _asked(lane, folder, group, current=not begun))
                begun = True
            batch = under_way[0]
            if batch.selection is not checked:
                await check_folder(mailbox, folder, batch.selection)
                checked = batch.selection
            turn = 0
            group, hand, arrived = batch.entries, batch.hand, batch.arrived
            while True:
                if not hand:
                    hand.extend(await batch.pending.arrivals())
                    if not hand:
                        break
                event = hand.popleft()
                if type(event) is not Body:
                    continue
                blob = event.blob
                if type(blob) is MemoryBlob:
                    batch.pending.release(blob.size)
                if (
                    turn == len(group)
                    or group[turn].key != event.uid
                    or _is_nothing(group[turn], blob)
                ):
                    _keep(batch, event, mailbox.spool)
                    continue
                entry = group[turn]
                turn += 1
                assert blob is not None, "looked at above"
                if blob.size == entry.size:
                    yield Message(entry, blob)
                else:
                    yield suspects.judged(entry, blob)
                while (
                    arrived
                    and turn < len(group)
                    and not _is_nothing(group[turn], arrived.get(_uid(group[turn])))
                ):
                    turn += 1
                    yield suspects.judged(group[turn - 1], _taken(batch, group[turn - 1]))
            if turn < len(group):
                rest = group[turn:]
                # NIL may mean expunged as well as unreadable: both are asked for again.
                lost = [entry for entry in rest if _is_nothing(entry, arrived.get(_uid(entry)))]
                # The answers to what is asked now come behind those of the other batches.
                for later in under_way:
                    await _gather(later, mailbox.spool)
                status = await batch.pending.done()
                found = await _sought(mailbox, lane, folder, lost, status)
                for entry in rest:
                    if _uid(entry) in found:
                        answer = found.pop(_uid(entry))
                        if isinstance(answer, Unreadable):
                            yield answer
                        else:
                            yield suspects.judged(entry, answer)
                    elif entry.key in arrived:
                        yield suspects.judged(entry, _taken(batch, entry))
            _discard(batch)
            under_way.popleft()
    finally:
        for batch in under_way:
            _discard(batch)


async def identify(
    mailbox: Mailbox, folder: Folder, keys: Sequence[Key]
) -> AsyncIterator[tuple[Key, Identity]]:
    """`Source.identify`."""
    lane = mailbox.lane(folder.native, folder.count or 1)
    uids = sorted(int(key) for key in keys)
    groups = deque(uids[at : at + _MOST_IDENTITIES] for at in range(0, len(uids), _MOST_IDENTITIES))
    under_way: deque[tuple[list[int], Pending, Selection]] = deque()
    begun = False
    try:
        while groups or under_way:
            while groups and len(under_way) < _UNDER_WAY:
                group = groups.popleft()
                command = commands.fetch(sequence.written(group), _IDENTITY)
                selection, [pending] = await lane.ask_in(folder.native, command, fresh=not begun)
                begun = True
                under_way.append((group, pending, selection))
            group, pending, selection = under_way[0]
            await check_folder(mailbox, folder, selection)
            told: set[int] = set()
            while events := await pending.arrivals():
                for event in events:
                    header = _header(event)
                    if isinstance(event, Fetched) and event.uid and header is not None:
                        told.add(event.uid)
                        yield event.uid, header_identity(header)
            status = await pending.done()
            under_way.popleft()
            if status.kind != b"OK":
                error = failure_of_many(b"UID FETCH", status, f"“{shown(folder)}” can't be read")
                if error is not None:
                    raise error
                left = [uid for uid in group if uid not in told]
                if len(left) > 1:
                    middle = len(left) // 2
                    groups.extendleft([left[middle:], left[:middle]])
    finally:
        for _, pending, _ in under_way:
            pending.abandon()


async def check_folder(mailbox: Mailbox, folder: Folder, selection: Selection) -> None:
    """Raises `FolderFailed` unless the folder opened, and with the numbers it had (C1)."""
    facts = await selection.facts()
    known = mailbox.validity.setdefault(folder.native, facts.uidvalidity)
    if known != facts.uidvalidity:
        raise FolderFailed(
            f"the folder “{shown(folder)}” was renumbered while it was being read; run again"
        )


def shown(folder: Folder) -> str:
    return printable("/".join(folder.path), 120)


def _groups(entries: Sequence[Entry]) -> deque[Sequence[Entry]]:
    groups: deque[Sequence[Entry]] = deque()
    start = octets = 0
    for index, entry in enumerate(entries):
        size = _UNKNOWN_SIZE if entry.size is None else entry.size
        if index > start and (octets + size > _MOST_OCTETS or index - start >= _MOST_MESSAGES):
            groups.append(entries[start:index])
            start, octets = index, 0
        octets += size
    if start < len(entries):
        groups.append(entries[start:])
    return groups


async def _asked(
    lane: Lane, folder: Folder, group: Sequence[Entry], current: bool = False
) -> _Batch:
    uids = sequence.written(_uid(entry) for entry in group)
    selection, [pending] = await lane.ask_in(
        folder.native, commands.fetch(uids, _WHOLE), current=current
    )
    return _Batch(group, pending, selection)


async def _gather(batch: _Batch, spool: Spool) -> None:
    """Waits for all of a batch, keeping what comes."""
    while events := await batch.pending.arrivals():
        batch.hand.extend(events)
        while batch.hand:
            event = batch.hand.popleft()
            if isinstance(event, Body):
                if isinstance(event.blob, MemoryBlob):
                    batch.pending.release(event.blob.size)
                _keep(batch, event, spool)
        # Left in `hand` they would count against what the connection may hold.


def _keep(batch: _Batch, body: Body, spool: Spool) -> None:
    """Puts a message by; beyond a measure on disk, since a server may lie about sizes."""
    blob = body.blob
    if blob is None:
        return
    if isinstance(blob, MemoryBlob):
        batch.held += blob.size
        if batch.held > _MOST_HELD:
            writer = spool.writer(max(blob.size, spool.threshold))
            writer.write(blob.data)
            batch.held -= blob.size
            blob = writer.finish()
    previous = batch.arrived.pop(body.uid, None)
    if previous is not None:
        previous.close()
    batch.arrived[body.uid] = blob


def _taken(batch: _Batch, entry: Entry) -> Blob:
    blob = batch.arrived.pop(_uid(entry))
    if isinstance(blob, MemoryBlob):
        batch.held -= blob.size
    return blob


def _discard(batch: _Batch) -> None:
    batch.pending.abandon()
    for event in batch.hand:
        if isinstance(event, Body) and event.blob is not None:
            if isinstance(event.blob, MemoryBlob):
                batch.pending.release(event.blob.size)
            event.blob.close()
    batch.hand.clear()
    for blob in batch.arrived.values():
        blob.close()
    batch.arrived.clear()


# --- What did not come -----------------------------------------------------------------------


async def _sought(
    mailbox: Mailbox, lane: Lane, folder: Folder, lost: Sequence[Entry], status: Status
) -> dict[int, Blob | Unreadable]:
    """What became of messages that their batch's answer did not hold, by UID; gone ones have no
    place in it."""
    if status.kind != b"OK":
        error = failure_of_many(b"UID FETCH", status, f"“{shown(folder)}” can't be read")
        if error is not None:
            raise error
        if len(lost) > 1:
            return await _halved(mailbox, lane, folder, lost)
    there = await _there(lane, folder, lost)
    found: dict[int, Blob | Unreadable] = {}
    by_uid = {_uid(entry): entry for entry in lost}
    if status.kind != b"OK":
        reason = f"the server won't hand it over: {words(status)}"
        return {uid: Unreadable(by_uid[uid], reason) for uid in there}
    for start in range(0, len(there), _UNDER_WAY):
        alone = there[start : start + _UNDER_WAY]
        asked = [await _asked(lane, folder, [by_uid[uid]]) for uid in alone]
        for uid, batch in zip(alone, asked, strict=True):
            await check_folder(mailbox, folder, batch.selection)
            await _gather(batch, mailbox.spool)
            answer = await batch.pending.done()
            if uid in batch.arrived and not _is_nothing(by_uid[uid], batch.arrived[uid]):
                found[uid] = batch.arrived.pop(uid)
            elif answer.kind == b"OK" and by_uid[uid].size == 0:
                found[uid] = MemoryBlob(b"")
            elif answer.kind == b"OK":
                found[uid] = Unreadable(by_uid[uid], "the server lists it and hands over nothing")
            else:
                found[uid] = Unreadable(
                    by_uid[uid], f"the server won't hand it over: {words(answer)}"
                )
            _discard(batch)
    return found


async def _halved(
    mailbox: Mailbox, lane: Lane, folder: Folder, lost: Sequence[Entry]
) -> dict[int, Blob | Unreadable]:
    found: dict[int, Blob | Unreadable] = {}
    middle = len(lost) // 2
    halves = [await _asked(lane, folder, half) for half in (lost[:middle], lost[middle:])]
    for batch in halves:
        await _gather(batch, mailbox.spool)
    for batch in halves:
        await check_folder(mailbox, folder, batch.selection)
        still = [
            entry for entry in batch.entries if _is_nothing(entry, batch.arrived.get(_uid(entry)))
        ]
        found.update(batch.arrived)
        batch.arrived.clear()
        if still:
            status = await batch.pending.done()
            found.update(await _sought(mailbox, lane, folder, still, status))
    return found


async def _there(lane: Lane, folder: Folder, lost: Sequence[Entry]) -> list[int]:
    """Those of the messages that the server still lists."""
    wanted = {_uid(entry) for entry in lost}
    there: set[int] = set()
    # Opened anew: a server may go on listing what somebody else has expunged meanwhile.
    for uids in sequence.split(wanted):
        _, [pending] = await lane.ask_in(folder.native, commands.fetch(uids, _SIZE), fresh=True)
        while events := await pending.arrivals():
            there |= {
                event.uid
                for event in events
                if isinstance(event, Fetched) and event.uid in wanted and event.size is not None
            }
        await pending.done()
    return sorted(there)


class _Suspects:
    """Tells a message from what some servers hand over in its place (finding 5, D24)."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes: dict[bytes, int | None] = {}

    def judged(self, entry: Entry, blob: Blob) -> Message | Unreadable:
        """The message; or why that isn't what the listing spoke of."""
        if entry.size is None or blob.size == entry.size:
            return Message(entry, blob)
        reason = looks_like_substitute(blob.head(8192), blob.size, entry.size)
        if reason is None and blob.size <= LARGEST_SUBSTITUTE:
            digest = blob.digest()
            if self._sizes.setdefault(digest, entry.size) != entry.size:
                reason = "the server hands over the same text for messages of different size"
        if reason is None:
            return Message(entry, blob)
        blob.close()
        return Unreadable(entry, reason)


def _is_nothing(entry: Entry, blob: Blob | None) -> bool:
    """Whether that can't be the message: nothing, for one that has octets (D13, C3)."""
    return blob is None or (blob.size == 0 and entry.size != 0)


def _header(event: Event) -> bytes | None:
    if isinstance(event, Fetched):
        for name, value in event.attributes.items():
            if name.startswith(b"BODY[HEADER"):
                return value if isinstance(value, bytes) else b""
    return None


def _uid(entry: Entry) -> int:
    assert isinstance(entry.key, int), "an IMAP key is a UID"
    return entry.key
