"""An installation is moved from files to PostgreSQL, and nothing of it is lost or changed."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from mailhaul.core.errors import BadInput
from mailhaul.core.folder import Cursor
from mailhaul.core.message import Entry
from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.db.migrate import migrate
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Options
from mailhaul.engine.passes import run_pass
from mailhaul.journey.events import Record, broken, head, record
from mailhaul.journey.ledgers import open_back, open_ledger, read_ledger
from mailhaul.journey.moving import move
from mailhaul.journey.rows import MailboxRow, mailbox
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.engine.notation import fill
from tests.servers.postgres import Postgres

Installation = tuple[Database, list[tuple[MemoryMailbox, MemoryMailbox]]]
STORIES = ("INBOX: A B:S C*2 | Work^: D:F E", "INBOX: | Alt: F", "")


async def carry(ledger: Ledger, source: MemoryMailbox, target: MemoryMailbox) -> int:
    writes = 0
    async for event in run_pass(MemorySource(source), MemoryTarget(target), ledger, Options()):
        writes = getattr(event, "wire_writes", writes)
    return writes


def contents(ledger: Ledger) -> list[object]:
    return [(row.source, row.target, row.source_state, row.source_cursor, row.source_anchor,
             row.target_tail, row.target_seen, row.target_anchor, row.subscribed,
             [(each.source_key, each.target_key, each.fate, each.flags, each.size, each.received,
               each.identity, each.digest, each.reason, each.passed)
              for each in ledger.rows(row)])
            for row in ledger.folders()]  # fmt: skip


def whole(connection: Connection) -> dict[str, list[object]]:
    return {
        table.name: [
            tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
        ]
        for table in tables.metadata.sorted_tables
        if not table.name.startswith("ledger_")
    }


def rows(database: Database) -> list[MailboxRow]:
    with database.begin() as connection:
        numbers = connection.execute(select(tables.mailbox.c.id)).scalars().all()
        return [mailbox(connection, number) for number in numbers]


@pytest.fixture
async def installation(tmp_path: Path) -> Installation:
    """Three mailboxes with ledgers as passes left them, one amid what was being sent."""
    database = open_database(None, tmp_path)
    migrate(database)
    with database.begin() as connection:
        connection.execute(
            insert(tables.plan).values(
                id=7, name="plan", text="{}", directory="/", state="paused", webhooks="[]",
                loaded_at=0,
            )
        )  # fmt: skip
        for number, _ in enumerate(STORIES, start=11):
            connection.execute(
                insert(tables.mailbox).values(
                    id=number, plan_id=7, position=number, address=f"a{number}",
                    source=f"imaps://a{number}@old.example", target=f"imaps://a{number}@new.example",
                    state="synced", since_at=0, epoch=3,
                )
            )  # fmt: skip
            record(connection, 7, Record("loaded", mailbox=number, why="ü", figures={"n": 1}), 5.5)
    pairs = []
    for row, story in zip(rows(database), STORIES, strict=True):
        pair = MemoryMailbox(), MemoryMailbox()
        fill(pair[0], story)
        with open_ledger(database, tmp_path, row) as ledger:
            await carry(ledger, *pair)
            if ledger.folders():
                ledger.intend(ledger.folders()[0], [Entry(1), Entry(2)], Cursor("T 1 9"), 1)
            with open_back(database, tmp_path, row, ledger) as back:
                await carry(back, *pair)
        pairs.append(pair)
    return database, pairs


async def test_everything_is_there_and_goes_on(
    installation: Installation,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    source, pairs = installation
    target = open_database(postgres.database(), tmp_path)
    migrate(target)
    moved = move(source, target, tmp_path)
    assert (moved.plans, moved.mailboxes) == (1, 3)
    with source.begin() as old, target.begin() as new:
        assert whole(new) == whole(old)
        assert broken(new, 7, kept=head(old, 7)) == ""
    for row, pair in zip(rows(target), pairs, strict=True):
        with read_ledger(source, tmp_path, row) as old, read_ledger(target, tmp_path, row) as new:
            assert contents(new) == contents(old)
            assert [[*new.intents(each)] for each in new.folders()] == [
                [*old.intents(each)] for each in old.folders()
            ]
        with (
            read_ledger(source, tmp_path, row, back=True) as old,
            read_ledger(target, tmp_path, row, back=True) as new,
        ):
            assert contents(new) == contents(old)
        with open_ledger(target, tmp_path, row) as ledger:
            assert await carry(ledger, *pair) == 0, "a moved ledger carried something again"
    with target.begin() as connection:
        fresh = connection.execute(
            insert(tables.mailbox)
            .values(
                plan_id=7, position=9, address="b", source="", target="", state="planned",
                since_at=0,
            )
            .returning(tables.mailbox.c.id)
        ).scalar_one()  # fmt: skip
        assert fresh > 13
    source.close()
    target.close()


async def test_a_database_in_use_is_refused(
    installation: Installation,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    source, _ = installation
    target = open_database(postgres.database(), tmp_path)
    migrate(target)
    move(source, target, tmp_path)
    with target.begin() as connection:
        before = whole(connection)
    with pytest.raises(BadInput, match="holds plans already"):
        move(source, target, tmp_path)
    with target.begin() as connection:
        assert whole(connection) == before
    source.close()
    target.close()


async def test_a_ledger_that_cannot_be_read_leaves_the_target_empty(
    installation: Installation,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    source, _ = installation
    (tmp_path / "ledgers" / "12" / "ledger.sqlite").write_bytes(b"rubbish" * 100)
    target = open_database(postgres.database(), tmp_path)
    migrate(target)
    with pytest.raises(BadInput, match="can't be read"):
        move(source, target, tmp_path)
    with target.begin() as connection:
        assert not any(whole(connection).values())
    source.close()
    target.close()
