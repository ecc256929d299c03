"""Flags changed and messages removed at a target."""

from collections.abc import Iterable, Mapping, Sequence

from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import Folder
from mailhaul.core.message import SYSTEM_FLAGS, Flags, Identity, Key
from mailhaul.core.store import Amended, FlagChange
from mailhaul.core.text import plural
from mailhaul.imap import commands, sequence
from mailhaul.imap.commands import WriteCommand, is_flag
from mailhaul.imap.failures import failure, failure_of_many
from mailhaul.imap.lane import Lane
from mailhaul.imap.pending import Pending
from mailhaul.imap.responses import Untagged
from mailhaul.stores import imap_fetch, imap_listing
from mailhaul.stores.imap_listing import FLAGS, check_folder, collected, shown
from mailhaul.stores.imap_mailbox import Mailbox

_DELETED: Flags = frozenset({"\\Deleted"})
_SYSTEM = frozenset(SYSTEM_FLAGS.values())
_MOST_VANISHED = 1_000_000
REMOVALS = 3
"""So often a server that still has what it said it has removed is told to remove it."""


async def flag(mailbox: Mailbox, folder: Folder, changes: Iterable[FlagChange]) -> None:
    """`Target.flag`: one STORE for all messages with the same change."""
    asked = _asked(mailbox, changes)
    if not asked:
        return
    lane = mailbox.lane(folder.native, folder.count or 1)
    flight = await _stored(mailbox, lane, folder, [command for _, command in asked])
    await _flagged(mailbox, lane, folder, asked, flight)


async def amend(
    mailbox: Mailbox,
    folder: Folder,
    changes: Iterable[FlagChange],
    doomed: Mapping[Key, Identity | None],
) -> Amended:
    """`Amends.amend`: the folder is opened once, its numbers and the headers of what is to be
    removed are looked at, and in that same selection everything is changed, as in `remove`."""
    asked = _asked(mailbox, changes)
    uids = sorted(int(key) for key in doomed)
    look = imap_fetch.asking_identities(uids)
    if look is None or "UIDPLUS" not in mailbox.extensions:
        return await _amend_by_steps(mailbox, folder, changes, doomed)
    lane = mailbox.lane(folder.native, folder.count or 1)
    flight: list[Pending] | None = None
    ours: list[int] = []
    async with lane.alone():
        while flight is None:
            selection, [looking] = await lane.ask_in(folder.native, look, writable=True, fresh=True)
            await check_folder(mailbox, folder, selection)
            there = await imap_fetch.told_identities(looking)
            if there is None or not there.keys() >= doomed.keys():
                break
            ours = [uid for uid in uids if _is(there[uid], doomed[uid])]
            # Behind other STOREs Dovecot's UID EXPUNGE may find nothing marked: removals first.
            marks, stores = _marks(mailbox, ours), [command for _, command in asked]
            flight = lane.ask_behind(selection, *marks, *stores)
    if flight is None:
        return await _amend_by_steps(mailbox, folder, changes, doomed)
    await _flagged(mailbox, lane, folder, asked, flight[len(marks) :])
    left = await _left(mailbox, lane, folder, ours, flight[: len(marks)])
    # What was looked at stands; only the removing is done again.
    removed = len(ours) - len(left) + await remove(mailbox, folder, left)
    return Amended(removed, frozenset(uids) - frozenset(ours))


async def _amend_by_steps(
    mailbox: Mailbox,
    folder: Folder,
    changes: Iterable[FlagChange],
    doomed: Mapping[Key, Identity | None],
) -> Amended:
    await flag(mailbox, folder, changes)
    there = {key: found async for key, found in imap_fetch.identify(mailbox, folder, [*doomed])}
    ours = [key for key, found in there.items() if _is(found, doomed[key])]
    removed = await remove(mailbox, folder, ours)
    return Amended(removed, frozenset(there) - frozenset(ours))


def _is(found: Identity, wanted: Identity | None) -> bool:
    return wanted is None or found.digest == wanted.digest


def _asked(mailbox: Mailbox, changes: Iterable[FlagChange]) -> list[tuple[Flags, WriteCommand]]:
    adding: dict[Flags, list[int]] = {}
    removing: dict[Flags, list[int]] = {}
    for change in changes:
        for wanted, groups in ((change.add, adding), (change.remove, removing)):
            flags = _storable(wanted, mailbox.capabilities.keeps_keywords)
            if flags:
                groups.setdefault(flags, []).append(int(change.key))
    return list(_stores(adding, removing))


async def _flagged(
    mailbox: Mailbox,
    lane: Lane,
    folder: Folder,
    asked: Sequence[tuple[Flags, WriteCommand]],
    flight: Sequence[Pending],
) -> None:
    """Hears what became of the STOREs; those with keywords that can't be kept go without them."""
    again: list[WriteCommand] = []
    for (flags, command), pending in zip(asked, flight, strict=True):
        status = await pending.done()
        if status.kind == b"OK":
            continue
        error = failure_of_many(
            b"UID STORE", status, f"flags in “{shown(folder)}” can't be changed"
        )
        if error is not None:
            raise error
        if flags & _SYSTEM and flags - _SYSTEM:
            # The keywords can't be kept (D18, B13): the rest still can.
            again.append(_without_keywords(command, flags))
    if again:
        for pending in await _stored(mailbox, lane, folder, again):
            await pending.done()


