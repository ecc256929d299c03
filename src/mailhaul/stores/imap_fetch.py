"""Whole messages out of a folder, in the order asked, without one of them spoiling the others.

Bodies come by one command of many messages at a time, headers by a few. What a batch doesn't
hand over is asked for again: a refused batch is halved until the culprit stands alone
(failure-modes B14); what an OK left out is asked for by itself, and is gone, or unreadable (C3,
D13).
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import blake2b

from mailhaul.core.blob import Blob, MemoryBlob, Spool
from mailhaul.core.folder import Folder
from mailhaul.core.identity import HEADER_LIMIT, header_identity
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.imap import commands, sequence
from mailhaul.imap.commands import Attribute
from mailhaul.imap.failures import failure_of_many, words
from mailhaul.imap.lane import Lane, Selection
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import LARGEST_SUBSTITUTE, QuirkName, looks_like_substitute
from mailhaul.imap.responses import Body, Event, Fetched, Status
from mailhaul.stores import imap_listing
from mailhaul.stores.imap_foresight import MOST_MESSAGES, WHOLE
from mailhaul.stores.imap_listing import check_folder, shown
from mailhaul.stores.imap_mailbox import Mailbox

_MOST_OCTETS = 6 * 1024 * 1024
_UNKNOWN_SIZE = 64 * 1024
_UNDER_WAY = 3
_BODIES_UNDER_WAY = 1
"""In one folder. Dovecot answers several FETCHes by turns: octets of a later one would fill the
budget of what is held while somebody waits for those of an earlier one, until the clock is looked
at (`imap.intake`)."""
_MOST_HELD = 8 * 1024 * 1024
_MOST_IDENTITIES = 300
_MOST_SUSPECTS = 10_000
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
) -> AsyncGenerator[Message | Unreadable]:
    """`Source.fetch`."""
    lane = mailbox.lane(folder.native, folder.count or 1)
    waiting = _groups(entries)
    under_way: deque[_Batch] = deque()
    suspects = _Suspects(mailbox)
    begun = False
    checked: Selection | None = None
    coming = mailbox.foresight.taken(folder.native)
    if coming is not None:
        if len(waiting) == 1:
            under_way.append(_Batch(waiting.popleft(), coming[1], coming[0]))
        else:
            coming[1].abandon()
    try:
        while waiting or under_way:
            while waiting and len(under_way) < _BODIES_UNDER_WAY:
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
                assert blob is not None, "looked at above"
                if blob.size == entry.size or not _is_suspect(entry, blob):
                    turn += 1
                    yield suspects.judged(entry, blob)
                else:
                    # Another of the batch may hold the same text, and give it away.
                    _keep(batch, event, mailbox.spool)
                    await _gather(batch, mailbox.spool)
                    suspects.look(batch)
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
    """`Source.identify`. A message that is there and whose header alone isn't handed over is read
    as a whole; if that fails too it gets an identity that no other message has: taken for vanished
    it would be copied twice at a target, and not be missed at a source."""
    lane = mailbox.lane(folder.native, folder.count or 1)
    uids = sorted(int(key) for key in keys)
    groups = deque(uids[at : at + _MOST_IDENTITIES] for at in range(0, len(uids), _MOST_IDENTITIES))
    under_way: deque[tuple[list[int], Pending, Selection]] = deque()
    silent: list[int] = []
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
            left = [uid for uid in group if uid not in told]
            if status.kind != b"OK":
                error = failure_of_many(b"UID FETCH", status, f"“{shown(folder)}” can't be read")
                if error is not None:
                    raise error
                mailbox.quirks[QuirkName.ONE_FAILS_ALL] += 1
                if len(left) > 1:
                    middle = len(left) // 2
                    groups.extendleft([left[middle:], left[:middle]])
                    left = []
            silent += left
        if silent:
            present = [uid async for uid in imap_listing.there(mailbox, lane, folder, silent)]
            async with aclosing(fetch(mailbox, folder, [Entry(uid) for uid in present])) as read:
                async for each in read:
                    yield each.entry.key, _identity_of(mailbox, folder, each)
    finally:
        for _, pending, _ in under_way:
            pending.abandon()


def asking_identities(uids: Sequence[int]) -> commands.ReadCommand | None:
    """Asks for what `identify` tells of those messages, where one command can."""
    if not 0 < len(uids) <= _MOST_IDENTITIES:
        return None
    return commands.fetch(sequence.written(uids), _IDENTITY)


async def told_identities(pending: Pending) -> dict[int, Identity] | None:
    """The answer, by UID; None when the server would not tell all, which says nothing about who is
    there: `identify` finds out."""
    found: dict[int, Identity] = {}
    while events := await pending.arrivals():
        for event in events:
            header = _header(event)
            if isinstance(event, Fetched) and event.uid and header is not None:
                found[event.uid] = header_identity(header)
    return found if (await pending.done()).kind == b"OK" else None


def _identity_of(mailbox: Mailbox, folder: Folder, read: Message | Unreadable) -> Identity:
    if isinstance(read, Message):
        header = read.blob.head(HEADER_LIMIT)
        read.blob.close()
        return header_identity(header)
    validity = mailbox.validity.get(folder.native)
    alone = f"{mailbox.endpoint} {folder.native} {validity} {read.entry.key}"
    return Identity(blake2b(alone.encode(), digest_size=16).digest(), named=False)


def _groups(entries: Sequence[Entry]) -> deque[Sequence[Entry]]:
    groups: deque[Sequence[Entry]] = deque()
    start = octets = 0
    for index, entry in enumerate(entries):
        size = _UNKNOWN_SIZE if entry.size is None else entry.size
        if index > start and (octets + size > _MOST_OCTETS or index - start >= MOST_MESSAGES):
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
        folder.native, commands.fetch(uids, WHOLE), current=current
    )
    return _Batch(group, pending, selection)


async def _gather(batch: _Batch, spool: Spool) -> None:
    """Waits for all of a batch, keeping what comes."""
    while True:
        while batch.hand:  # left there they would count against what the connection may hold
            event = batch.hand.popleft()
            if isinstance(event, Body):
                if isinstance(event.blob, MemoryBlob):
                    batch.pending.release(event.blob.size)
                _keep(batch, event, spool)
        events = await batch.pending.arrivals()
        if not events:
            return
        batch.hand.extend(events)


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
            mailbox.quirks[QuirkName.ONE_FAILS_ALL] += 1
            return await _halved(mailbox, lane, folder, lost)
    there = [
        uid
        async for uid in imap_listing.there(mailbox, lane, folder, [_uid(entry) for entry in lost])
    ]
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
                mailbox.quirks[QuirkName.OK_WITHOUT_MESSAGE] += 1
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


class _Suspects:
    """Tells a message from what some servers hand over in its place (finding 5, D24)."""

    __slots__ = ("_mailbox", "_sizes", "_told")

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._sizes: dict[bytes, int] = {}
        self._told: set[bytes] = set()

    def look(self, batch: _Batch) -> None:
        """Looks for a text that stands for messages of different announced sizes."""
        for entry in batch.entries:
            blob = batch.arrived.get(_uid(entry))
            if blob is not None and entry.size is not None and _is_suspect(entry, blob):
                digest = blob.digest()
                if self._sizes.setdefault(digest, entry.size) != entry.size:
                    self._told.add(digest)
        while len(self._sizes) > _MOST_SUSPECTS:  # a server that announces no size right
            del self._sizes[next(iter(self._sizes))]

    def judged(self, entry: Entry, blob: Blob) -> Message | Unreadable:
        """The message; or why that isn't what the listing spoke of."""
        if entry.size is None or blob.size == entry.size:
            return Message(entry, blob)
        reason = looks_like_substitute(blob.head(8192), blob.size, entry.size)
        if reason is None and _is_suspect(entry, blob) and self._is_told(entry, blob):
            reason = "the server hands over the same text for messages of different size"
        if reason is None:
            self._mailbox.quirks[QuirkName.WRONG_SIZE] += 1
            return Message(entry, blob)
        self._mailbox.quirks[QuirkName.SUBSTITUTE_MESSAGE] += 1
        blob.close()
        return Unreadable(entry, reason)

    def _is_told(self, entry: Entry, blob: Blob) -> bool:
        digest = blob.digest()
        return digest in self._told or self._sizes.get(digest, entry.size) != entry.size


def _is_suspect(entry: Entry, blob: Blob) -> bool:
    """Whether that is short, and much less than was announced."""
    return (
        entry.size is not None
        and blob.size <= LARGEST_SUBSTITUTE
        and entry.size > blob.size + blob.size // 4
    )


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
