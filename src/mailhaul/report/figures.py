"""The figures of a report: one value, from which page, table and JSON are all written.

Everything comes from rows that passes and people have written, so that it is right after any
crash. Accounts are summed as `status` sums them (`journey.account`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from mailhaul.db import tables
from mailhaul.journey.account import Account, account_of, total
from mailhaul.journey.events import Head, head
from mailhaul.journey.rows import MailboxRow, from_row


@dataclass(frozen=True, slots=True)
class FolderFigures:
    """One folder: where it went, and its accounting."""

    source: str
    target: str
    account: Account


@dataclass(frozen=True, slots=True)
class PassFigures:
    """One pass. Moments are seconds since 1970; `waits` are seconds by cause."""

    number: int
    kind: str
    began_at: float
    ended_at: float | None
    outcome: str
    carried: int
    flagged: int
    removed: int
    octets: int
    census: int
    waits: dict[str, float]
    unfinished: tuple[str, ...]
    notes: tuple[str, ...]
    undone_at: float | None

    @property
    def seconds(self) -> float | None:
        return None if self.ended_at is None else max(self.ended_at - self.began_at, 0.0)

    @property
    def rate(self) -> float | None:
        """Messages carried a second; None when nothing was, or it isn't over."""
        seconds = self.seconds
        return self.carried / seconds if seconds and self.carried else None


@dataclass(frozen=True, slots=True)
class LeftoverFigures:
    """A message that was not carried, why, and who accepted that."""

    folder: str
    key: str
    fate: str
    reason: str
    subject: str
    saved: str
    approved_by: str | None
    approved_at: float | None


@dataclass(frozen=True, slots=True)
class DifferenceFigures:
    """What verification found: kinds of `note` are explained by name."""

    kind: str
    severity: str
    folder: str
    detail: str
    subject: str
    count: int


@dataclass(frozen=True, slots=True)
class FindingFigures:
    """What the check found before anything was moved."""

    code: str
    severity: str
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class MoveFigures:
    """How its account was moved at its providers, as far as it is. `temporary` is what the old
    account is called since; `nowhere` for how many seconds, at the most, the address was neither
    here nor there, and `guarded` whether something took its mail meanwhile."""

    path: str
    state: str
    agreed_by: str
    agreed_at: float | None
    moved_at: float | None
    temporary: str
    nowhere: float | None
    guarded: bool
    retired_by: str
    retired_at: float | None


@dataclass(frozen=True, slots=True)
class MailboxFigures:
    """One mailbox, whole. `move` None: its account was left alone."""

    address: str
    wave: str
    source: str
    target: str
    state: str
    reason: str
    grade: str
    account: Account
    octets: int
    folders: tuple[FolderFigures, ...] = ()
    passes: tuple[PassFigures, ...] = ()
    leftovers: tuple[LeftoverFigures, ...] = ()
    differences: tuple[DifferenceFigures, ...] = ()
    findings: tuple[FindingFigures, ...] = ()
    move: MoveFigures | None = None

    @property
    def reasons(self) -> dict[str, int]:
        """How many messages were not carried, by fate and reason."""
        counts: dict[str, int] = {}
        for each in self.leftovers:
            text = f"{each.fate}: {each.reason}"
            counts[text] = counts.get(text, 0) + 1
        return counts


@dataclass(frozen=True, slots=True)
class GateFigures:
    """An opened gate: who gave the word, when, and to what."""

    wave: str
    name: str
    opened_by: str
    login: str
    opened_at: float
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """A plan's report. `head` is where the log ended when it was drawn."""

    plan: str
    state: str
    drawn_at: float
    started_at: float | None
    ended_at: float | None
    time_zone: str
    head: Head
    mailboxes: tuple[MailboxFigures, ...] = ()
    gates: tuple[GateFigures, ...] = ()
    grades: dict[str, int] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return total(mailbox.account for mailbox in self.mailboxes)

    @property
    def octets(self) -> int:
        return sum(mailbox.octets for mailbox in self.mailboxes)

    @property
    def passes(self) -> int:
        return sum(len(mailbox.passes) for mailbox in self.mailboxes)

    @property
    def waits(self) -> dict[str, float]:
        """Seconds waited by cause, over all mailboxes."""
        causes: dict[str, float] = {}
        for mailbox in self.mailboxes:
            for each in mailbox.passes:
                for cause, seconds in each.waits.items():
                    causes[cause] = causes.get(cause, 0.0) + seconds
        return causes


def draw(
    connection: Connection, plan: int, *, at: float, time_zone: str, addresses: Sequence[str] = ()
) -> Report:
    """The report of that plan as its rows stand, of those mailboxes only if any are named.

    Raises KeyError when there is no such plan.
    """
    found = connection.execute(select(tables.plan).where(tables.plan.c.id == plan)).one_or_none()
    if found is None:
        raise KeyError(plan)
    wanted = select(tables.mailbox).where(tables.mailbox.c.plan_id == plan)
    if addresses:
        wanted = wanted.where(tables.mailbox.c.address.in_(addresses))
    rows = [from_row(row) for row in connection.execute(wanted.order_by(tables.mailbox.c.position))]
    mailboxes = tuple(_mailboxes(connection, plan, rows))
    grades: dict[str, int] = {}
    for mailbox in mailboxes:
        if mailbox.grade:
            grades[mailbox.grade] = grades.get(mailbox.grade, 0) + 1
    return Report(
        plan=found.name,
        state=found.state,
        drawn_at=at,
        started_at=found.started_at,
        ended_at=found.ended_at,
        time_zone=time_zone,
        head=head(connection, plan),
        mailboxes=mailboxes,
        gates=tuple(_gates(connection, plan)),
        grades=grades,
    )


def _mailboxes(
    connection: Connection, plan: int, rows: Sequence[MailboxRow]
) -> Iterable[MailboxFigures]:
    def by_mailbox(table: Table, *order: str) -> dict[int, list[Row[Any]]]:
        # One query a table, not one a mailbox: a plan has up to 10,000 of them.
        own = select(tables.mailbox.c.id).where(tables.mailbox.c.plan_id == plan)
        query = select(table).where(table.c.mailbox_id.in_(own))
        grouped: dict[int, list[Row[Any]]] = {}
        for row in connection.execute(query.order_by(*(table.c[name] for name in order))):
            grouped.setdefault(row.mailbox_id, []).append(row)
        return grouped

    folders = by_mailbox(tables.folder, "source")
    passes = by_mailbox(tables.passes, "number")
    leftovers = by_mailbox(tables.leftover, "folder", "key")
    differences = by_mailbox(tables.difference, "id")
    findings = by_mailbox(tables.finding, "id")
    moved = by_mailbox(tables.account_move, "id")
    for row in rows:
        yield MailboxFigures(
            address=row.address,
            wave=row.wave,
            source=row.source,
            target=row.target,
            state=row.state.value,
            reason=row.reason,
            grade=row.grade,
            account=account_of(row),
            octets=row.octets,
            folders=tuple(
                FolderFigures(each.source, each.target, account_of(each))
                for each in folders.get(row.id, ())
            ),
            passes=tuple(_pass(each) for each in passes.get(row.id, ())),
            leftovers=tuple(
                LeftoverFigures(*(getattr(each, name) for name in LeftoverFigures.__slots__))
                for each in leftovers.get(row.id, ())
            ),
            differences=tuple(_difference(each) for each in differences.get(row.id, ())),
            findings=tuple(
                FindingFigures(each.code, each.severity, each.evidence, each.remedy)
                for each in findings.get(row.id, ())
            ),
            # There is one at most, and none where the plan leaves accounts alone.
            move=next((_move(each) for each in moved.get(row.id, ())), None),
        )


def _move(row: Row[Any]) -> MoveFigures:
    begins, ends = row.nowhere_from, row.nowhere_until
    return MoveFigures(
        path=row.path,
        state=row.state,
        agreed_by=row.acknowledged_by or "",
        agreed_at=row.acknowledged_at,
        moved_at=row.moved_at,
        temporary=row.temporary,
        nowhere=None if begins is None or ends is None else ends - begins,
        guarded=row.guarded,
        retired_by=row.retired_by or "",
        retired_at=row.retired_at,
    )


def _difference(row: Row[Any]) -> DifferenceFigures:
    # A row is a tuple, whose own `count` would come first.
    count = row._mapping["count"]
    return DifferenceFigures(
        row.kind, row.severity, row.folder, row.detail, row.subject, int(count)
    )


def _pass(row: Row[Any]) -> PassFigures:
    return PassFigures(
        number=row.number,
        kind=row.kind,
        began_at=row.began_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        carried=row.carried,
        flagged=row.flagged,
        removed=row.removed,
        octets=row.octets,
        census=row.census,
        waits=dict(row.waits),
        unfinished=tuple(row.unfinished),
        notes=tuple(row.notes),
        undone_at=row.undone_at,
    )


def _gates(connection: Connection, plan: int) -> Iterable[GateFigures]:
    table = tables.gate
    query = select(table).where(table.c.plan_id == plan).order_by(table.c.opened_at)
    for row in connection.execute(query):
        yield GateFigures(row.wave, row.name, row.opened_by, row.login, row.opened_at, row.text)
