"""Where a Dovecot's accounts are, by its passwd-file and patterns: rows, homes, mail, scripts."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.errors import BadInput
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.immediate import refusal
from mailhaul.providers.passwd_file import Row, quota_rule, row
from mailhaul.providers.rewriting import read
from mailhaul.providers.sieve_directory import Scripts

_LEFT_ALONE = frozenset(":\r\n\0")
_MOST_HOMES = 100


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: patterns with Dovecot's variables %u, %n and %d, and with ~ for the home.
    `maildir`, `sieve` and `active` empty: not known, not used. `domains` are those of all accounts;
    unless `whole`, users are called by what stands before the @, and there is one domain."""

    users: Path
    domains: frozenset[str]
    whole: bool
    homes: str
    maildir: str = ""
    sieve: str = ""
    active: str = ""
    uid: str = ""
    gid: str = ""

    def rows(self) -> list[tuple[str, Row]]:
        """Accounts of these domains and their rows; the first of two rows counts, as for
        Dovecot."""
        found: dict[str, tuple[str, Row]] = {}
        for line in read(self.users):
            each = row(line)
            address = "" if each is None else self.address(each)
            if each is not None and self._is_ours(address):
                found.setdefault(address.casefold(), (address, each))
        return list(found.values())

    def find(self, address: str) -> tuple[str, Row] | None:
        """The account's address as its row has it, and the row."""
        return next((each for each in self.rows() if same(each[0], address)), None)

    def address(self, each: Row) -> str:
        return each.user if self.whole else f"{each.user}@{min(self.domains)}"

    def user(self, address: str) -> str:
        """What the account is called in its row."""
        told = parts(address)
        return f"{told.local}@{told.domain}".lower() if self.whole else told.local.lower()

    def home(self, each: Row) -> Path:
        return Path(each.home or _filled(self.homes, each.user))

    def mail(self, each: Row) -> Path | None:
        """Its Maildir; None where that isn't known."""
        return _inside(self.maildir, each, self.home(each)) if self.maildir else None

    def scripts(self, each: Row) -> Scripts:
        """Its Sieve scripts, where these are known."""
        assert self.sieve
        home = self.home(each)
        return Scripts(
            _inside(self.sieve, each, home), _inside(self.active, each, home), self._owner(each)
        )

    def fresh(self, address: str, name: str, quota: int | None) -> Row:
        """A row without a password, and with a home that nobody has or had. Raises `Refused`."""
        taken = {str(self.home(each)) for _, each in self.rows()}
        usual = _filled(self.homes, self.user(address))
        for number in range(1, _MOST_HOMES):
            home = usual if number == 1 else f"{usual}-{number}"
            if home not in taken and not os.path.lexists(home):
                break
        else:
            raise refusal("ADDRESS_TAKEN", f"{usual} and all homes like it are in use")
        rule = () if quota is None else (quota_rule(quota),)
        return Row(self.user(address), "", self.uid, self.gid, gecos(name), home, extra=rule)

    def changed(self, lines: Sequence[str], address: str, after: "Row | None") -> Sequence[str]:
        """The file's lines with that row for the account; None: without any."""
        kept: list[str] = []
        written = False
        for line in lines:
            each = row(line)
            if each is None or not same(self.address(each), address):
                kept.append(line)
            elif after is not None and not written:
                kept.append(line if after == each else after.line)
                written = True
        if after is not None and not written:
            if kept and not kept[-1].endswith("\n"):
                kept[-1] += "\n"
            kept.append(after.line)
        return kept

    def _is_ours(self, address: str) -> bool:
        try:
            return parts(address).domain in self.domains
        except BadInput:
            return False

    def _owner(self, each: Row) -> tuple[int, int] | None:
        """Whose the files are: as the row says, else as what is there already."""
        if each.uid.isdigit() and each.gid.isdigit():
            return int(each.uid), int(each.gid)
        path = self.home(each)
        for there in (path, *path.parents):
            if there.exists():
                told = there.stat()
                return told.st_uid, told.st_gid
        return None


def gecos(name: str) -> str:
    """The name as a row can hold it."""
    return "".join(" " if each in _LEFT_ALONE else each for each in name).strip()


def unfit(address: str) -> str:
    """Why there can't be an account of that address, empty where there can: names go into paths
    and into rows."""
    local = address.rpartition("@")[0]
    if not re.fullmatch(r"[A-Za-z0-9._=+~'-]+", local):
        return f"{address} can't be a row's and a directory's name"
    return ""


def _inside(pattern: str, each: Row, home: Path) -> Path:
    """What the pattern says; ~ at its beginning is the home, as Dovecot has it."""
    if pattern.startswith("~/") or pattern == "~":
        return home / _filled(pattern[2:], each.user)
    return Path(_filled(pattern, each.user))


def _filled(pattern: str, user: str) -> str:
    local, _, domain = user.partition("@")
    fields = {"%u": user, "%n": local, "%d": domain, "%%": "%"}
    return re.sub("%.", lambda match: fields.get(match[0], match[0]), pattern)
