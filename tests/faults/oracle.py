"""The oracle: what a mailbox holds, read from the server with code of its own, and what differs.

Nothing of mailhaul is used. Two mailboxes are the same when each folder lists the same messages
in the same order: SHA-256 of all octets, received date to the second, flags without `\\Recent`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest

from tests.faults.plain import Answer, Plain, quoted

LISTED = re.compile(rb'\* LIST \(([^)]*)\) (?:"(.)"|NIL) (.+)', re.IGNORECASE)
PREFIX = re.compile(rb'\* NAMESPACE \(\("([^"]*)"', re.IGNORECASE)
UID = re.compile(rb"\bUID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
DATE = re.compile(rb'INTERNALDATE "([^"]*)"')
FETCHED = b"(UID FLAGS INTERNALDATE BODY.PEEK[])"


@dataclass(frozen=True, slots=True)
class Copy:
    """One message as it lies in a folder. `received` in seconds since the epoch; flags folded."""

    digest: str
    received: int
    flags: frozenset[str]


Contents = dict[str, list[Copy]]
"""By folder, its wire name without prefix and with `/` between the levels; in UID order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a target differs from its source; a message is its digest and its received date."""

    lost: int = 0
    doubled: int = 0
    flags: int = 0
    disordered: int = 0
    first: str = ""

    @property
    def exact(self) -> bool:
        return not (self.lost or self.doubled or self.flags or self.disordered)


def read_mailbox(host: str, port: int, user: str, password: str) -> Contents:
    """Everything in the personal namespace, read without setting a flag (EXAMINE, PEEK)."""
    contents: Contents = {}
    with Plain(host, port, user, password) as connection:
        prefix = b""
        for answer in connection.answers(b"NAMESPACE"):
            if found := PREFIX.match(answer.text):
                prefix = found[1]
        for name, delimiter in _folders(connection):
            contents[_path(name, prefix, delimiter)] = read_folder(connection, name)
    return contents


def read_folder(connection: Plain, name: bytes) -> list[Copy]:
    """The messages of the folder with this wire name, in UID order."""
    connection.command(b"EXAMINE " + quoted(name))
    rows = [
        _copy(answer)
        for answer in connection.answers(b"UID FETCH 1:* " + FETCHED)
        if b" FETCH (" in answer.text and answer.literals
    ]
    return [copy for _, copy in sorted(rows, key=lambda row: row[0])]


def compare(source: Mapping[str, Sequence[Copy]], target: Mapping[str, Sequence[Copy]]) -> Verdict:
    """The verdict over all folders. A folder missing at the target counts as an empty one, and so
    does one missing at the source: whatever it holds is doubled."""
    lost = doubled = flags = disordered = 0
    first = ""
    for name in sorted({*source, *target}):
        ours, theirs = source.get(name, ()), target.get(name, ())
        wanted = Counter((copy.digest, copy.received) for copy in ours)
        found = Counter((copy.digest, copy.received) for copy in theirs)
        lost += (wanted - found).total()
        doubled += (found - wanted).total()
        flags += (Counter(theirs) - Counter(ours)).total() - (found - wanted).total()
        if wanted == found:
            disordered += sum(not _same(*pair) for pair in zip(ours, theirs, strict=True))
        odd = next((pair for pair in zip_longest(ours, theirs) if pair[0] != pair[1]), None)
        if odd is not None and not first:
            first = f"{name}: {len(ours)} and {len(theirs)} messages, first difference {odd}"
    return Verdict(lost, doubled, flags, disordered, first)


def _same(one: Copy, other: Copy) -> bool:
    return (one.digest, one.received) == (other.digest, other.received)


def _folders(connection: Plain) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    for answer in connection.answers(b'LIST "" "*"'):
        listed = LISTED.match(answer.text)
        if listed is None or b"\\noselect" in listed[1].lower():
            continue
        name = answer.literals[0] if answer.literals else listed[3]
        if name.startswith(b'"'):
            name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
        found.append((name, listed[2] or b""))
    return found


def _path(name: bytes, prefix: bytes, delimiter: bytes) -> str:
    if name.upper() == b"INBOX":
        return "INBOX"
    bare = name.removeprefix(prefix) if prefix else name
    return (bare.replace(delimiter, b"/") if delimiter else bare).decode("latin-1")


def _copy(answer: Answer) -> tuple[int, Copy]:
    uid, flags, date = UID.search(answer.text), FLAGS.search(answer.text), DATE.search(answer.text)
    if uid is None or flags is None or date is None:
        raise AssertionError(f"an incomplete FETCH: {answer.text!r}")
    moment = datetime.strptime(date[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    kept = (flag.lower() for flag in flags[1].decode("latin-1").split())
    return int(uid[1]), Copy(
        hashlib.sha256(answer.literals[0]).hexdigest(),
        int(moment.astimezone(UTC).timestamp()),
        frozenset(flag for flag in kept if flag != "\\recent"),
    )
