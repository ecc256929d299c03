"""The ledger on PostgreSQL: as the one in a file, for one mailbox only, and fenced."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from mailhaul.core.errors import Disconnected, Superseded
from mailhaul.core.lease import Lease
from mailhaul.core.message import Entry, Key
from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.db.ledger_rows import LedgerRows
from mailhaul.db.migrate import migrate
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.ledger_file import FileRows, connect
from mailhaul.engine.outcomes import Delete, Finished, Options, Side
from mailhaul.engine.passes import run_pass
from mailhaul.engine.undoing import undo
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryMailbox
from tests.engine.notation import fill, octets, path_of, shown
from tests.servers.postgres import Postgres

KEYS = st.one_of(
    st.integers(min_value=0, max_value=2**40),
    st.text(st.characters(exclude_categories=()), max_size=12),
)


@pytest.fixture(scope="module")
def database(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Two mailboxes, 1 and 2."""
    opened = open_database(postgres.database(), tmp_path_factory.mktemp("state"))
    migrate(opened)
    with opened.begin() as connection:
        connection.execute(
            insert(tables.plan).values(
                id=1, name="plan", text="{}", directory="/", state="running",
                webhooks="[]", loaded_at=0,
            )
        )  # fmt: skip
        for number in (1, 2):
            connection.execute(
                insert(tables.mailbox).values(
                    id=number, plan_id=1, position=number, address=f"a{number}", wave="",
                    source="", target="", state="copying", since_at=0,
                )
            )  # fmt: skip
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _empty(database: Database) -> None:
    with database.begin() as connection:
        ledgers = (tables.ledger_intent, tables.ledger_message, tables.ledger_folder)
        for table in (*ledgers, tables.ledger_meta):
            connection.execute(table.delete())
        connection.execute(update(tables.mailbox).values(epoch=0))


def rows(database: Database, mailbox: int = 1, epoch: int = 0) -> LedgerRows:
    return LedgerRows(database.engine.url, mailbox, epoch)


def contents(ledger: Ledger) -> list[object]:
    return [
        (
            folder.source,
            folder.target,
            [
                (
                    *(each.source_key, each.target_key, each.fate, each.flags, each.size),
                    *(each.received, each.identity, each.digest, each.reason, each.passed),
                )
                for each in ledger.rows(folder)
            ],
        )
        for folder in ledger.folders()
    ]


async def story(ledger: Ledger) -> tuple[object, list[object]]:
    """Passes with life in between; what the target and the ledger hold at last."""
    source, target = MemoryMailbox(), MemoryMailbox()
    names = fill(source, "INBOX: A B:S C*2 | Work^: D:F+$Label E | Old: F")
    names |= fill(target, "INBOX: X B | Work:")

    async def go(number: int, options: Options = Options()) -> None:  # noqa: B008 - frozen
        ledger.number = number
        async for event in run_pass(MemorySource(source), MemoryTarget(target), ledger, options):
            last = event
        assert isinstance(last, Finished)
        assert last.complete, last.unfinished

    def uid(mailbox: MemoryMailbox, folder: str, name: str) -> int:
        found = mailbox.messages(path_of(folder))
        return next(each.uid for each in found if each.data == octets(name))

    await go(1)
    names |= fill(source, "INBOX: G | New: H")
    source.flag(uid(source, "INBOX", "A"), frozenset({"\\Seen"}), frozenset())
    target.move(uid(target, "Work", "E"), path_of("Work"), path_of("INBOX"))
    await go(2)
    source.renumber(path_of("INBOX"))
    await go(3)
    target.renumber(path_of("Work"))
    names |= fill(source, "Work: I")
    await go(4)
    source.expunge(uid(source, "Old", "F"), path=path_of("Old"))
    await go(5, Options(delete=Delete.MIRROR))
    undone = [each async for each in undo(MemoryTarget(target), ledger, 4, "undone")]
    assert sum(each.removed for each in undone) == 2
    await go(6)
    return shown(target, names), contents(ledger)


