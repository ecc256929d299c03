"""What a pass leaves that was cut, killed, or taken over amid its work: figures and reasons."""

import asyncio
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from mailhaul.core.errors import Disconnected
from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.lease import Lease
from mailhaul.db import tables
from mailhaul.db.ledger_rows import LedgerRows
from mailhaul.engine.ledger import Ledger
from mailhaul.journey.carrying import _begin
from mailhaul.journey.course import Kind
from mailhaul.journey.ledgers import open_ledger
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.states import State
from tests.journey.house import House, letter, plan_of
from tests.servers.postgres import Postgres


class KilledError(BaseException):
    """kill -9, as far as a process can do that to itself."""


def at_target(found: House) -> list[bytes]:
    return [each.data for each in found.targets["anna"].messages(INBOX_PATH)]


def deliver(found: House, name: str, count: int) -> None:
    for number in range(count):
        found.sources["anna"].deliver(letter(f"{name} {number}"), INBOX_PATH)


def cut(found: House, directory: Path) -> None:
    raise Disconnected("cut", after=0.0)


def kill(found: House, directory: Path) -> None:
    """What lies on the disk at this moment is what is left."""
    shutil.copytree(found.directory, directory)
    raise KilledError


ENDS: dict[str, Callable[[House, Path], None]] = {
    "its connection was cut": cut,
    "its process was killed": kill,
}


@pytest.mark.parametrize(
    ("name", "state", "again"),
    [
        ("its connection was cut", State.READY, 1),
        ("its connection was cut", State.SYNCED, 1),
        ("its process was killed", State.READY, 2),
        ("its process was killed", State.SYNCED, 1),
    ],
)
async def test_what_was_in_flight_counts_among_what_its_pass_carried(
    name: str, state: State, again: int, tmp_path: Path
) -> None:
    found = House(tmp_path / "home", plan_of())
    found.means = replace(found.means, look_seconds=100.0)
    deliver(found, "early", 10)
    await found.drive(state)
    deliver(found, "late", 20)
    before, ends = len(at_target(found)), 0

    def ended(side: str, operation: str, folder: str) -> None:
        nonlocal ends
        if operation == "after append" and ends < again and len(at_target(found)) > before + ends:
            ends += 1
            ENDS[name](found, tmp_path / f"left {ends}")

    found.wrong["anna"] = ended
    while ends < again:
        try:
            await found.drive(hours=100)
        except KilledError:
            found.database.engine.dispose()
            shutil.rmtree(found.directory)
            shutil.copytree(tmp_path / f"left {ends}", found.directory)
    await found.drive(hours=100)
    row, there, passes = found.row(), at_target(found), found.rows("passes")
    assert len(there) == len({*there}) == 33
    assert (row.state, row.copied, row.octets) == (State.SYNCED, 33, sum(map(len, there)))
    assert sum(each.carried for each in passes) == 33
    assert sum(each.octets for each in passes) == row.octets
    carrying = passes[0 if state is State.READY else 1]
    assert carrying.carried == 33 - before
    assert all(each.outcome == "complete" for each in passes)


async def test_two_that_begin_at_the_same_moment_come_to_different_epochs(
    tmp_path: Path, postgres: Postgres
) -> None:
    found = House(tmp_path, plan_of(), database_url=postgres.database())
    await found.drive(State.SYNCED)
    row = found.row()
    with ThreadPoolExecutor(1) as pool:
        with found.database.begin() as connection:
            first, _ = _begin(connection, row, Kind.DELTA, found.hand.time)
            other = pool.submit(_begun, found)
            await asyncio.sleep(0.5)
            assert not other.done()
        second = other.result(10)
    assert (first.epoch, second.epoch) == (row.epoch + 1, row.epoch + 2)
    assert first.passes == second.passes == row.passes + 1


def _begun(found: House) -> MailboxRow:
    with found.database.begin() as connection:
        return _begin(connection, found.row(), Kind.DELTA, found.hand.time)[0]


async def test_whoever_learns_that_it_was_taken_over_says_not_a_word_more(
    tmp_path: Path, postgres: Postgres
) -> None:
    """By its look at the mailbox's row: not even what would end a message, and no trouble."""
    found = House(tmp_path, plan_of(), database_url=postgres.database())
    deliver(found, "more", 300)
    await found.drive(State.READY)
    leases: list[Lease] = []
    held: list[bool] = []

    def opened(row: MailboxRow) -> Ledger:
        ledger = open_ledger(found.database, found.directory, row)
        assert ledger.lease is not None
        leases.append(ledger.lease)
        return ledger

    def taken_over(side: str, operation: str, folder: str) -> None:
        time.sleep(0.002)
        if operation == "after append" and len(at_target(found)) == 5:
            held.append(leases[0].holds)
            with found.database.begin() as connection:
                connection.execute(update(tables.mailbox).values(epoch=100))

    found.means = replace(found.means, open_ledger=opened)
    found.wrong["anna"] = taken_over
    await found.run(found.row())
    row = found.row()
    assert (row.state, row.failures, row.reason, row.epoch) == (State.COPYING, 0, "", 100)
    assert len(at_target(found)) < 303
    (lease,) = leases
    lease.proven(lease.now())
    assert (held, lease.holds) == ([True], False)


async def test_whoever_was_taken_over_tells_no_trouble_of_the_mailbox(
    tmp_path: Path, postgres: Postgres
) -> None:
    """Its successor ended its session with the ledger, which looks like a database that is away."""
    found = House(tmp_path, plan_of(), database_url=postgres.database())
    found.means = replace(found.means, look_seconds=100.0)
    await found.drive(State.READY)
    heirs: list[LedgerRows] = []

    def taken_over(side: str, operation: str, folder: str) -> None:
        if operation == "after append" and not heirs:
            row = found.row()
            with found.database.begin() as connection:
                connection.execute(update(tables.mailbox).values(epoch=row.epoch + 1))
            url = found.database.engine.url
            heirs.append(LedgerRows(url, row.id, row.epoch + 1, taking_over=True))

    found.wrong["anna"] = taken_over
    told = found.told()
    await found.run(found.row())
    row = found.row()
    assert (row.state, row.failures, row.reason, row.step) == (State.COPYING, 0, "", 0)
    assert [each.record.action for each in found.told()[len(told) :]] == ["begun"]
    heirs[0].close()
    found.hand.time += 1
    await found.drive(State.SYNCED)
    assert len(at_target(found)) == found.row().copied == 3
