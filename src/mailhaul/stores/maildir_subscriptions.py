"""Which folders of a Maildir++ the person is subscribed to.

Dovecot keeps them in `subscriptions`: a first line `V<TAB>2`, then one folder a line, levels
separated by tabs; before 2.3 without the first line and with dots. Courier keeps them in
`courierimapsubscribed`, with `INBOX.` before every name. Read are both; written is Dovecot's.
"""

import os
import re
from contextlib import suppress

from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.stores.found_folders import with_inbox
from mailhaul.stores.maildir_tree import PLUS_NAMES
from mailhaul.stores.safe_paths import decode_name, encode_name, open_file, replace_file

DOVECOT = "subscriptions"
COURIER = "courierimapsubscribed"
LARGEST = 4 * 1024 * 1024
_TAB_ESCAPES = {"\x01": "1", "\t": "t", "\r": "r", "\n": "n", "\0": "0"}
_TAB_ESCAPED = re.compile("\x01(.)", re.DOTALL)


def read(root: int) -> frozenset[FolderPath]:
    """The subscribed folders."""
    found = set()
    lines = _text(root, DOVECOT).split("\n")
    if lines[0] == "V\t2":
        names = [line.split("\t") for line in lines[1:] if line]
        found |= {_path([_unescaped(part) for part in parts]) for parts in names}
    else:
        found |= {_path(line.split(".")) for line in lines if line}
    for line in _text(root, COURIER).splitlines():
        if line == "INBOX":
            found.add(INBOX_PATH)
        elif line.startswith("INBOX."):
            found.add(_path(line.split(".")[1:]))
    return frozenset(found)


def add(root: int, path: FolderPath) -> bool:
    """Subscribes, durably; false when it was so already. Raises OSError."""
    known = read(root)
    if path in known:
        return False
    lines = ["V\t2\n"]
    for each in sorted({*known, path}):
        parts = [part if each == INBOX_PATH else encode_name(PLUS_NAMES, part) for part in each]
        lines.append("\t".join(map(_escaped, parts)) + "\n")
    text = lines[0] + "\n" + "".join(lines[1:])
    replace_file(root, DOVECOT, text.encode(errors="surrogateescape"))
    return True


def _text(root: int, name: str) -> str:
    with suppress(OSError):
        descriptor = open_file(root, name)
        try:
            return os.pread(descriptor, LARGEST, 0).decode(errors="surrogateescape")
        finally:
            os.close(descriptor)
    return ""


def _path(parts: list[str]) -> FolderPath:
    path = tuple(decode_name(PLUS_NAMES, part) for part in parts if part)
    return with_inbox(path)


def _unescaped(text: str) -> str:
    back = {letter: character for character, letter in _TAB_ESCAPES.items()}
    return _TAB_ESCAPED.sub(lambda match: back.get(match[1], match[1]), text)


def _escaped(text: str) -> str:
    return "".join(
        f"\x01{_TAB_ESCAPES[character]}" if character in _TAB_ESCAPES else character
        for character in text
    )