async def test_it_holds_what_one_in_a_file_holds(database: Database, tmp_path: Path) -> None:
    with Ledger(FileRows(connect(tmp_path, "pair")), tmp_path) as ledger:
        expected = await story(ledger)
    with Ledger(rows(database), tmp_path) as ledger:
        assert await story(ledger) == expected
    with Ledger(rows(database), tmp_path) as ledger:
        assert contents(ledger) == expected[1]


async def cut_off(ledger: Ledger) -> tuple[object, list[object]]:
    """A run that ends amid sending, with an intent of an earlier mailhaul beside its own; what was
    on its way is deleted at the source, and another run looks."""
    source, target = MemoryMailbox(), MemoryMailbox(Habits(window=100))
    names = fill(source, "INBOX: A B:S C")
    sent = 0

    def strike(operation: str, folder: str) -> None:
        nonlocal sent
        sent += operation == "after append"
        if sent == 2:
            raise OSError("gone")

    async def go(target: MemoryTarget) -> None:
        ledger.quiet = 60.0
        async for _ in run_pass(MemorySource(source), target, ledger, Options()):
            pass

    with pytest.raises(OSError, match="gone"):
        await go(MemoryTarget(target, strike))
    (folder,) = ledger.folders()
    ledger._sql.execute("INSERT INTO intent VALUES (?, ?)", (folder.id, "[1, 2]"))
    ledger.commit()
    (first,) = (each for each in source.messages() if each.data == octets("B"))
    source.expunge(first.uid)
    await go(MemoryTarget(target))
    assert [row.target_key for row in ledger.orphans(folder)] == [2]
    assert ledger.unsettled() == set()
    return shown(target, names), contents(ledger)


async def test_what_was_on_its_way_is_known_as_in_a_file(
    database: Database, tmp_path: Path
) -> None:
    with Ledger(FileRows(connect(tmp_path, "pair")), tmp_path) as ledger:
        expected = await cut_off(ledger)
    with Ledger(rows(database), tmp_path) as ledger:
        assert await cut_off(ledger) == expected


async def test_mailboxes_see_nothing_of_each_other(database: Database, tmp_path: Path) -> None:
    with Ledger(rows(database, 1), tmp_path) as one, Ledger(rows(database, 2), tmp_path) as two:
        expected = await story(one)
        assert contents(two) == []
        assert two.fates() == {}
        assert await story(two) == expected
        assert contents(one) == expected[1]


def test_what_stores_remember_comes_back_to_their_mailbox(
    database: Database, tmp_path: Path
) -> None:
    with Ledger(rows(database, 1), tmp_path) as one, Ledger(rows(database, 2), tmp_path) as two:
        one.remember(Side.SOURCE, "one's")
        two.remember(Side.SOURCE, "two's")
        one.remember(Side.SOURCE, "one's, later")
    with Ledger(rows(database, 1), tmp_path) as one, Ledger(rows(database, 2), tmp_path) as two:
        assert (one.memory(Side.SOURCE), one.memory(Side.TARGET)) == ("one's, later", "")
        assert (two.memory(Side.SOURCE), two.memory(Side.TARGET)) == ("two's", "")


def test_a_writer_of_an_earlier_epoch_is_refused(database: Database, tmp_path: Path) -> None:
    stale = Ledger(rows(database), tmp_path)
    folder = stale.link(("INBOX",), ("INBOX",))
    stale.commit()
    with database.begin() as connection:
        connection.execute(update(tables.mailbox).where(tables.mailbox.c.id == 1).values(epoch=1))
    with pytest.raises(Superseded):
        stale.intend(folder, [Entry(1)])
    stale.close()
    with Ledger(rows(database, epoch=1), tmp_path) as ledger:
        assert [each.source for each in ledger.folders()] == [("INBOX",)]
        assert ledger.unsettled() == set()


