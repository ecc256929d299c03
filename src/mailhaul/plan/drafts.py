"""Making a plan: from hosts, addresses and foreign lists to files that load.

A draft is tried before anything is written; nothing that is there is overwritten.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mailhaul.core.endpoint import DEFAULT_PORTS, FILE_SCHEMES
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.plan.dialects import Login, Rows, read_rows
from mailhaul.plan.listing import address_fault, listed
from mailhaul.plan.load import CSV_CURE, load_plan
from mailhaul.plan.mistakes import Mistake, PlanErrors, shown
from mailhaul.plan.model import ListedMailbox
from mailhaul.plan.presets import preset_for
from mailhaul.plan.templates import has_names
from mailhaul.plan.texts import read
from mailhaul.plan.writing import Draft, Side, mailboxes_text, plan_text

LIST = "mailboxes.csv"


@dataclass(frozen=True, slots=True)
class Password:
    """One password that an imported list held."""

    side: str
    address: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class ImportedList:
    """A list of mailboxes in anybody's dialect."""

    file: str
    rows: Rows

    @property
    def hosts(self) -> tuple[str, str]:
        """The systems that most of its rows name; empty where none is named."""
        return self._host("source"), self._host("target")

    def _host(self, side: str) -> str:
        logins: list[Login] = [getattr(row, side) for row in self.rows.rows]
        named = Counter(login.host for login in logins if login.host and "/" not in login.host)
        return named.most_common(1)[0][0] if named else ""

    def listed(self, source: Side, target: Side) -> tuple[ListedMailbox, ...]:
        """Its mailboxes. Raises `PlanErrors` with all that is wrong with it."""
        found, wrong = listed(self.rows, self.file, source.url, target.url)
        if wrong:
            raise PlanErrors(wrong)
        return found

    @property
    def passwords(self) -> tuple[Password, ...]:
        return tuple(
            Password(side, row.address, login.password)
            for row in self.rows.with_passwords
            for side, login in (("source", row.source), ("target", row.target))
            if login.password is not None
        )


def imported_list(path: Path) -> ImportedList:
    """The list in the file `path`. Raises `PlanErrors` with all that is wrong with its form."""
    text, mistakes = read(path, CSV_CURE)
    rows = read_rows(text, path.name) if text or not mistakes else Rows(None, (), ())
    if mistakes or rows.mistakes:
        raise PlanErrors([*mistakes, *rows.mistakes])
    return ImportedList(path.name, rows)


def typed_list(addresses: Sequence[str]) -> tuple[ListedMailbox, ...]:
    """Mailboxes by their addresses. Raises `BadInput` for what is none."""
    for address in addresses:
        fault = address_fault(address)
        if fault is not None:
            raise BadInput(f"{shown(address)}: {fault[0]}; {fault[1]}")
    return tuple(ListedMailbox(address=each, line=line) for line, each in enumerate(addresses, 2))


def system_for(given: str, secret: str | None, side: str) -> Side:
    """A mail system by its host, or by an endpoint; each mailbox's login is its address unless
    the endpoint says otherwise. A password is looked for in a file unless `secret` says where."""
    scheme = given.partition(":")[0].lower()
    if scheme in FILE_SCHEMES:
        return Side(given, secret or "")
    head, separator, rest = given.partition("://")
    if not separator:
        head, rest = "imaps", given
    place = rest.partition("?")[0]
    url = f"{head}://{rest}" if "@" in place else f"{head}://{{address}}@{rest}"
    host = place.rpartition("@")[2].partition(":")[0]
    known = preset_for(host) if head.lower() in DEFAULT_PORTS and not has_names(host) else ""
    return Side(url, secret or f"file:secrets/{side}/{{address}}", known)


def draft_problems(draft: Draft, now: datetime, imported: str = "") -> PlanErrors | None:
    """Why the draft would be no plan, as seen from `now` (aware); None when it would be one.
    Mistakes of the list have the lines of the `imported` one that it was made from."""
    with tempfile.TemporaryDirectory(prefix="mailhaul-") as name:
        path = Path(name) / "plan.toml"
        _write(path, plan_text(draft, LIST))
        _write(path.parent / LIST, mailboxes_text(draft.mailboxes))
        try:
            load_plan(path, now=now)
        except PlanErrors as error:
            return PlanErrors(_original(mistake, draft, imported) for mistake in error.mistakes)
    return None


def write_draft(draft: Draft, path: Path) -> None:
    """Writes the plan to `path` and its list beside it; both must not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path.parent / LIST, mailboxes_text(draft.mailboxes))
    _write(path, plan_text(draft, LIST))


def keep_in_files(passwords: Sequence[Password], directory: Path) -> None:
    """Writes each password into secrets/SIDE/ADDRESS below `directory`, for its owner's eyes only.
    Raises `BadInput`, before any is written, when one can't be or is there already."""
    places = [(directory / "secrets" / each.side / each.address, each) for each in passwords]
    for place, each in places:
        shown_place = printable(str(place), 200)
        if "/" in each.address or each.secret.reveal() != each.secret.reveal().strip("\r\n\0"):
            raise BadInput(f"{shown_place} can't hold this password; move it into the vault")
        if os.path.lexists(place):
            raise BadInput(f"{shown_place} is there already; move it away, or choose the vault")
    for place, each in places:
        place.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(f"{each.secret.reveal()}\n")


def referring(draft: Draft, reference: str, passwords: Sequence[Password]) -> Draft:
    """The draft with each side that has passwords referring to where they are now: `reference`
    with {side} and {address} in it."""
    moved = {each.side for each in passwords}
    source, target = (
        replace(system, secret=reference.replace("{side}", side)) if side in moved else system
        for side, system in (("source", draft.source), ("target", draft.target))
    )
    return replace(draft, source=source, target=target)


def _original(mistake: Mistake, draft: Draft, imported: str) -> Mistake:
    place = mistake.line - 2
    if mistake.file != LIST or not 0 <= place < len(draft.mailboxes):
        return mistake
    return replace(mistake, file=imported or LIST, line=draft.mailboxes[place].line)


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        file.write(text)
