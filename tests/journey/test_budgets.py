"""Nobody ever takes more than there is, however many take at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.journey.budgets import (
    BudgetSpent,
    account_name,
    give_octets_back,
    release,
    renew,
    system_name,
    take_connections,
    take_messages,
    take_octets,
)
from tests.journey.making import NOW, listed, loaded

HOST = "old.example"
UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")


def people(database: Database, count: int) -> list[int]:
    """Ids of so many mailboxes."""
    with database.begin() as connection:
        loaded(connection, *(listed(f"m{number}@x") for number in range(count)))
        table = tables.mailbox
        return list(connection.execute(select(table.c.id).order_by(table.c.id)).scalars())


def take(
    database: Database,
    mailbox: int,
    wanted: int = 1,
    most: int | None = 3,
    *,
    worker: str = "w1",
    at: float = NOW,
) -> bool:
    with database.begin() as connection:
        return take_connections(
            connection, HOST, mailbox, wanted, most, worker=worker, at=at, lasts=60
        )


def test_connections_are_taken_until_there_is_none(database: Database) -> None:
    one, two, three = people(database, 3)
    assert take(database, one, 2)
    assert not take(database, two, 2)
    assert take(database, two, 1)
    assert not take(database, three, 1)
    assert take(database, three, 9, None)


def test_taking_again_renews_and_changes_the_number(database: Database) -> None:
    one, two = people(database, 2)
    assert take(database, one, 2)
    assert take(database, one, 3)
    assert not take(database, two)
    assert take(database, one, 1)
    assert take(database, two, 2)


def test_a_dead_worker_s_permit_lapses(database: Database) -> None:
    one, two = people(database, 2)
    assert take(database, one, 3)
    assert not take(database, two, 1, worker="w2", at=NOW + 59)
    assert take(database, two, 1, worker="w2", at=NOW + 60)


def test_a_live_worker_s_permit_is_renewed(database: Database) -> None:
    one, two = people(database, 2)
    take(database, one, 3)
    with database.begin() as connection:
        assert renew(connection, "w1", at=NOW + 50, lasts=60) == 1
        assert renew(connection, "w2", at=NOW + 50, lasts=60) == 0
    assert not take(database, two, 1, at=NOW + 100)
    with database.begin() as connection:
        # What has lapsed may be somebody else's by now.
        assert renew(connection, "w1", at=NOW + 120, lasts=60) == 0


def test_two_workers_have_no_permit_for_one_mailbox(database: Database) -> None:
    [one] = people(database, 1)
    assert take(database, one, worker="w1")
    assert not take(database, one, worker="w2")
    with database.begin() as connection:
        release(connection, HOST, one, worker="w2")
    assert not take(database, one, worker="w2")
    with database.begin() as connection:
        release(connection, HOST, one, worker="w1")
    assert take(database, one, worker="w2")


def test_messages_go_at_their_rate_and_are_not_saved_up(database: Database) -> None:
    def begins(at: float) -> float:
        with database.begin() as connection:
            return take_messages(connection, HOST, 10, 5.0, at=at)

    assert [begins(NOW) for _ in range(3)] == pytest.approx([NOW, NOW + 2, NOW + 4])
    assert begins(NOW + 100) == pytest.approx(NOW + 100)
    assert begins(NOW + 101) == pytest.approx(NOW + 102)


def octets(
    database: Database, count: int, at: float = NOW, most: int = 100, zone: ZoneInfo = UTC
) -> bool:
    try:
        with database.begin() as connection:
            take_octets(connection, HOST, count, most, zone=zone, at=at)
    except BudgetSpent as spent:
        assert spent.throttled
        assert spent.until > at
        assert spent.after >= spent.until - at
        return False
    return True


def test_a_day_s_octets_are_taken_until_there_is_none(database: Database) -> None:
    assert octets(database, 60)
    assert not octets(database, 41)
    assert octets(database, 40)
    assert not octets(database, 1)
    assert octets(database, 1, NOW + 86400)


def test_what_is_larger_than_a_day_goes_as_its_first(database: Database) -> None:
    assert octets(database, 500)
    assert not octets(database, 500)
    assert octets(database, 500, NOW + 86400)


def test_the_day_begins_at_midnight_in_the_plan_s_zone(database: Database) -> None:
    # 2027-01-15 23:30 in Berlin, 22:30 UTC.
    late = 1_800_052_200.0
    assert octets(database, 100, late, zone=BERLIN)
    assert not octets(database, 1, late + 1700, zone=BERLIN)
    assert octets(database, 1, late + 1800, zone=BERLIN)
    # To a plan in London it is still the day before: no day begins anew.
    assert not octets(database, 100, late + 1800, zone=UTC)


def test_what_was_not_used_is_given_back_on_its_day_only(database: Database) -> None:
    assert octets(database, 100)
    with database.begin() as connection:
        give_octets_back(connection, HOST, 30, "2027-01-15")
        give_octets_back(connection, HOST, 30, "2027-01-14")
    assert not octets(database, 31)
    assert octets(database, 30)


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    most=st.integers(1, 5),
    wanted=st.lists(st.integers(1, 3), min_size=4, max_size=10),
)
def test_concurrent_takers_never_exceed_the_limit(
    tmp_path_factory: pytest.TempPathFactory, most: int, wanted: list[int]
) -> None:
    database = _fresh(tmp_path_factory.mktemp("budgets"))
    mailboxes = people(database, len(wanted))
    ready = threading.Barrier(len(wanted))

    def worker(number: int) -> tuple[int, int, int]:
        ready.wait()
        count = wanted[number]
        got = count if take(database, mailboxes[number], count, most, worker=f"w{number}") else 0
        used = sum(octets(database, count, most=10 * most) for _ in range(5)) * count
        with database.begin() as connection:
            table = tables.permit
            seen = connection.execute(
                select(func.coalesce(func.sum(table.c.connections), 0))
            ).scalar_one()
        return got, used, seen

    with ThreadPoolExecutor(len(wanted)) as pool:
        results = list(pool.map(worker, range(len(wanted))))
    database.close()
    assert max(seen for _, _, seen in results) <= most
    assert sum(got for got, _, _ in results) <= most
    taken = sum(used for _, used, _ in results)
    assert taken <= 10 * most
    # And nothing is held back: who was refused would not have fitted in.
    left = most - sum(got for got, _, _ in results)
    assert all(got or count > left for (got, _, _), count in zip(results, wanted, strict=True))


def _fresh(directory: Path) -> Database:
    database = open_database(None, directory)
    tables.metadata.create_all(database.engine)
    return database


@pytest.mark.parametrize(
    ("endpoint", "system", "account"),
    [
        ("imaps://anna%40x@Old.Example.:1993", "old.example", "anna@x@old.example"),
        ("imap+starttls://b@old.example", "old.example", "b@old.example"),
        ("maildir:/mail", "", ""),
    ],
)
def test_mailboxes_of_one_system_share_its_name(endpoint: str, system: str, account: str) -> None:
    parsed = parse_endpoint(endpoint)
    assert (system_name(parsed), account_name(parsed)) == (system, account)