async def remove(mailbox: Mailbox, folder: Folder, keys: Sequence[Key]) -> int:
    """`Target.remove`. Nothing is marked before the folder's numbers are seen to be the same: the
    marks go out behind the answer to a SELECT, in that selection, which no other numbering can slip
    under (C1). That costs one wait a folder, and others' work goes on meanwhile."""
    uids = sorted(int(key) for key in keys)
    left: Sequence[int] = uids
    for _ in range(REMOVALS):
        if not left:
            return len(uids)
        lane = mailbox.lane(folder.native, folder.count or 1)
        flight: list[Pending] | None = None
        async with lane.alone():
            while flight is None:
                selection, _ = await lane.ask_in(folder.native, writable=True, fresh=True)
                await check_folder(mailbox, folder, selection)
                if "UIDPLUS" not in mailbox.extensions:
                    await _nobody_else_waits(lane, folder, set(left))
                flight = lane.ask_behind(selection, *_marks(mailbox, left))
        left = await _left(mailbox, lane, folder, left, flight)
    if left:
        raise FolderFailed(
            f"“{shown(folder)}” still holds {plural(len(left), 'message')} that the server said it "
            "has removed"
        )
    return len(uids)


def _marks(mailbox: Mailbox, uids: Sequence[int]) -> list[WriteCommand]:
    marks: list[WriteCommand] = []
    for part in sequence.split(uids):
        marks.append(commands.store(part, "+", _DELETED))
        if "UIDPLUS" in mailbox.extensions:
            marks.append(commands.uid_expunge(part))
    if uids and "UIDPLUS" not in mailbox.extensions:
        marks.append(commands.expunge())
    return marks


async def _left(
    mailbox: Mailbox, lane: Lane, folder: Folder, uids: Sequence[int], flight: Sequence[Pending]
) -> Sequence[int]:
    """Hears which are still there. The next folder's SELECT goes out behind `flight`; while it is
    waited for, this is worked on."""
    for pending in flight:
        status = await pending.done()
        if status.kind != b"OK":
            raise failure(
                pending.command.verb, status, f"messages in “{shown(folder)}” can't be removed"
            )
    gone = set(uids) & _vanished(flight)
    left = [uid for uid in uids if uid not in gone]
    # Only now: Dovecot may do what a later command asks before it has expunged.
    there = {uid async for uid in imap_listing.there(mailbox, lane, folder, left)} if left else ()
    return [uid for uid in left if uid in there]


def _vanished(flight: Sequence[Pending]) -> set[int]:
    """What the server said, with QRESYNC on, that it has expunged (RFC 7162 3.2.10.2)."""
    found: set[int] = set()
    for pending in flight:
        for event in pending.events:
            if isinstance(event, Untagged) and event.name == b"VANISHED":
                values = event.values_if_any()
                told = values[-1] if len(values) == 1 else None
                ranges = sequence.parsed(told) if isinstance(told, bytes) else None
                found.update(sequence.expanded(ranges or (), _MOST_VANISHED) or ())
    return found


async def _stored(
    mailbox: Mailbox, lane: Lane, folder: Folder, stores: Sequence[WriteCommand]
) -> list[Pending]:
    """Sends the STOREs once the folder's numbers are seen to be the same (C1): that costs a flight
    where it wasn't open for writing."""
    async with lane.alone():
        while True:
            selection, _ = await lane.ask_in(folder.native, writable=True)
            await check_folder(mailbox, folder, selection)
            flight = lane.ask_behind(selection, *stores)
            if flight is not None:
                return flight


async def _nobody_else_waits(lane: Lane, folder: Folder, uids: set[int]) -> None:
    """EXPUNGE removes whatever is marked: without UID EXPUNGE nothing else may be."""
    _, [pending] = await lane.ask_in(folder.native, commands.fetch("1:*", FLAGS), writable=True)
    entries = (await collected(pending))[0]
    await pending.done()
    others = [e for e in entries if "\\Deleted" in e.flags and int(e.key) not in uids]
    if others:
        raise FolderFailed(
            f"“{shown(folder)}” holds {plural(len(others), 'message')} that others have marked "
            "deleted, and the server can't remove single ones (no UIDPLUS); expunge those first"
        )


def _storable(flags: Flags, keywords: bool) -> Flags:
    return frozenset(
        flag
        for flag in flags
        if flag in _SYSTEM or (keywords and not flag.startswith("\\") and is_flag(flag))
    )


def _stores(
    adding: dict[Flags, list[int]], removing: dict[Flags, list[int]]
) -> Iterable[tuple[Flags, WriteCommand]]:
    for flags, uids in adding.items():
        for part in sequence.split(uids):
            yield flags, commands.store(part, "+", flags)
    for flags, uids in removing.items():
        for part in sequence.split(uids):
            yield flags, commands.store(part, "-", flags)


def _without_keywords(command: WriteCommand, flags: Flags) -> WriteCommand:
    line = command.parts[0]
    assert isinstance(line, bytes)
    uids = line.split(b" ")[2].decode()
    return commands.store(uids, "+" if b" +FLAGS" in line else "-", flags & _SYSTEM)
