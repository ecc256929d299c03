"""The log of everything that happened: append-only, each record's digest covers the one before.

Who changed, dropped or reordered a record is found by `broken`; who cut off the log's end only by a
head that was kept elsewhere (`Head`, printed in every report). What a plan's webhooks are to be
told is put into their outbox in the same transaction; `webhooks` delivers it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select

from mailhaul.db import tables

GENESIS = "0" * 64
SYSTEM = "mailhaul"
"""The actor of what no person asked for."""

Figure = int | float | str | None


@dataclass(frozen=True, slots=True)
class Record:
    """One event. `figures` are small: counts, ids, states; never a subject or a secret."""

    action: str
    actor: str = SYSTEM
    mailbox: int | None = None
    why: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Logged:
    """A record as it stands in the log."""

    number: int
    at: float
    record: Record
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last record's number and digest; a log that no longer holds it has been cut."""

    number: int
    digest: str


def record(connection: Connection, plan: int, what: Record, at: float) -> int:
    """Appends `what` in the caller's transaction and returns its number.

    Other writers of this plan's log wait until that transaction has ended.
    """
    return record_all(connection, plan, (what,), at)


def record_all(connection: Connection, plan: int, records: Sequence[Record], at: float) -> int:
    """Appends them in their order, as `record` does, in few statements however many they are; the
    last one's number."""
    # Holding the plan's row is what makes numbers and digests follow one another. It is taken after
    # the rows of mailboxes, everywhere, so that two transactions never wait for each other.
    webhooks = json.loads(connection.execute(_HELD_WEBHOOKS, {"plan": plan}).scalar_one())
    before = _head(connection, plan)
    rows: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for what in records:
        number = before.number + 1
        figures = _canonical(dict(what.figures))
        digest = _digest(plan, Logged(number, at, what, before.digest, ""), figures)
        rows.append(
            {
                "plan_id": plan,
                "number": number,
                "at": at,
                "actor": what.actor,
                "mailbox_id": what.mailbox,
                "action": what.action,
                "why": what.why,
                "figures": figures,
                "previous": before.digest,
                "digest": digest,
            }
        )
        told += [
            {"plan_id": plan, "number": number, "webhook": place, "due_at": at}
            for place, actions in enumerate(webhooks)
            if not actions or what.action in actions
        ]
        before = Head(number, digest)
    if rows:
        connection.execute(_INSERT, rows)
    if told:
        connection.execute(insert(tables.delivery), told)
    return before.number


def head(connection: Connection, plan: int) -> Head:
    """Where the log ends."""
    return _head(connection, plan)


def log(connection: Connection, plan: int, after: int = 0) -> Iterator[Logged]:
    """The records after that number, in order."""
    for row in connection.execute(_select(plan, after)):
        yield _logged(row)


def broken(connection: Connection, plan: int, kept: Head | None = None) -> str:
    """What is wrong with the log, naming the first record that is; empty when nothing is.

    With `kept`, a head from earlier, a cut is found too.
    """
    expected = Head(0, GENESIS)
    seen = kept is None or kept.number == 0
    for row in connection.execute(_select(plan, 0)):
        logged = _logged(row)
        if logged.number != expected.number + 1:
            return f"record {expected.number + 1} is gone"
        if logged.previous != expected.digest:
            return f"record {logged.number} does not follow the one before it"
        if logged.digest != _digest(plan, logged, row.figures):
            return f"record {logged.number} has been changed"
        if kept is not None and kept.number == logged.number:
            seen = kept.digest == logged.digest
            if not seen:
                return f"record {logged.number} is not the one that was kept"
        expected = Head(logged.number, logged.digest)
    return "" if seen or kept is None else f"the log ends before record {kept.number}"


def _select(plan: int, after: int) -> Select[Any]:
    table = tables.event
    return (
        select(table)
        .where(table.c.plan_id == plan, table.c.number > after)
        .order_by(table.c.number)
        .execution_options(yield_per=1000)
    )


_INSERT = insert(tables.event)
_HELD_WEBHOOKS = (
    select(tables.plan.c.webhooks)
    .where(tables.plan.c.id == bindparam("plan"))
    .with_for_update(key_share=True)
)
_LAST = select(tables.event.c.number, tables.event.c.digest).where(
    tables.event.c.plan_id == bindparam("plan"),
    tables.event.c.number
    == select(func.max(tables.event.c.number))
    .where(tables.event.c.plan_id == bindparam("plan"))
    .scalar_subquery(),
)


def _head(connection: Connection, plan: int) -> Head:
    row = connection.execute(_LAST, {"plan": plan}).one_or_none()
    return Head(0, GENESIS) if row is None else Head(row.number, row.digest)


def _digest(plan: int, logged: Logged, figures: str) -> str:
    what = logged.record
    body = _canonical(
        [plan, logged.number, logged.at, what.actor, what.mailbox, what.action, what.why, figures]
    )
    return hashlib.sha256(f"{logged.previous}{body}".encode()).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _logged(row: Row[Any]) -> Logged:
    what = Record(row.action, row.actor, row.mailbox_id, row.why, json.loads(row.figures))
    return Logged(row.number, row.at, what, row.previous, row.digest)
