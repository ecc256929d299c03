"""Says whether everything is where it should be, counted by other code than mailhaul's own."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.folder import FolderPath
from mailhaul.lab.people import Held, Person
from mailhaul.lab.wire import PlainConnection

_LISTED = re.compile(
    rb'^\* LIST \((?P<is>[^)]*)\) (?:"."|NIL) (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<atom>\S+))'
)


@dataclass(frozen=True, slots=True)
class Count:
    """One mailbox as counted: messages at the old and the new system, and what is wrong."""

    address: str
    old: int
    new: int
    expected: int
    refused: int
    wrong: tuple[str, ...]


def counted(person: Person) -> Count:
    """Reads both sides whole and compares the new one with what people did."""
    wrong: list[str] = []
    new = 0
    for folder in sorted({*person.folders, *person.expected}):
        there = held(person.new, folder)
        expected = +person.holds(folder)
        new += there.total()
        wrong += differences("/".join(folder), expected, there)
    old = sum(held(person.old, folder).total() for folder in person.folders)
    for what, connection in (("old", person.old), ("new", person.new)):
        if names(connection) != {"/".join(folder) for folder in person.folders}:
            wrong.append(f"the {what} system has other folders than it should")
    expected_count = sum((+each).total() for each in person.expected.values())
    return Count(person.address, old, new, expected_count, person.refused.total(), tuple(wrong))


def held(connection: PlainConnection, folder: FolderPath) -> Held:
    """What a folder holds."""
    return Counter(connection.content(folder).messages)


def differences(folder: str, expected: Held, there: Held) -> Iterator[str]:
    """What is lost, doubled, or has other flags, in words; nothing when nothing is."""
    bodies, found = _bodies(expected), _bodies(there)
    if lost := (bodies - found).total():
        yield f"{folder}: {lost} lost"
    if more := (found - bodies).total():
        yield f"{folder}: {more} too many"
    flags = (expected - there).total() - lost
    if flags > 0:
        yield f"{folder}: {flags} with other flags"


def _bodies(held: Held) -> Counter[str]:
    found: Counter[str] = Counter()
    for (digest, _), count in held.items():
        found[digest] += count
    return found


def names(connection: PlainConnection) -> set[str]:
    """The folders that hold messages, decoded."""
    found = set()
    for line in connection.command(b'LIST "" "*"'):
        listed = _LISTED.match(line.text)
        if listed is not None and b"noselect" not in listed["is"].lower():
            found.add(_decoded(listed["atom"] if listed["quoted"] is None else listed["quoted"]))
    return found


def _decoded(name: bytes) -> str:
    """Modified UTF-7 (RFC 3501 5.1.3) by the standard library's UTF-7."""
    text = name.decode("ascii")
    return re.sub(
        "&([^-]*)-",
        lambda part: f"+{part[1].replace(',', '/')}-".encode().decode("utf-7") if part[1] else "&",
        text,
    )


def report_faults(reports: Iterable[Path], counts: Iterable[Count]) -> list[str]:
    """Where the reports' figures are not those that were counted."""
    accounts: dict[str, dict[str, int]] = {}
    for report in reports:
        figures = json.loads((report / "report.json").read_text(encoding="utf-8"))
        accounts |= {each["address"]: each["account"] for each in figures["mailboxes"]}
    wrong = []
    for count in counts:
        told = accounts[count.address]
        fates = [told[name] for name in ("copied", "adopted", "skipped", "refused", "missing")]
        if told["census"] != count.old:
            wrong.append(f"{count.address}: {count.old} counted, the report says {told['census']}")
        if sum(fates) != count.old:
            wrong.append(f"{count.address}: the report accounts for {sum(fates)} of {count.old}")
        if told["refused"] != count.refused:
            wrong.append(f"{count.address}: {count.refused} refused, not {told['refused']}")
    return wrong
