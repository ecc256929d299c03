"""What arrived in a folder of messages that were appended: their UIDs, and whether flags stayed.

APPENDUID tells where the server is sound; else new messages are looked at behind the least UID they
could have got, and told apart by order and size, then by what their headers say (C6, C7).
"""

from collections.abc import Collection, Sequence

from mailhaul.core.blob import Blob
from mailhaul.core.folder import Folder
from mailhaul.core.identity import HEADER_LIMIT, header_identity
from mailhaul.core.message import Entry
from mailhaul.imap import commands, sequence
from mailhaul.imap.lane import Lane
from mailhaul.imap.quirks import QuirkName, appenduid_is_sound
from mailhaul.imap.responses import Status
from mailhaul.stores.imap_fetch import identify
from mailhaul.stores.imap_listing import FLAGS, LINE, check_folder, collected
from mailhaul.stores.imap_mailbox import Mailbox

_MOST_LOOKED_AT = 2000


def appended_uids(
    status: Status, count: int, uidvalidity: int | None, uidnext: int
) -> list[int] | None:
    """The UIDs that an OK with APPENDUID tells for `count` messages; None when it tells none, or
    none that can be: DavMail swaps the numbers, others make them up (A18, F12)."""
    if status.code != b"APPENDUID":
        return None
    first, _, second = status.arguments.partition(b" ")
    ranges = sequence.parsed(second.strip())
    if not first.isdigit() or len(first) > 20 or ranges is None:
        return None
    if sum(map(len, ranges)) != count:
        return None
    uids = [uid for span in ranges for uid in span]
    return uids if appenduid_is_sound(int(first), uids, uidvalidity, uidnext, count) else None


def why_not_told(status: Status, uidplus: bool) -> QuirkName | None:
    """What to call an OK that told no UIDs to believe; None where none were due."""
    if status.code == b"APPENDUID":
        return QuirkName.UNSOUND_APPENDUID
    if status.code == b"THROTTLED":
        return QuirkName.THROTTLED_OK
    return QuirkName.MISSING_APPENDUID if uidplus else None


async def learn_uidnext(mailbox: Mailbox, lane: Lane, folder: Folder) -> None:
    """Where new messages will begin (C8: without UIDNEXT, behind the last there is)."""
    native = folder.native
    command = commands.fetch("*", FLAGS)
    selection, [last] = await lane.ask_in(native, command, fresh=True)
    facts = await selection.facts()
    entries = (await collected(last))[0]
    await check_folder(mailbox, folder, selection)
    mailbox.quirks[QuirkName.MISSING_UIDNEXT] += facts.uidnext is None
    highest = int(entries[-1].key) if entries else 0
    mailbox.uidnext[native] = max(facts.uidnext or 1, highest + 1)


async def keys_of(
    mailbox: Mailbox,
    lane: Lane,
    folder: Folder,
    blobs: Sequence[Blob],
    begin: int,
    given: Collection[int],
) -> list[int | None]:
    """The UIDs under which `blobs` arrived, in their order; None for one that isn't found. UIDs
    under `begin`, and those in `given`, are others'."""
    command = commands.fetch(f"{begin}:*", LINE)
    selection, [pending] = await lane.ask_in(folder.native, command, fresh=True)
    await check_folder(mailbox, folder, selection)
    listed = (await collected(pending, begin))[0]
    await pending.done()
    arrived = [entry for entry in listed if entry.key not in given][:_MOST_LOOKED_AT]
    sizes = [blob.size for blob in blobs]
    if sizes == [entry.size for entry in arrived]:
        return [int(entry.key) for entry in arrived]
    return await _matched(mailbox, folder, blobs, arrived)


async def _matched(
    mailbox: Mailbox, folder: Folder, blobs: Sequence[Blob], arrived: Sequence[Entry]
) -> list[int | None]:
    there: dict[int, bytes] = {}
    async for key, identity in identify(mailbox, folder, [entry.key for entry in arrived]):
        there[int(key)] = identity.digest
    left = {int(entry.key): entry.size for entry in arrived if entry.key in there}
    keys: list[int | None] = []
    for blob in blobs:
        wanted = header_identity(blob.head(HEADER_LIMIT)).digest
        fitting = [uid for uid in left if there[uid] == wanted]
        same_size = [uid for uid in fitting if left[uid] == blob.size]
        keys.append(next(iter(same_size or fitting), None))
        if fitting:
            del left[(same_size or fitting)[0]]
    return keys
