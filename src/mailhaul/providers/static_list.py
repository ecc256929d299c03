"""Accounts as a person keeps them: one CSV of accounts, one of what stands beside them.

What a person wrote beside our columns stays; delimiter and order too. `after` is what the lists say
when an action has been done.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.providers.actions import (
    Action,
    Add,
    Configure,
    Create,
    Delete,
    Lock,
    Release,
    Remove,
    Rename,
    Unlock,
)
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.effects import same_extra
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
    Right,
)
from mailhaul.providers.service import AccountState

ACCOUNTS = ("address", "state", "name", "quota", "used", "messages", "aliases")
EXTRAS = (
    *("kind", "address", "to", "name", "text", "subject"),
    *("begins", "ends", "copy", "script"),
)
_STATES = {each.value: each for each in AccountState if each is not AccountState.BUSY}
_NUMBER = re.compile("[0-9]{1,18}")
Line = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A CSV: its columns in their order, its lines by column, and how it is written."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    delimiter: str = ","
    mark: str = ""

    @property
    def text(self) -> str:
        """The file."""
        rows = [list(self.columns)]
        rows += [[line.get(column, "") for column in self.columns] for line in self.lines]
        told = (self.delimiter.join(map(self._field, row)) for row in rows)
        return self.mark + "".join(f"{row}\n" for row in told)

    def _field(self, value: str) -> str:
        """Between quotes where it needs them. Python's own writer forgets lone carriage returns."""
        if value and not set(value) & {self.delimiter, '"', "\r", "\n", " "}:
            return value
        return '"' + value.replace('"', '""') + '"' if value else value


@dataclass(frozen=True, slots=True)
class Lists:
    """Both files."""

    accounts: Sheet
    extras: Sheet


def sheet(text: str, columns: Sequence[str], path: Path) -> Sheet:
    """The file's lines, with the columns that we need. Raises `BadInput` naming the line."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count) if head else ","
    lines: list[dict[str, str]] = []
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise BadInput(f"{_shown(path)} is no CSV: {printable(str(error), 100)}") from error
    if not rows:
        return Sheet(tuple(columns), (), delimiter, mark)
    named = [each.strip().lower() for each in rows[0]]
    if columns[0] not in named or "address" not in named or len(set(named)) != len(named):
        raise BadInput(
            f"{_shown(path)} needs a first line that names its columns, each once: "
            f"{', '.join(columns)}; {columns[0]} at least"
        )
    for number, row in enumerate(rows[1:], 2):
        if not any(each.strip() for each in row):
            continue
        if len(row) > len(named):
            raise BadInput(f"{_shown(path)} line {number} has more fields than there are columns")
        lines.append(dict(zip(named, row, strict=False)))
    missing = tuple(each for each in columns if each not in named)
    return Sheet((*named, *missing), tuple(lines), delimiter, mark)


def number(line: Line, column: str) -> int | None:
    """The octets or the count that stand there; None where nothing does. Raises `BadInput`."""
    value = line.get(column, "").strip()
    if not value:
        return None
    if not _NUMBER.fullmatch(value):
        raise BadInput(
            f"“{printable(value, 40)}” in the column {column} is no number; write octets in full"
        )
    return int(value)


def state(line: Line) -> AccountState:
    """The account's state; configured where nothing is said. Raises `BadInput`."""
    value = line.get("state", "").strip().lower() or AccountState.CONFIGURED.value
    if value not in _STATES:
        raise BadInput(
            f"“{printable(value, 40)}” is no state of an account; there are {', '.join(_STATES)}"
        )
    return _STATES[value]


def aliases(line: Line) -> tuple[str, ...]:
    """Its aliases, which stand there with blanks between."""
    return tuple(sorted(line.get("aliases", "").split()))


def extra_of(line: Line) -> Extra:
    """What the line of the second file says. Raises `BadInput`."""
    kind, address, to = (line.get(each, "").strip() for each in ("kind", "address", "to"))
    name, text = line.get("name", ""), line.get("text", "")
    match kind.lower():
        case "redirection":
            return Redirection(address, to, line.get("copy", "").strip().lower() == "yes")
        case "responder":
            subject = line.get("subject", "")
            return Responder(
                address, text, subject, number(line, "begins"), number(line, "ends"), to
            )
        case "filter":
            return Filter(address, name, line.get("script", ""), text)
        case "delegation":
            try:
                return Delegation(address, to, Right(name.strip().lower() or Right.FULL))
            except ValueError as error:
                raise BadInput(
                    f"“{printable(name, 40)}” is no right; there are {', '.join(Right)}"
                ) from error
        case "group":
            return Group(address, tuple(sorted(to.split())), name)
        case "remark":
            return Remark(address, name, text)
        case _:
            raise BadInput(
                f"“{printable(kind, 40)}” in the column kind is none of redirection, responder, "
                "filter, delegation, group, remark"
            )


