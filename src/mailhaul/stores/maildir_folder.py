"""One folder of a Maildir: what its file names say, and how messages get in, are marked and go.

A message is a file in `cur` or `new`; its name is `BASE:2,FLAGS`. The base name is unique for good;
letters are flags: D draft, F flagged, P passed (`$Forwarded`), R replied, S seen, T trashed, and a
to z are keywords that the folder's `dovecot-keywords` names. Base names may carry `,S=` octets on
disk and `,W=` octets of the message (Dovecot, Courier), and ours `,V=1` for octets to be read as
they are (`line_ends.Form.RAW`).

Keys are `SECONDS.MICROSECONDS.COUNTER/BASE`, the figures taken out of the base name, so that
ascending keys are the order of delivery.
"""

import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b

from mailhaul.core.message import Flags
from mailhaul.stores.line_ends import Form, size_from_disk
from mailhaul.stores.safe_paths import chunks_of, directory, open_file, replace_file

LETTERS = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "P": "$Forwarded",
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}
_LETTER_OF = {flag.lower(): letter for letter, flag in LETTERS.items()}
KEYWORDS_FILE = "dovecot-keywords"
MOST_KEYWORDS = 26

_STAMP = re.compile(r"(\d{1,12})\.([^,:]*)")
_MICROSECONDS = re.compile(r"M(\d{1,6})")
_COUNTER = re.compile(r"(?:Q|_)(\d{1,12})")
_STORED_SIZE = re.compile(r",S=(\d{1,18})(?=[,:]|$)")
_VIRTUAL_SIZE = re.compile(r",W=(\d{1,18})(?=[,:]|$)")
_RAW = re.compile(r",V=1(?=[,:]|$)")


def key_of(name: str) -> str:
    """The key of the message in a file of this name."""
    base = _text(name.partition(":")[0])
    stamp = _STAMP.match(base)
    if stamp is None:
        return f"/{base}"
    microseconds = _MICROSECONDS.search(stamp[2])
    counter = _COUNTER.search(stamp[2])
    parts = (
        stamp[1].zfill(12),
        (microseconds[1] if microseconds else "").zfill(6),
        (counter[1] if counter else "").zfill(12),
    )
    return f"{'.'.join(parts)}/{base}"


def letters_of(name: str) -> str:
    """The flag letters of a file name; none when it has no `:2,`."""
    _, _, info = name.partition(":2,")
    return info


def form_of(name: str) -> Form:
    return Form.RAW if _RAW.search(name.partition(":")[0]) else Form.LF


class Scan:
    """A folder's files at one moment, in order. Names are as in `cur`, or `new/NAME`."""

    __slots__ = ("keywords", "names")

    def __init__(self, names: Iterable[str], keywords: list[str]) -> None:
        self.names = sorted(names, key=_key_here)
        self.keywords = keywords

    def name(self, key: str) -> str | None:
        """The file of this message. Names alone are kept: a folder of 300,000 stays small."""
        place = bisect_left(self.names, key, key=_key_here)
        if place < len(self.names) and _key_here(self.names[place]) == key:
            return self.names[place]
        return None

    def renamed(self, name: str, now: str | None) -> None:
        """What we did ourselves to a file already known: `now` is its name, None when removed."""
        place = bisect_left(self.names, _key_here(name), key=_key_here)
        self.names[place : place + 1] = [] if now is None else [now]

    def flags(self, name: str) -> Flags:
        flags = set()
        for letter in letters_of(name):
            if letter in LETTERS:
                flags.add(LETTERS[letter])
            elif "a" <= letter <= "z" and ord(letter) - ord("a") < len(self.keywords):
                keyword = self.keywords[ord(letter) - ord("a")]
                if keyword and not (keyword.lower() == "$forwarded" and "P" in letters_of(name)):
                    flags.add(keyword)
        return frozenset(flags)

    def state(self) -> str:
        """A digest of names, flags and keywords: equal ones mean that nothing happened."""
        digest = blake2b(digest_size=16)
        for name in self.names:
            digest.update(os.fsencode(name) + b"\0")
        digest.update("\0".join(self.keywords).encode(errors="surrogateescape"))
        return digest.hexdigest()


def scan(root: int, steps: list[str]) -> Scan:
    """Reads the directories. Raises OSError when the folder is gone."""
    with directory(root, steps) as here:
        keywords = read_keywords(here)
        # `new` first: a message on its way to `cur` is seen once or twice, but never in neither.
        fresh = {name[4:].partition(":")[0]: name for name in _files(here, "new", "new/")}
        names = list(_files(here, "cur", ""))
        if fresh:
            for name in names:
                fresh.pop(name.partition(":")[0], None)
            names.extend(fresh.values())
    return Scan(names, keywords)


