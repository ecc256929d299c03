"""The log is a chain: whoever changed, dropped, reordered or cut it is found out."""

from typing import Any

import pytest
from sqlalchemy import delete, select, update

from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey.events import Head, Record, broken, head, log, record, record_all
from tests.journey.making import NOW, listed, loaded


def filled(database: Database, **plan: Any) -> int:
    """A log of six records; the plan's id."""
    with database.begin() as connection:
        row, _ = loaded(connection, listed("a@x"), **plan)
        for number in range(2):
            record(connection, row.id, Record(f"one_{number}", figures={"n": number}), NOW)
        many = [Record(f"many_{number}", "olga", why="so") for number in range(3)]
        assert record_all(connection, row.id, many, NOW + 1.5) == 6
    return row.id


def test_an_untouched_log_is_whole_and_reads_back(database: Database) -> None:
    plan = filled(database)
    with database.begin() as connection:
        assert broken(connection, plan) == ""
        found = list(log(connection, plan, after=4))
        assert [(one.number, one.record.action) for one in found] == [(5, "many_1"), (6, "many_2")]
        assert found[1].record == Record("many_2", "olga", why="so")
        assert found[1].previous == found[0].digest
        assert head(connection, plan) == Head(6, found[1].digest)


HARM = [
    ("another action", {"action": "nothing"}, "record 3 has been changed"),
    ("another actor", {"actor": "eve"}, "record 3 has been changed"),
    ("another moment", {"at": NOW - 1}, "record 3 has been changed"),
    ("another reason", {"why": "because"}, "record 3 has been changed"),
    ("other figures", {"figures": '{"n":2}'}, "record 3 has been changed"),
    ("another mailbox", {"mailbox_id": 1}, "record 3 has been changed"),
    ("another digest", {"digest": "f" * 64}, "record 3 has been changed"),
    ("another place", {"number": 30}, "record 3 is gone"),
]


@pytest.mark.parametrize(
    ("values", "found"), [case[1:] for case in HARM], ids=[case[0] for case in HARM]
)
def test_a_changed_record_is_found(
    database: Database, values: dict[str, object], found: str
) -> None:
    plan = filled(database)
    with database.begin() as connection:
        table = tables.event
        connection.execute(update(table).where(table.c.number == 3).values(**values))
        assert broken(connection, plan) == found


def test_a_dropped_record_is_found(database: Database) -> None:
    plan = filled(database)
    with database.begin() as connection:
        connection.execute(delete(tables.event).where(tables.event.c.number == 2))
        assert broken(connection, plan) == "record 2 is gone"


def test_a_cut_is_found_by_a_head_that_was_kept(database: Database) -> None:
    plan = filled(database)
    with database.begin() as connection:
        kept = head(connection, plan)
        connection.execute(delete(tables.event).where(tables.event.c.number > 4))
        assert broken(connection, plan) == ""
        assert broken(connection, plan, kept) == "the log ends before record 6"
        forged = Head(4, "0" * 64)
        assert broken(connection, plan, forged) == "record 4 is not the one that was kept"


def test_what_webhooks_are_to_be_told_is_put_into_their_outbox(database: Database) -> None:
    hooks = [{"url": "https://a.example", "events": ["many_1"]}, {"url": "https://b.example"}]
    plan = filled(database, webhooks=hooks)
    with database.begin() as connection:
        table = tables.delivery
        rows = connection.execute(select(table.c.webhook, table.c.number, table.c.due_at)).all()
        assert [tuple(row) for row in rows if row.webhook == 0] == [(0, 5, NOW + 1.5)]
        assert [row.number for row in rows if row.webhook == 1] == [1, 2, 3, 4, 5, 6]
        assert broken(connection, plan) == ""