def test_who_takes_over_waits_for_a_commit_under_way(database: Database, tmp_path: Path) -> None:
    """The check and the commit are one: the epoch can't change in between."""
    holder = rows(database)
    holder._sql.execute(
        "SELECT 1 FROM public.mailbox WHERE id = 1 AND epoch = 0 FOR SHARE"
    ).fetchone()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '100ms'")
        with pytest.raises(Exception, match="lock timeout"):
            connection.execute(update(tables.mailbox).values(epoch=1))
    holder.close()


def test_once_superseded_nobody_goes_on_with_what_was_rolled_back(
    database: Database, tmp_path: Path
) -> None:
    """Folders share the connection: what one of them had not committed is gone for all."""
    stale = Ledger(rows(database), tmp_path)
    folder = stale.link(("Work",), ("Work",))
    with database.begin() as connection:
        connection.execute(update(tables.mailbox).where(tables.mailbox.c.id == 1).values(epoch=1))
    for _ in range(2):
        with pytest.raises(Superseded):
            stale.intend(folder, [Entry(1)])
    stale.close()


def test_who_takes_over_does_not_wait_for_whom_it_takes_over_from(
    database: Database, tmp_path: Path
) -> None:
    """A worker that hangs, or whose machine is gone, may have written half of a batch."""
    first = LedgerRows(database.engine.url, 1, 0, taking_over=True)
    hanging = Ledger(first, tmp_path)
    hanging.link(("INBOX",), ("INBOX",))
    with database.begin() as connection:
        connection.execute(update(tables.mailbox).where(tables.mailbox.c.id == 1).values(epoch=1))
    second = LedgerRows(database.engine.url, 1, 1, taking_over=True)
    second.execute("SET lock_timeout = '5s'")
    with Ledger(second, tmp_path) as ledger:
        ledger.link(("INBOX",), ("INBOX",))
        ledger.commit()
        with pytest.raises(Disconnected):
            hanging.commit()
        with pytest.raises(Superseded):
            LedgerRows(database.engine.url, 1, 0, taking_over=True)
        assert [each.source for each in ledger.folders()] == [("INBOX",)]
    hanging.close()


def test_commits_prove_the_lease_as_of_before_they_were_asked(database: Database) -> None:
    now = 0.0

    def a_second() -> float:
        nonlocal now
        now += 1.0
        return now

    lease = Lease(10.0, a_second)
    held = LedgerRows(database.engine.url, 1, 0, taking_over=True, lease=lease)
    assert (lease.holds, now) == (True, 2.0)
    held.commit()
    now = 12.5
    # Asked at 3: over at 13.
    assert not lease.holds
    held.commit()
    assert lease.holds
    with database.begin() as connection:
        connection.execute(update(tables.mailbox).where(tables.mailbox.c.id == 1).values(epoch=1))
    now = 50.0
    with pytest.raises(Superseded):
        held.commit()
    assert not lease.holds
    held.close()


def test_a_database_that_is_away_is_a_cut(tmp_path: Path) -> None:
    with Postgres() as server:
        database = open_database(server.database(), tmp_path)
        migrate(database)
        reached = LedgerRows(database.engine.url, 1, 0)
        server.stop()
        with pytest.raises(Disconnected, match="database is away"):
            reached.execute("SELECT 1")
        with pytest.raises(Disconnected, match="database is away"):
            LedgerRows(database.engine.url, 1, 0)
        database.close()


@settings(deadline=None)
@given(st.lists(KEYS, max_size=8))
def test_keys_come_back_and_keep_their_order(keys: list[Key]) -> None:
    for key in keys:
        assert LedgerRows.key(LedgerRows.stored(key)) == key
    numbers = sorted(key for key in keys if isinstance(key, int))
    names = sorted(key for key in keys if isinstance(key, str))
    for ordered in (numbers, names):
        stored = [LedgerRows.stored(key) for key in ordered]
        assert all(each is not None for each in stored)
        assert stored == sorted(each for each in stored if each is not None)
    assert LedgerRows.stored(None) is None
    assert LedgerRows.key(None) is None
