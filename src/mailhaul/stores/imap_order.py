"""Order in a folder of a target after one of its messages was refused.

What is tried again (the halves of a batch, a message without its keyword) is stored behind what
was already under way. MOVE within the folder (RFC 6851 3.3 allows it) puts that behind again, under
new UIDs; nobody has been told the old ones yet. Flags and received dates stay, and a server that
moves nothing, or won't, leaves the messages where they are: `verify` notes their order.
"""

from collections.abc import Collection, Mapping, Sequence

from mailhaul.core.blob import Blob
from mailhaul.core.folder import Folder
from mailhaul.imap import commands, sequence
from mailhaul.imap.lane import Lane
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import appenduid_is_sound
from mailhaul.imap.responses import Status
from mailhaul.stores.imap_arrivals import keys_of
from mailhaul.stores.imap_listing import check_folder, there
from mailhaul.stores.imap_mailbox import Mailbox


def out_of_turn(uids: Sequence[int], highest: int) -> list[int]:
    """What has to be moved behind the rest so that `uids` ascend in the order given, above
    `highest`: everything from the first on that doesn't."""
    for place, uid in enumerate(uids):
        if uid < highest:
            return list(uids[place:])
        highest = uid
    return []


def can_move(mailbox: Mailbox) -> bool:
    """Whether messages may be moved within a folder: not on Gmail, where folders are labels and
    to move means to take one off."""
    extensions = mailbox.extensions
    able = "MOVE" in extensions and "UIDPLUS" in extensions and "X-GM-EXT-1" not in extensions
    return able and mailbox.moves_within is not False


async def put_behind(
    mailbox: Mailbox,
    lane: Lane,
    folder: Folder,
    blobs: Mapping[int, Blob],
    given: Collection[int],
) -> dict[int, int | None]:
    """Moves the messages behind all others of their folder, in the order of `blobs`, which holds
    them by UID; `given` are UIDs of others. Gives the UIDs that are new; None: not known. The first
    time with a mailbox one message goes ahead, and the others only if all went well."""
    moved: dict[int, int | None] = {}
    uids = list(blobs)
    if mailbox.moves_within is None:
        moved = await _moved(mailbox, lane, folder, {uids[0]: blobs[uids[0]]}, given)
        mailbox.moves_within = moved.get(uids.pop(0)) is not None
        if not mailbox.moves_within:
            return moved
    taken = {*given, *(uid for uid in moved.values() if uid is not None)}
    return moved | await _moved(mailbox, lane, folder, {uid: blobs[uid] for uid in uids}, taken)


async def _moved(
    mailbox: Mailbox,
    lane: Lane,
    folder: Folder,
    blobs: Mapping[int, Blob],
    given: Collection[int],
) -> dict[int, int | None]:
    runs = _runs(list(blobs))
    begin = mailbox.uidnext[folder.native]
    moves = [commands.uid_move(sequence.written(run), folder.native) for run in runs]
    async with lane.alone():
        flight: list[Pending] | None = None
        while flight is None:
            selection, _ = await lane.ask_in(folder.native, writable=True)
            await check_folder(mailbox, folder, selection)
            flight = lane.ask_behind(selection, *moves)
        moved: dict[int, int | None] = {}
        for pending, run in zip(flight, runs, strict=True):
            status = await pending.done()
            said = [event for event in pending.events if isinstance(event, Status)]
            for each in (*said, status):
                moved |= _told(each, run, mailbox.validity.get(folder.native), begin)
    untold = [uid for uid in blobs if uid not in moved]
    if untold:
        still = {uid async for uid in there(mailbox, lane, folder, untold)}
        gone = [uid for uid in untold if uid not in still]
        taken = {*given, *(uid for uid in moved.values() if uid is not None)}
        found = await keys_of(mailbox, lane, folder, [blobs[uid] for uid in gone], begin, taken)
        moved |= dict(zip(gone, found, strict=True))
    return moved


def _runs(uids: Sequence[int]) -> list[list[int]]:
    """`uids` in as many ascending runs as their order needs: servers go through a set upwards."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid > runs[-1][-1]:
            runs[-1].append(uid)
        else:
            runs.append([uid])
    return runs


def _told(status: Status, run: Sequence[int], validity: int | None, begin: int) -> dict[int, int]:
    """The new UIDs that a COPYUID tells; none where it can't be true (F12)."""
    if status.code != b"COPYUID":
        return {}
    words = status.arguments.split(b" ")
    if len(words) != 3 or not words[0].isdigit() or len(words[0]) > 20:
        return {}
    old, new = (
        sequence.expanded(sequence.parsed(word) or [], len(run)) or [] for word in words[1:]
    )
    if old != list(run) or not appenduid_is_sound(int(words[0]), new, validity, begin, len(run)):
        return {}
    return dict(zip(run, new, strict=True))
