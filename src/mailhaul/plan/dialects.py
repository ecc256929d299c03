"""mailboxes.csv in the words of its writer: ours, Microsoft's, OVH Mail Migrator's, imapsync's.

A dialect is known by its heading; imapsync's and a bare list of addresses also without one. What a
row says is gathered here without judging it; `rows_of` and `validate` judge. Passwords in foreign
files are read as secrets, so that they can be moved to where they may lie; no mistake shows one.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from mailhaul.core.text import Secret
from mailhaul.plan.mistakes import Mistake, shown, suggestion


class Dialect(StrEnum):
    """Whose words."""

    OURS = "mailhaul"
    MICROSOFT = "Microsoft"
    OMM = "OVH Mail Migrator"
    IMAPSYNC = "imapsync"
    LIST = "a list of addresses"


COLUMNS = ("address", "wave", "source", "target", "source_secret", "target_secret")
"""Ours; all but the first may be left out."""

# learn.microsoft.com, “CSV files for IMAP migration batches”.
_MICROSOFT = ("emailaddress", "username", "password", "userroot")
# imapsync.lamiral.info/examples/file.txt; the options that may follow stand in `extra`.
_IMAPSYNC = ("host1", "user1", "password1", "host2", "user2", "password2", "extra")
# docs.ovh.com, Migrating email accounts via OVH Mail Migrator (2022): the template for projects.
_OMM = (
    "source type",
    "source server url",
    "source login",
    "source password",
    "destination type",
    "destination url",
    "destination mail",
    "destination password",
    "source admin mail",
    "destination admin mail",
)
_DELIMITERS = ";\t,"
_CURE = (
    f"begin with the heading {','.join(COLUMNS)} (all but address may be left out), or with that "
    "of Microsoft, OVH Mail Migrator or imapsync"
)
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+|localhost|\[?[0-9A-Fa-f:]+\]?")


@dataclass(frozen=True, slots=True)
class Login:
    """One side of a foreign row: what is said about reaching the mailbox. Empty: not said."""

    host: str = ""
    user: str = ""
    admin: str = ""
    password: Secret | None = None
    kind: str = ""
    """OMM's type: IMAP, Exchange, POP."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, its cells stripped. `cells` are ours by column; the logins are a foreign row's."""

    line: int
    address: str
    cells: dict[str, str] = field(default_factory=dict)
    source: Login = Login()
    target: Login = Login()
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a file holds. `dialect` is None when it isn't known whose words they are."""

    dialect: Dialect | None
    rows: tuple[Row, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def with_passwords(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.source.password or row.target.password)


@dataclass(frozen=True, slots=True)
class _Heading:
    dialect: Dialect
    delimiter: str
    columns: tuple[str, ...]
    lines: int
    """How many lines it takes, those before it included; 0 when there is none."""


def read_rows(text: str, name: str) -> Rows:
    """The rows of the file `name`, and what is wrong with its form."""
    heading = _heading(text)
    if heading is None:
        line, first = _first_line(text)
        if not first:
            return Rows(None, (), (Mistake(name, 1, "", "the file names no mailbox", _CURE),))
        unknown = Mistake(name, line, "", "this heading is not known", _CURE)
        return Rows(None, (), (unknown,))
    mistakes = list(_heading_mistakes(heading, name))
    if len(set(heading.columns)) < len(heading.columns):
        return Rows(heading.dialect, (), tuple(mistakes))
    rows: list[Row] = []
    for line, cells in _records(text, heading, name, mistakes):
        if heading.dialect is Dialect.IMAPSYNC and cells[0].startswith("#"):
            continue
        if any(cells[len(heading.columns) :]):
            said = f"{len(cells)} cells under {len(heading.columns)} headings"
            cure = f"take the extra “{_named(heading.delimiter)}” out, or put its cell into quotes"
            mistakes.append(Mistake(name, line, "", said, cure))
            continue
        given = dict(zip(heading.columns, cells, strict=False))
        rows.append(_READERS[heading.dialect](line, given))
    if not rows and not mistakes:
        mistakes.append(Mistake(name, 1, "", "the file names no mailbox", "write a row for each"))
    return Rows(heading.dialect, tuple(rows), tuple(mistakes))


def _first_line(text: str) -> tuple[int, str]:
    """The first line that says something, and its number."""
    for number, line in enumerate(text.split("\n"), 1):
        # imapsync's remarks, among which its heading may stand; Excel's hint about the delimiter.
        remark = line.lstrip().startswith("#") and "host1" not in line.lower()
        if line.strip(" \t,;") and not remark and not line.lower().startswith("sep="):
            return number, line
    return 1, ""


def _heading(text: str) -> _Heading | None:
    number, line = _first_line(text)
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader([line], delimiter=delimiter))
        except (csv.Error, StopIteration):
            continue
        names = tuple(_folded(cell) for cell in cells)
        while names and not names[-1]:
            names = names[:-1]
        for dialect, known in _KNOWN:
            if known(names):
                columns = _OMM if dialect is Dialect.OMM else names
                return _Heading(dialect, delimiter, columns, number)
        hosts = len(cells) >= 6 and all(_HOST.fullmatch(cells[at].strip()) for at in (0, 3))
        if delimiter == ";" and hosts:
            return _Heading(Dialect.IMAPSYNC, ";", _IMAPSYNC, number - 1)
    if "@" in line and not any(delimiter in line.strip() for delimiter in _DELIMITERS):
        return _Heading(Dialect.LIST, ",", ("address",), number - 1)
    return None