def after(lists: Lists, action: Action) -> Lists:
    """The lists when that has been done; the same where it had been before."""
    match action:
        case Create(address=address, name=name, quota=quota):
            size = "" if quota is None else str(quota)
            held = {"used": "0", "messages": "0"}
            line = {"address": address, "name": name, "quota": size, **held}
            return _with(lists, line)
        case Configure(placeholder=old, address=new, name=name):
            there = {"address": new, "state": AccountState.CONFIGURED.value, "name": name}
            return _moved(lists, old, new, there)
        case Release(address=old, placeholder=new):
            there = {"address": new, "state": AccountState.PLACEHOLDER.value, "name": ""}
            return _moved(lists, old, new, there)
        case Rename(address=old, to=new):
            return _moved(lists, old, new, {"address": new})
        case Lock(address=address):
            return _changed(lists, address, {"state": AccountState.LOCKED.value})
        case Unlock(address=address):
            return _changed(lists, address, {"state": AccountState.CONFIGURED.value})
        case Delete(address=address):
            kept = _but(lists.accounts, lambda each: same(each.get("address", ""), address))
            beside = _but(lists.extras, lambda each: same(each.get("address", ""), address))
            return Lists(kept, beside)
        case Add(extra=Alias(address=address, alias=alias)):
            return _aliased(lists, address, lambda had: {*had, alias})
        case Remove(extra=Alias(address=address, alias=alias)):
            return _aliased(
                lists, address, lambda had: {each for each in had if not same(each, alias)}
            )
        case Add(extra=wanted):
            if any(same_extra(extra_of(each), wanted) for each in lists.extras.lines):
                return lists
            added = (*lists.extras.lines, _line(wanted))
            return replace(lists, extras=replace(lists.extras, lines=added))
        case Remove(extra=wanted):
            return replace(
                lists, extras=_but(lists.extras, lambda each: same_extra(extra_of(each), wanted))
            )
        case _:
            raise AssertionError(f"{type(action).__name__} is not among the verbs")


def find(lists: Lists, address: str) -> Line | None:
    """The account's line."""
    return next(
        (each for each in lists.accounts.lines if same(each.get("address", "").strip(), address)),
        None,
    )


def is_address(text: str) -> bool:
    """Whether it can be an account's address."""
    try:
        parts(text)
    except BadInput:
        return False
    return True


def _line(wanted: Extra) -> dict[str, str]:
    line = {"kind": type(wanted).__name__.lower(), "address": wanted.address}
    match wanted:
        case Redirection(to=to, copy=copy):
            return {**line, "to": to, "copy": "yes" if copy else "no"}
        case Responder(text=text, subject=subject, begins=begins, ends=ends, copy_to=copy_to):
            moments = {"begins": begins, "ends": ends}
            told = {name: str(each) for name, each in moments.items() if each is not None}
            return {**line, "text": text, "subject": subject, "to": copy_to, **told}
        case Filter(name=name, script=script, words=words):
            return {**line, "name": name, "script": script, "text": words}
        case Delegation(to=to, right=right):
            return {**line, "to": to, "name": right.value}
        case Group(members=members, name=name):
            return {**line, "to": " ".join(members), "name": name}
        case Remark(kind=kind, text=text):
            return {**line, "name": kind, "text": text}
        case Alias():
            raise AssertionError("aliases stand beside their accounts")


def _with(lists: Lists, line: Line) -> Lists:
    if find(lists, line["address"]) is not None:
        return lists
    accounts = replace(lists.accounts, lines=(*lists.accounts.lines, line))
    return replace(lists, accounts=accounts)


def _moved(lists: Lists, old: str, new: str, there: Line) -> Lists:
    """The account has another address, and so has what stands beside it."""
    if find(lists, new) is not None:
        return lists
    moved = _changed(lists, old, there)
    beside = [
        {**each, "address": new} if same(each.get("address", ""), old) else each
        for each in lists.extras.lines
    ]
    return Lists(moved.accounts, replace(lists.extras, lines=tuple(beside)))


def _changed(lists: Lists, address: str, there: Line) -> Lists:
    lines = [
        {**each, **there} if same(each.get("address", "").strip(), address) else each
        for each in lists.accounts.lines
    ]
    return replace(lists, accounts=replace(lists.accounts, lines=tuple(lines)))


def _aliased(lists: Lists, address: str, change: Callable[[Sequence[str]], set[str]]) -> Lists:
    found = find(lists, address)
    if found is None:
        return lists
    had = aliases(found)
    now = sorted(change(had))
    return _changed(lists, address, {"aliases": " ".join(now)}) if tuple(now) != had else lists


def _but(full: Sheet, gone: Callable[[Line], bool]) -> Sheet:
    return replace(full, lines=tuple(each for each in full.lines if not gone(each)))


def _shown(path: Path) -> str:
    return printable(str(path), 300)
