"""How the hoster itself carries a mailbox to another of its platforms: by plain IMAP, by no code of
mailhaul's that is being rehearsed. It can be done again: what is there already is left."""

import hashlib
import re
from collections import Counter

from mailhaul.lab.wire import PlainConnection, Raw

_FOREIGN = re.compile(rb"[\x80-\xff]")


def carry(old: PlainConnection, new: PlainConnection, loses: int = 0) -> None:
    """Every folder and message with its flags and date; but for `loses` of them, as a careless
    hoster does. Blocks."""
    there = set(new.names())
    for name in old.names():
        if name.strip(b'"').upper() != b"INBOX":
            if name not in there:
                new.command(b"CREATE " + name)
            new.command(b"SUBSCRIBE " + name)
        held = Counter(_mark(each) for each in new.raw(name))
        for message in old.raw(name):
            mark = _mark(message)
            if held[mark]:
                held[mark] -= 1
            elif loses:
                loses -= 1
            else:
                new.append_raw(name, message)


def _mark(message: Raw) -> bytes:
    """What a message is known by on both platforms: Cyrus writes X for 8-bit octets of a header."""
    header, end, body = message.content.partition(b"\r\n\r\n")
    return hashlib.sha256(_FOREIGN.sub(b"X", header) + end + body).digest()
