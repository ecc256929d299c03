"""Mailboxes written in a line: `INBOX: A B:SF C@3 D*2 | Work^: E:+$Label`.

A word is a message: its name, `@day` when it was received (else a date of the name's own), `:` and
flag letters with `+keyword`s, `*` how many of it. `^` behind a folder: subscribed. Names choose
the octets; what follows a dot in them is a variant of the message before it.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from mailhaul.core.folder import FolderPath
from mailhaul.core.message import Flags
from mailhaul.stores.memory_mailbox import EPOCH, MemoryMailbox
from tests.stores.awkward import AWKWARD

LETTERS = {
    "S": "\\Seen",
    "R": "\\Answered",
    "F": "\\Flagged",
    "T": "\\Deleted",
    "D": "\\Draft",
}

_HEADER = b"From: ada@example.org\r\nSubject: about %s\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n"
_WORD = re.compile(
    r"(?P<name>[\w.-]+)(?:@(?P<day>\d+))?(?::(?P<letters>[SRFTD]*)(?P<words>(?:\+[^\s+*]+)*))?"
    r"(?:\*(?P<times>\d+))?"
)


def octets(name: str) -> bytes:
    """The message called `name`."""
    stem, _, variant = name.partition(".")
    return _VARIANTS[variant](stem.encode())


def received(name: str) -> datetime:
    """When a message of that name arrives, unless a day is written."""
    return EPOCH + timedelta(days=1, minutes=zlib.crc32(name.partition(".")[0].encode()) % 1440)


def flags_of(letters: str, words: str = "") -> Flags:
    """`SF` and `+$Label+Junk` as flags."""
    named = {LETTERS[letter] for letter in letters}
    return frozenset(named | set(filter(None, words.split("+"))))


def fill(mailbox: MemoryMailbox, text: str) -> dict[bytes, str]:
    """Makes the folders and delivers the messages of `text`; which octets have which name."""
    names: dict[bytes, str] = {}
    for part in filter(None, map(str.strip, text.split("|"))):
        folder, _, words = part.partition(":")
        path = path_of(folder.strip().removesuffix("^"))
        mailbox.make(path).subscribed = folder.strip().endswith("^")
        for word in words.split():
            match = _WORD.fullmatch(word)
            assert match is not None, f"{word} in {text}"
            name, day = match["name"], match["day"]
            names[octets(name)] = name
            when = received(name) if day is None else EPOCH + timedelta(days=int(day))
            flags = flags_of(match["letters"] or "", match["words"] or "")
            for _ in range(int(match["times"] or 1)):
                mailbox.deliver(octets(name), path, flags, when)
    return names


def path_of(text: str) -> FolderPath:
    return tuple(text.split("/"))


def shown(mailbox: MemoryMailbox, names: Mapping[bytes, str]) -> dict[str, list[str]]:
    """The mailbox in the words above, in order, each message a word of its own."""
    state: dict[str, list[str]] = {}
    for path in mailbox.paths:
        here = mailbox.folder(path)
        if not here.selectable:
            continue
        folder = "/".join(path) + ("^" if here.subscribed else "")
        state[folder] = [
            _word(names.get(each.data, "UNKNOWN"), each.received, each.flags)
            for each in mailbox.messages(path)
        ]
    return state


def _word(name: str, when: datetime, flags: Flags) -> str:
    day = "" if when == received(name) else f"@{(when - EPOCH).days}"
    letters = "".join(letter for letter, flag in LETTERS.items() if flag in flags)
    words = "".join(f"+{word}" for word in sorted(flags - set(LETTERS.values())))
    return f"{name}{day}" + (f":{letters}{words}" if flags else "")


def _plain(stem: bytes) -> bytes:
    return _HEADER % stem + b"Message-ID: <%s@example.org>\r\n\r\nHello from %s.\r\n" % (stem, stem)


_VARIANTS: Mapping[str, Callable[[bytes], bytes]] = {
    "": _plain,
    # The same four identity fields and the same size, another body (C10).
    "twin": lambda stem: _plain(stem).replace(b"Hello", b"Adieu"),
    "longer": lambda stem: _plain(stem) + b"P.S.: one thing more.\r\n",
    # What mbsync and OfflineIMAP put into the copies that they make (C7).
    "tuid": lambda stem: _plain(stem).replace(b"\r\n\r\n", b"\r\nX-TUID: 8Jk+/aZ19bcd\r\n\r\n", 1),
    "offline": lambda stem: b"X-OfflineIMAP: 1234-5678\r\n" + _plain(stem),
    # Nothing that names it: all of them look alike but for the body (C10).
    "nameless": lambda stem: b"From: ada@example.org\r\nSubject: hello\r\n\r\n%s\r\n" % stem,
    "headless": lambda stem: b"\r\nonly text: %s\r\n" % stem,
    # As sent, and as Cyrus keeps it (finding 3).
    "eight": lambda stem: _plain(stem).replace(b"about", b"\xfcber \xe2\x82\xac"),
    "munged": lambda stem: _plain(stem).replace(b"about", b"Xber XXX"),
    # As sent, and as Dovecot gives it back (finding 3).
    "nul": lambda stem: _plain(stem) + b"a\x00b\r\r\n",
    "nonul": lambda stem: _plain(stem) + b"a\x80b\r\n",
    "big": lambda stem: _plain(stem) + b"x" * 5000 + b"\r\n",
    "odd": lambda stem: list(AWKWARD.values())[int(stem)],
}
