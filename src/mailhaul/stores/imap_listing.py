"""Listing lines out of a folder, complete, though the server sends them in pieces or not at all.

One message that a server can't describe makes some refuse a whole window (failure-modes B14). Such
a window is listed by flags, halved down to the culprits where even those are refused, and what
can't be described at all is listed by its UID alone: nothing is ever left out of an inventory.
"""

from collections.abc import AsyncIterator, Iterable

from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import Folder
from mailhaul.core.message import Entry
from mailhaul.core.text import printable
from mailhaul.imap import commands, sequence
from mailhaul.imap.commands import Attribute
from mailhaul.imap.failures import failure_of_many
from mailhaul.imap.lane import Lane, Selection
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.responses import Fetched, Listing, Status
from mailhaul.stores.imap_mailbox import Mailbox

LINE = (Attribute.UID, Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
FLAGS = (Attribute.UID, Attribute.FLAGS)
HIGHEST = 2**64


def shown(folder: Folder) -> str:
    """The folder for people."""
    return printable("/".join(folder.path), 120)


async def check_folder(mailbox: Mailbox, folder: Folder, selection: Selection) -> None:
    """Raises `FolderFailed` unless the folder opened, and with the numbers it had (C1)."""
    facts = await selection.facts()
    known = mailbox.validity.setdefault(folder.native, facts.uidvalidity)
    if known != facts.uidvalidity:
        raise FolderFailed(
            f"the folder “{shown(folder)}” was renumbered while it was being read; run again"
        )


async def collected(
    pending: Pending, lowest: int = 1, highest: int = HIGHEST
) -> tuple[list[Entry], list[int]]:
    """The listing lines that answer a FETCH, ascending, several about one message merged (C5);
    and the UIDs of those that aren't complete. UIDs outside the bounds are somebody else's (`n:*`
    names the last message, however low it is)."""
    found: dict[int, Entry] = {}
    odd: dict[int, list[Fetched]] = {}
    complete: set[int] = set()
    all_whole = True
    while events := await pending.arrivals():
        for event in events:
            if isinstance(event, Listing):
                if event.whole and not found:
                    found = {entry.key: entry for entry in event.entries}  # type: ignore[misc]
                    continue
                for entry in event.entries:
                    assert isinstance(entry.key, int)
                    known = found.get(entry.key)
                    if event.whole or known is None:
                        found[entry.key] = entry
                        all_whole = all_whole and event.whole
                    else:
                        known.flags = entry.flags
            elif isinstance(event, Fetched) and event.uid is not None:
                odd.setdefault(event.uid, []).append(event)
    for uid, parts in odd.items():
        entry = found.setdefault(uid, Entry(uid))
        for part in parts:
            entry.flags = entry.flags if part.flags is None else part.flags
            entry.size = entry.size if part.size is None else part.size
            entry.received = entry.received or part.received
        if entry.size is not None and any(part.flags is not None for part in parts):
            complete.add(uid)
    uids = sorted(found)
    if uids and (uids[0] < lowest or uids[-1] > highest):
        uids = [uid for uid in uids if lowest <= uid <= highest]
    entries = [found[uid] for uid in uids]
    if all_whole and not odd:
        return entries, []
    return entries, [
        entry.key
        for entry in entries
        if isinstance(entry.key, int)
        and (entry.size is None or (entry.key in odd and entry.key not in complete))
    ]


async def lines(
    mailbox: Mailbox, lane: Lane, folder: Folder, pending: Pending, low: int, high: int = HIGHEST
) -> list[Entry]:
    """The entries of a window's answer. What came without date and size is asked for once more;
    what the server won't describe has neither."""
    entries, lacking = await collected(pending, low, high)
    if not await _refused(mailbox, folder, pending):
        if lacking:
            mailbox.quirks[QuirkName.SPLIT_FETCH] += 1
            by_uid = {int(entry.key): entry for entry in entries}
            await _describe(mailbox, lane, folder, by_uid, lacking)
            entries = [by_uid[uid] for uid in sorted(by_uid) if low <= uid <= high]
        return entries
    by_uid = {int(entry.key): entry for entry in await _by_flags(mailbox, lane, folder, low, high)}
    partial = set(lacking)
    by_uid.update((int(e.key), e) for e in entries if e.key not in partial)
    await _describe(
        mailbox, lane, folder, by_uid, [uid for uid, e in by_uid.items() if e.size is None]
    )
    return [by_uid[uid] for uid in sorted(by_uid)]


async def flags(
    mailbox: Mailbox, lane: Lane, folder: Folder, pending: Pending, low: int, high: int
) -> list[Entry]:
    """The entries, of flags alone, that answer `FETCH low:high (UID FLAGS)`."""
    entries, _ = await collected(pending, low, high)
    if await _refused(mailbox, folder, pending):
        return await _by_flags(mailbox, lane, folder, low, high)
    return entries


async def there(
    mailbox: Mailbox, lane: Lane, folder: Folder, uids: Iterable[int]
) -> AsyncIterator[int]:
    """Those of the messages that the server still lists, ascending. One about which it won't say
    a word is there: a vanished one isn't refused."""
    # Opened anew: a server may go on listing what somebody else has expunged meanwhile.
    fresh = True
    waiting = [sorted(set(uids))]
    while waiting:
        group = waiting.pop()
        if not group:
            continue
        [uid_set, *more] = sequence.split(group)
        if more:
            middle = len(group) // 2
            waiting += [group[middle:], group[:middle]]
            continue
        command = commands.fetch(uid_set, FLAGS)
        selection, [pending] = await lane.ask_in(folder.native, command, fresh=fresh)
        await check_folder(mailbox, folder, selection)
        fresh = False
        entries, _ = await collected(pending)
        if await _refused(mailbox, folder, pending):
            if len(group) == 1:
                yield group[0]
            else:
                middle = len(group) // 2
                waiting += [group[middle:], group[:middle]]
            continue
        wanted = set(group)
        for entry in entries:
            if entry.key in wanted:
                yield int(entry.key)


async def _describe(
    mailbox: Mailbox, lane: Lane, folder: Folder, by_uid: dict[int, Entry], uids: Iterable[int]
) -> None:
    """Puts the listing lines of `uids` into `by_uid`, as far as the server can be brought to."""
    mailbox.foresight.drop(folder.native)  # its answers would stand in the way of these
    waiting = [sorted(uids)]
    while waiting:
        group = waiting.pop()
        for uid_set in sequence.split(group):
            selection, [pending] = await lane.ask_in(folder.native, commands.fetch(uid_set, LINE))
            await check_folder(mailbox, folder, selection)
            entries, _ = await collected(pending)
            by_uid.update((int(entry.key), entry) for entry in entries if entry.key in by_uid)
            if not await _refused(mailbox, folder, pending):
                continue
            asked = sequence.parsed(uid_set.encode()) or []
            rest = [u for span in asked for u in span if by_uid[u].size is None]
            if len(rest) > 1:
                middle = len(rest) // 2
                waiting += [rest[middle:], rest[:middle]]


async def _by_flags(
    mailbox: Mailbox, lane: Lane, folder: Folder, low: int, high: int
) -> list[Entry]:
    """What lies between two UIDs, by flags alone; a UID to which even that is refused counts."""
    mailbox.foresight.drop(folder.native)
    found: dict[int, Entry] = {}
    fresh = True
    waiting = [(low, high)]
    while waiting:
        first, last = waiting.pop()
        written = f"{first}:{'*' if last > sequence.HIGHEST_UID else last}"
        selection, [pending] = await lane.ask_in(
            folder.native, commands.fetch(written, FLAGS), fresh=fresh
        )
        await check_folder(mailbox, folder, selection)
        fresh = False
        entries, _ = await collected(pending, first, last)
        found.update((int(entry.key), entry) for entry in entries)
        if not await _refused(mailbox, folder, pending):
            continue
        facts = await selection.facts()
        last = min(last, (facts.uidnext or sequence.HIGHEST_UID + 1) - 1)
        if first < last:
            middle = (first + last) // 2
            waiting += [(middle + 1, last), (first, middle)]
        elif first == last:
            found.setdefault(first, Entry(first))
    return [found[uid] for uid in sorted(found)]


async def _refused(mailbox: Mailbox, folder: Folder, pending: Pending) -> bool:
    """Whether a FETCH was refused for what may be one message's fault; raises for anything else."""
    status: Status = await pending.done()
    if status.kind == b"OK":
        return False
    error = failure_of_many(b"UID FETCH", status, f"the folder “{shown(folder)}” can't be listed")
    if error is not None:
        raise error
    mailbox.quirks[QuirkName.ONE_FAILS_ALL] += 1
    return True
