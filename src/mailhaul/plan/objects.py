"""A list of what is to be made at the target: mailboxes, aliases and groups, one a row.

    kind,address,to,name,quota
    mailbox,anna@acme.example,,Anna Weiss,5 GB
    alias,a.weiss@acme.example,anna@acme.example
    group,team@acme.example,anna@acme.example bert@acme.example,The team

`kind` and all but the address may be left out of the heading. Nothing secret stands in it.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailhaul.plan.listing import address_fault
from mailhaul.plan.mistakes import Mistake, PlanErrors, shown, suggestion
from mailhaul.plan.texts import read

CURE = "save it as “CSV UTF-8” (in Excel: Save as > CSV UTF-8)"
COLUMNS = ("kind", "address", "to", "name", "quota")
LONGEST_NAME = 200
_DELIMITERS = ";\t,"
_QUOTA = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,3}))? ?([kmgt]?b?)", re.IGNORECASE)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class ObjectKind(StrEnum):
    MAILBOX = "mailbox"
    ALIAS = "alias"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One row. `to` is an alias's account or a group's members; `quota` in octets."""

    kind: ObjectKind
    address: str
    to: tuple[str, ...] = ()
    name: str = ""
    quota: int | None = None
    line: int = 0


def load_objects(path: Path) -> tuple[ListedObject, ...]:
    """What the file lists. Raises `PlanErrors` with all that is wrong."""
    text, mistakes = read(path, CURE)
    if not mistakes:
        objects, mistakes = read_objects(text, path.name)
    if mistakes:
        raise PlanErrors(mistakes)
    return objects


def read_objects(text: str, name: str) -> tuple[tuple[ListedObject, ...], list[Mistake]]:
    """The rows of the file `name`, and what is wrong with them."""
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip(" \t,;")), None)
    if first is None:
        return (), [Mistake(name, 1, "", "the file lists nothing", "write a row for each")]
    delimiter = max(_DELIMITERS, key=lines[first].count)
    heading = [" ".join(each.casefold().split()) for each in lines[first].split(delimiter)]
    mistakes = list(_heading_mistakes(heading, name, first + 1))
    if mistakes:
        return (), mistakes
    found: list[ListedObject] = []
    for line, cells in _records(lines, first + 1, delimiter, name, mistakes):
        given = dict(zip(heading, cells, strict=False))
        wrong = list(_row_mistakes(given, len(cells) - len(heading), name, line))
        mistakes += wrong
        if not wrong:
            found.append(_object(given, line))
    mistakes += _twice(found, name)
    if not found and not mistakes:
        mistakes.append(Mistake(name, 1, "", "the file lists nothing", "write a row for each"))
    return tuple(found), mistakes


def quota_of(text: str) -> int | None:
    """`5 GB`, `500M`, `1.5g`, or plain octets; None for what is no size. Decimal units, as
    providers sell them."""
    fit = _QUOTA.fullmatch(text.strip())
    if fit is None:
        return None
    factor: int = 1000 ** _UNITS[fit[3].casefold().removesuffix("b")]
    part = (fit[2] or "").ljust(3, "0")
    return int(fit[1]) * factor + int(part) * factor // 1000


def _heading_mistakes(heading: list[str], name: str, line: int) -> Iterator[Mistake]:
    for place, column in enumerate(heading):
        value = f"column {shown(column) or place + 1}"
        if column in heading[:place]:
            yield Mistake(name, line, value, "is there twice", "name each column once")
        elif column not in COLUMNS and "pass" in column:
            cure = "a new account's password is the plan's secret for it"
            yield Mistake(name, line, value, "this list never holds a password", cure)
        elif column not in COLUMNS:
            cure = suggestion(column, COLUMNS) or f"there are {', '.join(COLUMNS)}"
            yield Mistake(name, line, value, "is not known", cure)
    if "address" not in heading and set(heading) & set(COLUMNS):
        yield Mistake(name, line, "", "the column address is missing", "name it in the heading")


def _records(
    lines: list[str], start: int, delimiter: str, name: str, mistakes: list[Mistake]
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in lines[start:]), delimiter=delimiter, strict=True)
    while True:
        line = start + reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error:
            cure = 'put the whole cell into quotes and write " in it as ""'
            mistakes.append(Mistake(name, line, "", "the quotes don't match", cure))
            continue
        if any(cells):
            yield line, cells


def _row_mistakes(given: dict[str, str], more: int, name: str, line: int) -> Iterator[Mistake]:
    if more > 0:
        cure = "put a cell with the delimiter in it into quotes"
        yield Mistake(name, line, "", "there are more cells than headings", cure)
    kind = given.get("kind", "").casefold() or ObjectKind.MAILBOX.value
    if kind not in set(ObjectKind):
        cure = suggestion(kind, list(ObjectKind)) or f"write {', '.join(ObjectKind)}"
        yield Mistake(name, line, f"kind {shown(kind)}", "this kind is not known", cure)
        return
    address = given.get("address", "")
    if (fault := address_fault(address)) is not None:
        yield Mistake(name, line, f"address {shown(address)}" if address else "", *fault)
    to = given.get("to", "").split()
    for each in to:
        if (fault := address_fault(each)) is not None:
            yield Mistake(name, line, f"to {shown(each)}", *fault)
    match kind:
        case ObjectKind.MAILBOX if to:
            cure = "leave it empty; redirections are carried from the source"
            yield Mistake(name, line, f"to {shown(to[0])}", "a mailbox leads nowhere", cure)
        case ObjectKind.ALIAS if len(to) != 1:
            cure = "name its account in the column to"
            yield Mistake(name, line, "", "an alias leads to one account", cure)
        case ObjectKind.GROUP if not to:
            cure = "name them in the column to, with blanks between"
            yield Mistake(name, line, "", "a group needs members", cure)
        case _:
            pass
    if len(given.get("name", "")) > LONGEST_NAME:
        yield Mistake(name, line, "name", f"longer than {LONGEST_NAME} characters", "shorten it")
    quota = given.get("quota", "")
    if quota and quota_of(quota) is None:
        yield Mistake(name, line, f"quota {shown(quota)}", "this is no size", "write it as 5 GB")


def _object(given: dict[str, str], line: int) -> ListedObject:
    quota = given.get("quota", "")
    return ListedObject(
        ObjectKind(given.get("kind", "").casefold() or ObjectKind.MAILBOX),
        given["address"],
        tuple(dict.fromkeys(given.get("to", "").split())),
        given.get("name", ""),
        quota_of(quota) if quota else None,
        line,
    )


def _twice(objects: list[ListedObject], name: str) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for each in objects:
        before = seen.setdefault(each.address.casefold(), each.line)
        if before != each.line:
            value = f"address {shown(each.address)}"
            yield Mistake(name, each.line, value, f"line {before} has it too", "list it once")