def _files(here: int, part: str, prefix: str) -> Iterator[str]:
    try:
        with directory(here, [part]) as inside:
            for entry in os.scandir(inside):
                if not entry.name.startswith("."):
                    yield prefix + entry.name
    except FileNotFoundError:
        if part == "cur":
            raise


def read_keywords(here: int) -> list[str]:
    """The keywords by letter; empty when there is no such file or it makes no sense."""
    try:
        descriptor = open_file(here, KEYWORDS_FILE)
    except OSError:
        return []
    try:
        text = os.pread(descriptor, 65536, 0).decode(errors="replace")
    finally:
        os.close(descriptor)
    keywords = [""] * MOST_KEYWORDS
    for line in text.splitlines():
        number, _, keyword = line.partition(" ")
        if number.isdecimal() and int(number) < MOST_KEYWORDS and keyword:
            keywords[int(number)] = keyword
    while keywords and not keywords[-1]:
        keywords.pop()
    return keywords


def letters_for(here: int, keywords: list[str], flags: Flags) -> tuple[str, Flags]:
    """The letters for `flags` and those that get none; new keywords are written down, durably,
    and added to `keywords`."""
    letters, lost = set(), set()
    known = {keyword.lower(): number for number, keyword in enumerate(keywords) if keyword}
    fresh = False
    for flag in sorted(flags):
        letter = _LETTER_OF.get(flag.lower())
        if letter is not None:
            letters.add(letter)
            if letter != "P":
                continue
        if flag.startswith("\\") or not _is_keyword(flag):
            lost.add(flag)
            continue
        number = known.get(flag.lower())
        if number is None and len(keywords) < MOST_KEYWORDS:
            number = known[flag.lower()] = len(keywords)
            keywords.append(flag)
            fresh = True
        if number is not None:
            letters.add(chr(ord("a") + number))
        elif letter is None:
            lost.add(flag)
    if fresh:
        lines = [f"{number} {name}\n" for number, name in enumerate(keywords) if name]
        replace_file(here, KEYWORDS_FILE, "".join(lines).encode(errors="surrogateescape"))
    return "".join(sorted(letters)), frozenset(lost)


def size_of(inside: int, name: str) -> tuple[int, os.stat_result]:
    """Octets of the message in this file, and what the system knows of it: from the file's name
    where that is consistent, else by reading it. Raises OSError for what is no regular file."""
    descriptor = open_file(inside, name)
    try:
        status = os.fstat(descriptor)
        base = name.partition(":")[0]
        if form_of(base) is Form.RAW:
            return status.st_size, status
        stored, virtual = _STORED_SIZE.search(base), _VIRTUAL_SIZE.search(base)
        if stored and virtual and int(stored[1]) == status.st_size <= int(virtual[1]):
            return int(virtual[1]), status
        return size_from_disk(chunks_of(descriptor)), status
    finally:
        os.close(descriptor)


def letters_of_flags(keywords: list[str], flags: Flags) -> str:
    """The letters that stand for `flags` here."""
    unwanted = {flag.lower() for flag in flags}
    letters = [letter for letter, flag in LETTERS.items() if flag.lower() in unwanted]
    for number, keyword in enumerate(keywords):
        if keyword.lower() in unwanted:
            letters.append(chr(ord("a") + number))
    return "".join(letters)


def remove_file(here: int, name: str) -> bool:
    """Removes the message's file; false when it was gone."""
    part, plain = place_of(name)
    with suppress(FileNotFoundError), directory(here, [part]) as inside:
        os.unlink(plain, dir_fd=inside)
        return True
    return False


def rename_file(here: int, name: str, letters: str) -> str | None:
    """Gives the message other flag letters (a new one becomes a current one); returns its name
    then, None when it was gone."""
    part, plain = place_of(name)
    renamed = f"{plain.partition(':')[0]}:2,{letters}"
    with (
        suppress(FileNotFoundError),
        directory(here, [part]) as inside,
        directory(here, ["cur"]) as current,
    ):
        os.rename(plain, renamed, src_dir_fd=inside, dst_dir_fd=current)
        return renamed
    return None


def place_of(name: str) -> tuple[str, str]:
    """The directory and the file's name in it."""
    return ("new", name[4:]) if name.startswith("new/") else ("cur", name)


def _key_here(name: str) -> str:
    return key_of(name.removeprefix("new/"))


def _text(name: str) -> str:
    # A file name that is no UTF-8 can't be a key as it is: keys are text, and are written down.
    if name.isascii():
        return name
    return "".join(
        f"%{ord(character) & 0xFF:02X}" if "\udc80" <= character <= "\udcff" else character
        for character in name
    )


def _is_keyword(flag: str) -> bool:
    return bool(flag) and all(" " < character < "\x7f" for character in flag)