_KNOWN: tuple[tuple[Dialect, Callable[[tuple[str, ...]], bool]], ...] = (
    (Dialect.OURS, lambda names: "address" in names),
    (Dialect.MICROSOFT, lambda names: {"emailaddress", "username"} <= set(names)),
    (Dialect.IMAPSYNC, lambda names: {"host1", "user1", "host2", "user2"} <= set(names)),
    (
        Dialect.OMM,
        lambda names: (
            len(names) >= 8
            and all(name.startswith(known) for name, known in zip(names, _OMM, strict=False))
        ),
    ),
)


def _heading_mistakes(heading: _Heading, name: str) -> Iterator[Mistake]:
    known = {
        Dialect.OURS: COLUMNS,
        Dialect.MICROSOFT: _MICROSOFT,
        Dialect.IMAPSYNC: _IMAPSYNC,
        Dialect.OMM: _OMM,
        Dialect.LIST: ("address",),
    }[heading.dialect]
    for place, column in enumerate(heading.columns):
        value = f"column {shown(column) or place + 1}"
        if column in heading.columns[:place]:
            yield Mistake(name, heading.lines, value, "is there twice", "name each column once")
        elif column not in known and "pass" in column:
            cure = "put references into source_secret and target_secret"
            yield Mistake(name, heading.lines, value, "a plan never holds a password", cure)
        elif column not in known:
            cure = suggestion(column, known) or f"there are {', '.join(known)}"
            yield Mistake(name, heading.lines, value, "is not known", cure)


def _records(
    text: str, heading: _Heading, name: str, mistakes: list[Mistake]
) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins, its cells stripped; blank ones left out."""
    lines = (f"{line}\n" for line in text.split("\n")[heading.lines :])
    reader = csv.reader(lines, delimiter=heading.delimiter, strict=True)
    while True:
        line = heading.lines + reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            said = "the quotes don't match" if "field" not in str(error) else "a cell is too long"
            cure = 'put the whole cell into quotes and write " in it as ""'
            mistakes.append(Mistake(name, line, "", said, cure))
            continue
        if any(cells):
            yield line, cells


def _ours(line: int, given: dict[str, str]) -> Row:
    return Row(line, given.get("address", ""), given)


def _microsoft(line: int, given: dict[str, str]) -> Row:
    login = Login(user=given.get("username", ""), password=_secret(given.get("password", "")))
    # UserRoot is where Microsoft looks inside an administrator's mailbox.
    extra = "UserRoot" if given.get("userroot") else ""
    return Row(line, given.get("emailaddress", ""), source=login, extra=extra)


def _omm(line: int, given: dict[str, str]) -> Row:
    source = Login(
        given.get("source server url", ""),
        given.get("source login", ""),
        given.get("source admin mail", ""),
        _secret(given.get("source password", "")),
        given.get("source type", ""),
    )
    target = Login(
        given.get("destination url", ""),
        given.get("destination mail", ""),
        given.get("destination admin mail", ""),
        _secret(given.get("destination password", "")),
        given.get("destination type", ""),
    )
    return Row(line, _address(target.user, source.user), source=source, target=target)


def _imapsync(line: int, given: dict[str, str]) -> Row:
    source, target = (
        Login(
            given.get(f"host{side}", ""),
            given.get(f"user{side}", ""),
            password=_secret(given.get(f"password{side}", "")),
        )
        for side in "12"
    )
    address = _address(target.user, source.user)
    return Row(line, address, source=source, target=target, extra=given.get("extra", ""))


_READERS: dict[Dialect, Callable[[int, dict[str, str]], Row]] = {
    Dialect.OURS: _ours,
    Dialect.LIST: _ours,
    Dialect.MICROSOFT: _microsoft,
    Dialect.OMM: _omm,
    Dialect.IMAPSYNC: _imapsync,
}


def _address(*logins: str) -> str:
    """Foreign rows name logins, not addresses: the first that is an address is it."""
    return next((login for login in logins if "@" in login), logins[0])


def _secret(cell: str) -> Secret | None:
    return Secret(cell) if cell else None


def _folded(cell: str) -> str:
    return " ".join(cell.strip().lstrip("#").casefold().split())


def _named(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else delimiter
