"""How much a Maildir holds: octets and messages of all its folders. Only counts, by file names."""

import os
import re
from pathlib import Path

_SIZE = re.compile(r",S=(\d{1,15})")
_DEEPEST = 40


def measured(maildir: Path) -> tuple[int, int]:
    """Octets and messages; none of either where there is no such directory yet. Links aren't
    followed. Raises OSError."""
    return _measured(os.fspath(maildir), _DEEPEST)


def _measured(directory: str, depth: int) -> tuple[int, int]:
    octets = messages = 0
    try:
        entries = list(os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False) or entry.name == "tmp":
            continue
        if entry.name in ("cur", "new"):
            for file in os.scandir(entry.path):
                if file.name.startswith(".") or not file.is_file(follow_symlinks=False):
                    continue
                told = _SIZE.search(file.name)
                messages += 1
                octets += int(told[1]) if told else file.stat(follow_symlinks=False).st_size
        elif depth:
            more, held = _measured(entry.path, depth - 1)
            octets, messages = octets + more, messages + held
    return octets, messages
