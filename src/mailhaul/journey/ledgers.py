"""Where the ledgers of an installation are: files on one machine, rows where several must see them.

A mailbox keeps its ledger whatever its endpoints are called: the pair's name in it refuses another.
"""

from pathlib import Path

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.core.lease import Lease
from mailhaul.core.pair import pair_name
from mailhaul.db.database import Database
from mailhaul.db.ledger_rows import LedgerRows
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.trips import SETTLING
from mailhaul.journey.rows import MailboxRow

LEASE = SETTLING - 0.5
"""Seconds after a proof that the mailbox is ours for which we speak to its target. Who takes it
over looks there `SETTLING` seconds later at the earliest; the rest is for the way there."""


def open_ledger(database: Database, directory: Path, row: MailboxRow) -> Ledger:
    """The mailbox's ledger, to be written by whoever holds the row's epoch.

    Raises `Busy` while another process of this machine has the file, `BadInput` when it is another
    pair's; its commits raise `Superseded` once the mailbox has been taken over.
    """
    place = ledger_directory(directory, row)
    if database.is_sqlite:
        return Ledger.open(place, pair_of(row))
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Who held it before may have been cut off this moment, on another machine.
    lease = Lease(LEASE)
    rows = LedgerRows(database.engine.url, row.id, row.epoch, taking_over=True, lease=lease)
    return Ledger(rows, place, quiet=0.0, lease=lease)


def open_back(database: Database, directory: Path, row: MailboxRow, forward: Ledger) -> Ledger:
    """The ledger of the mailbox's way back, for whoever has the `forward` one open. Raises as
    `open_ledger`."""
    place = back_directory(directory, row)
    if database.is_sqlite:
        return Ledger.open(place, pair_of(row))
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    lease, url = forward.lease, database.engine.url
    rows = LedgerRows(url, row.id, row.epoch, back=True, taking_over=True, lease=lease)
    return Ledger(rows, place, quiet=0.0, lease=lease)


def read_ledger(
    database: Database, directory: Path, row: MailboxRow, *, back: bool = False
) -> Ledger:
    """The mailbox's ledger, or that of its way back, to look at; one that isn't there yet is
    empty."""
    place = back_directory(directory, row) if back else ledger_directory(directory, row)
    if database.is_sqlite:
        return Ledger.open(place, pair_of(row), read_only=True)
    return Ledger(LedgerRows(database.engine.url, row.id, row.epoch, back=back), place)


def ledger_directory(directory: Path, row: MailboxRow) -> Path:
    """Where the ledger's file is, and beside it what could not be carried."""
    return directory / "ledgers" / str(row.id)


def back_directory(directory: Path, row: MailboxRow) -> Path:
    """The same for the mailbox's way back."""
    return ledger_directory(directory, row) / "back"


def pair_of(row: MailboxRow) -> str:
    """The name of the row's pair."""
    return pair_name(parse_endpoint(row.source), parse_endpoint(row.target))
