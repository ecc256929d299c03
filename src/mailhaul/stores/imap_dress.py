"""What of a message's flags and date is sent with it, and what else is tried when it is refused."""

from dataclasses import dataclass

from mailhaul.core.folder import Folder
from mailhaul.core.message import NO_FLAGS, SYSTEM_FLAGS, Flags, Message
from mailhaul.core.store import Appended, Refused
from mailhaul.imap.commands import is_flag
from mailhaul.imap.quirks import QuirkName
from mailhaul.stores.imap_mailbox import Mailbox

SYSTEM = frozenset(SYSTEM_FLAGS.values())
_MOST_KNOWN = 10_000


@dataclass(slots=True, eq=False)
class Carried:
    """One message on its way: what is sent of its flags and date, and what became of it."""

    message: Message
    flags: Flags
    lost: Flags
    dated: bool = True
    binary: bool = False
    note: str = ""
    result: Appended | Refused | None = None

    @property
    def uid(self) -> int | None:
        """Under which it is stored, as far as that is known."""
        key = self.result.key if isinstance(self.result, Appended) else None
        return key if isinstance(key, int) else None


def dressed(mailbox: Mailbox, folder: Folder, message: Message) -> Carried:
    """The message as it is sent at first; refused already where that is of no use."""
    entry, size = message.entry, message.blob.size
    flags = entry.flags and _sendable(mailbox, entry.flags)
    carried = Carried(message, flags, entry.flags - flags if entry.flags else NO_FLAGS)
    limit = mailbox.append_limit(folder.native)
    if size == 0:
        carried.result = Refused(entry, "it has no octets, so there is nothing to store")
    elif limit is not None and size > limit:
        carried.result = Refused(
            entry, f"it has {size} octets, and the target takes {limit} at most"
        )
    return carried


def redress(mailbox: Mailbox, carried: Carried) -> bool:
    """Puts a refused message into another dress, never other bytes; False when there is none left
    to try."""
    entry = carried.message.entry
    system = carried.flags & SYSTEM
    if system != carried.flags:  # D17, D18, B13
        mailbox.quirks[QuirkName.ODD_FLAG] += 1
        carried.lost |= carried.flags - system
        carried.flags = system
        return True
    if carried.dated and entry.received is not None and entry.received.year < 1970:
        carried.dated = False
        carried.note = "the target would not take its received date"
        return True
    if not carried.binary and "BINARY" in mailbox.extensions and _holds_nul(carried):
        mailbox.quirks[QuirkName.NUL_IN_MESSAGE] += 1
        carried.binary = True  # D1, RFC 3516
        return True
    return False


def _sendable(mailbox: Mailbox, flags: Flags) -> Flags:
    known = mailbox.sendable.get(flags)
    if known is None:
        keywords = mailbox.capabilities.keeps_keywords
        known = frozenset(
            flag
            for flag in flags
            if flag in SYSTEM or (keywords and not flag.startswith("\\") and is_flag(flag))
        )
        if len(mailbox.sendable) < _MOST_KNOWN:
            mailbox.sendable[flags] = known
    return known


def _holds_nul(carried: Carried) -> bool:
    return any(b"\0" in chunk for chunk in carried.message.blob.chunks())
