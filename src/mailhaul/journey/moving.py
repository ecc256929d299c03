"""Moves an installation from one machine's files to PostgreSQL, where it has outgrown them.

Everything is copied in one transaction: plans, journeys, the log with its digests, every ledger.
The workflow engine's own database stays behind: its runs are enqueued anew from the rows. Nobody
may work meanwhile; the caller holds the installation's slot.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text

from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.db.ledger_rows import LedgerRows
from mailhaul.engine import ledger_file
from mailhaul.journey.ledgers import back_directory, ledger_directory, pair_of
from mailhaul.journey.rows import MailboxRow, from_row

ROWS_AT_ONCE = 2000
_FOLDER = (
    *("id", "source", "target", "source_state", "source_cursor", "source_anchor"),
    *("target_tail", "target_seen", "target_anchor", "subscribed"),
)
_MESSAGE = (
    *("folder", "source_key", "target_key", "fate", "flags", "size", "received"),
    *("identity", "named", "digest", "reason", "pass"),
)
_LEDGERS = (
    *(tables.ledger_folder, tables.ledger_message, tables.ledger_intent),
    tables.ledger_meta,  # what stores remember they can find out anew
)


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied."""

    plans: int
    mailboxes: int
    messages: int
    """Rows of ledgers."""


def move(source: Database, target: Database, directory: Path) -> Moved:
    """Copies the installation whose files are in `directory` and whose tables are in `source` into
    the empty tables of `target`. All or nothing.

    Raises `BadInput` when the target holds a plan already, or a ledger can't be read.
    """
    assert source.is_sqlite
    assert not target.is_sqlite
    with source.begin() as old, target.begin() as new:
        if new.execute(select(func.count()).select_from(tables.plan)).scalar_one():
            raise BadInput("that database holds plans already; name an empty one with --database")
        for table in tables.metadata.sorted_tables:
            if table not in _LEDGERS:
                _copy(new, table, (dict(row._mapping) for row in old.execute(select(table))))
        rows = [from_row(row) for row in old.execute(select(tables.mailbox))]
        messages = sum(_ledger(new, directory, row, back) for row in rows for back in (False, True))
        for table in tables.metadata.sorted_tables:
            _number_on(new, table)
        plans = new.execute(select(func.count()).select_from(tables.plan)).scalar_one()
    return Moved(plans, len(rows), messages)


def _copy(new: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    left = iter(rows)
    while batch := list(islice(left, ROWS_AT_ONCE)):
        new.execute(insert(table), batch)
        count += len(batch)
    return count


def _ledger(new: Connection, directory: Path, row: MailboxRow, back: bool) -> int:
    """Copies one mailbox's ledger, or that of its way back; how many messages it knows."""
    place = back_directory(directory, row) if back else ledger_directory(directory, row)
    with closing(ledger_file.look(place, pair_of(row))) as old:
        numbers: dict[int, int] = {}
        for values in old.execute(f"SELECT {', '.join(_FOLDER)} FROM folder"):  # noqa: S608 - constants
            folder = dict(zip(_FOLDER, values, strict=True))
            number = folder.pop("id")
            made = new.execute(
                insert(tables.ledger_folder)
                .values(mailbox_id=row.id, back=back, **folder)
                .returning(tables.ledger_folder.c.id)
            )
            numbers[number] = made.scalar_one()

        def messages() -> Iterator[Mapping[str, Any]]:
            query = f"SELECT {', '.join(_MESSAGE)} FROM message ORDER BY rowid"  # noqa: S608 - constants
            for values in old.execute(query):
                message = dict(zip(_MESSAGE, values, strict=True))
                message["folder"] = numbers[message["folder"]]
                for name in ("source_key", "target_key"):
                    message[name] = LedgerRows.stored(message[name])
                yield message

        count = _copy(new, tables.ledger_message, messages())
        intents = (
            {"folder": numbers[folder], "keys": keys}
            for folder, keys in old.execute("SELECT folder, keys FROM intent")
        )
        _copy(new, tables.ledger_intent, intents)
    return count


def _number_on(new: Connection, table: Table) -> None:
    """What is inserted next gets the next number."""
    if "id" not in table.c or table.c.id.identity is None:
        return
    last = new.execute(select(func.max(table.c.id))).scalar_one()
    if last is not None:
        new.execute(
            text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"),
            {"name": table.name, "last": last},
        )
