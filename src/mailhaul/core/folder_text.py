"""Folders as a person writes them: components joined by “/”, and a “/” in a name as “\\/”."""

import re

from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.text import printable

WHOLE = 100_000
"""A limit that no path of any server reaches: for rows, where two must never be one."""


def folder_path(text: str) -> FolderPath:
    """The path that `text` writes. A component may come out empty; whoever asks judges that."""
    parts = tuple(re.sub(r"\\([/=\\])", r"\1", part) for part in split_at(text, "/"))
    # RFC 3501 5.1: INBOX is INBOX in any case, at the top only.
    inbox = parts[0].isascii() and parts[0].upper() == INBOX_PATH[0]
    return (*INBOX_PATH, *parts[1:]) if inbox else parts


def path_text(path: FolderPath, limit: int = 300) -> str:
    """How `path` is written, safe to show; no two paths alike within `limit` characters, behind
    which it is cut. `folder_path` reads it, where nothing in it had to be made printable."""
    return printable("/".join(re.sub(r"([/\\])", r"\\\1", part) for part in path), limit)


def split_at(text: str, separator: str) -> list[str]:
    """`text` at each `separator` that no backslash stands before; escapes are left in."""
    parts = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
            continue
        parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts
