"""One mailbox in detail: its row, its passes, what was not carried, what was found."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from mailhaul.db import tables
from mailhaul.journey.rows import MailboxRow

MOST = 1000
"""Of leftovers and differences at most so many are read."""


@dataclass(frozen=True, slots=True)
class PassDone:
    """A row of `db.tables.passes`."""

    number: int
    kind: str
    began_at: float
    ended_at: float | None
    outcome: str
    carried: int
    flagged: int
    removed: int
    octets: int
    undone_at: float | None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A message that was refused or is missing."""

    folder: str
    key: str
    fate: str
    reason: str
    subject: str
    approved_by: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """What the check or the verification says about the mailbox."""

    severity: str
    what: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """All that is kept of a mailbox but its folders and its log."""

    row: MailboxRow
    passes: tuple[PassDone, ...]
    leftovers: tuple[Leftover, ...]
    findings: tuple[Found, ...]
    differences: tuple[Found, ...]


def details(connection: Connection, row: MailboxRow) -> Details:
    """The mailbox in detail."""
    passes, leftover = tables.passes, tables.leftover
    finding, difference = tables.finding, tables.difference
    return Details(
        row,
        tuple(
            PassDone(
                each.number,
                each.kind,
                each.began_at,
                each.ended_at,
                each.outcome,
                each.carried,
                each.flagged,
                each.removed,
                each.octets,
                each.undone_at,
            )
            for each in connection.execute(
                select(passes).where(passes.c.mailbox_id == row.id).order_by(passes.c.number)
            )
        ),
        tuple(
            Leftover(each.folder, each.key, each.fate, each.reason, each.subject, each.approved_by)
            for each in connection.execute(
                select(leftover)
                .where(leftover.c.mailbox_id == row.id)
                .order_by(leftover.c.folder, leftover.c.key)
                .limit(MOST)
            )
        ),
        tuple(
            Found(each.severity, each.code, each.evidence, each.remedy)
            for each in connection.execute(
                select(finding).where(finding.c.mailbox_id == row.id).order_by(finding.c.id)
            )
        ),
        tuple(
            Found(each.severity, each.kind, f"{each.folder}: {each.detail}")
            for each in connection.execute(
                select(difference)
                .where(difference.c.mailbox_id == row.id)
                .order_by(difference.c.id)
                .limit(MOST)
            )
        ),
    )
