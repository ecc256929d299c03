"""From the octets of a file to text: UTF-8 and UTF-16 as Excel and editors write them.

Anything else (Latin-1, Windows-1252) is not guessed: a wrong guess moves the wrong mailbox. Each
line that isn't UTF-8 is named.
"""

import codecs
from pathlib import Path

from mailhaul.core.text import printable
from mailhaul.plan.mistakes import Mistake

LARGEST = 16 * 1024 * 1024
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(
    path: Path, cure: str, missing: str = "name a file that you can read"
) -> tuple[str, list[Mistake]]:
    """The text of the file, its lines ended by LF, and what is wrong with it. What isn't UTF-8 is
    taken for Latin-1, so that the rest can still be looked at; `cure` says how to save it."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        why = f"{printable(str(path), 200)} can't be read: {error.strerror}"
        return "", [Mistake(path.name, 1, "", why, missing)]
    if len(raw) > LARGEST:
        return "", [Mistake(path.name, 1, "", "the file is larger than 16 MiB", "split it")]
    text, mistakes = decoded(raw, path.name, cure)
    return text.replace("\r\n", "\n").replace("\r", "\n"), mistakes


def decoded(raw: bytes, name: str, cure: str) -> tuple[str, list[Mistake]]:
    """As `read`, of a file's octets."""
    if raw.startswith(_MARKS) or _looks_wide(raw):
        return _wide(raw, name, cure)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1"), list(_strange_lines(raw, name, cure))
    return text, _no_nul(text, name)


def _looks_wide(raw: bytes) -> bool:
    """UTF-16 without its mark: ASCII with a NUL before or after each letter."""
    return len(raw) >= 4 and len(raw) % 2 == 0 and (raw[0:4:2] == b"\0\0" or raw[1:4:2] == b"\0\0")


def _wide(raw: bytes, name: str, cure: str) -> tuple[str, list[Mistake]]:
    marked = raw.startswith(_MARKS)
    little = raw.startswith(codecs.BOM_UTF16_LE) or (not marked and raw[1] == 0)
    body = raw[2:] if marked else raw
    try:
        text = body.decode("utf-16-le" if little else "utf-16-be")
    except UnicodeDecodeError:
        return "", [Mistake(name, 1, "", "the file is UTF-16, but damaged", cure)]
    return text, _no_nul(text, name)


def _no_nul(text: str, name: str) -> list[Mistake]:
    at = text.find("\0")
    if at < 0:
        return []
    line = text.count("\n", 0, at) + 1
    return [Mistake(name, line, "\\x00", "this is no text", "name a text file")]


def _strange_lines(raw: bytes, name: str, cure: str) -> list[Mistake]:
    found = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            octet = line[error.start]
            guess = printable(bytes([octet]).decode("cp1252", "replace"))
            value = f"0x{octet:02x} (“{guess}” in Windows-1252)"
            found.append(Mistake(name, number, value, "this line is not UTF-8", cure))
    return found
